"""Checkpoints that others published: by what name we know them, where they are, their sha256."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """A file that anybody may fetch."""

    url: str
    sha256: str


PUBLISHED: Mapping[str, PublishedFile] = MappingProxyType(
    {
        # EfficientAT's mn04_as, trained on AudioSet (MIT licence)
        "mn04": PublishedFile(
            url="https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/mn04_as_mAP_432.pt",
            sha256="899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c",
        ),
        # EfficientAT's mn10_as, the same. This sha256 and the next one are not published with the
        # files: several projects that pin them state them, independently of each other.
        "mn10": PublishedFile(
            url="https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/mn10_as_mAP_471.pt",
            sha256="0bd7dc2443af498c289a2e739f02ebb515d6aa3fd3ab9db539c86123ae368a4e",
        ),
        # PaSST-S with overlapping patches, trained on AudioSet (Apache 2.0 licence)
        "passt-s": PublishedFile(
            url="https://github.com/kkoutini/PaSST/releases/download/v0.0.1-audioset/passt-s-f128-p16-s10-ap.476-swa.pt",
            sha256="302903fa8c4aee817b11dc982da0b29aaf8d11a3e722420476d0a12c9db70c2c",
        ),
    }
)
