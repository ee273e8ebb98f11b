"""Weights that encoders start from: by name, URL or path, checked where we know the file."""

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import MappingProxyType

from cluster.storage.download import fetch
from cluster.storage.urls import absolute
from pipelines.runtime.files.urls import file_fingerprint, read_checkpoint
from pmam.encoders.base import FrameEncoder
from pmam.encoders.published import PublishedFile
from pmam.encoders.registry import published_weights
from pmam.encoders.settings import EncoderSettings
from pmam.models.checkpoint import CheckpointError, unpack
from pmam.models.published import load_published, read_published
from shards.io import retry
from shards.io.atomic import give_name

log = logging.getLogger("pmam")
_FILES = published_weights()
# What an encoder starts from where nothing is named, by the encoder's name,
OF_ENCODERS: Mapping[str, PublishedFile] = MappingProxyType({n: f[0] for n, f in _FILES.items()})
# and all that any can start from, by their own.
PUBLISHED = MappingProxyType({file.name: file for files in _FILES.values() for file in files})
SHA256_OF = {file.url: file.sha256 for file in PUBLISHED.values()}
PIN = re.compile(r"(?P<url>.+)#sha256=(?P<sha256>[0-9a-f]{64})")
OURS = ".safetensors"


def weights_url(place: str) -> str:
    """A name of `PUBLISHED`, a URL or a path, as a URL or an absolute path."""
    if place in PUBLISHED and not Path(place).is_file():
        return PUBLISHED[place].url
    return absolute(place)


def with_published_weights(encoder: EncoderSettings) -> EncoderSettings:
    """The settings with the URL of the weights that they name, or leave to us."""
    place = encoder.weights
    if place is None and encoder.name in OF_ENCODERS:
        place = OF_ENCODERS[encoder.name].name
    return encoder if place is None else replace(encoder, weights=weights_url(place))


@cache
def weights_file(place: str) -> Path:
    """A published file as a local one.

    A URL may end in `#sha256=` and the sha256 that the file must have. Where nobody says what a
    download must be, its sha256 is told, so that the next one can be held to it.

    Raises:
        FetchError: no such file, another sha256, or no answer.
    """
    pinned = PIN.fullmatch(place)
    url = weights_url(pinned["url"] if pinned else place)
    sha256 = pinned["sha256"] if pinned else SHA256_OF.get(url)
    file = fetch(url, sha256=sha256, waits=retry.waits, give_name=give_name)
    if sha256 is None and "://" in url:
        got = file_fingerprint(str(file))
        log.warning(
            "%s: its sha256 is %s, and nothing says that this is right: compare it with the "
            "publisher's, then add #sha256=%s to the URL",
            *(url.partition("?")[0], got, got),
        )
    return file


def weights_fingerprint(place: str) -> str:
    """What identifies the weights: the sha256 of the file, or of a checkpoint's tensors."""
    if place.endswith(OURS):
        return read_checkpoint(place).fingerprint
    return file_fingerprint(str(weights_file(place)))


def load_weights(encoder: FrameEncoder, place: str) -> None:
    """Give an encoder the weights of a published file, or of an encoder's checkpoint of ours.

    Its calibration stays as it is: that comes from the recordings at hand.

    Raises:
        CheckpointError: not there, no weights, or those of something else.
        FetchError: as `weights_file`.
    """
    if not place.endswith(OURS):
        load_published(encoder, read_published(weights_file(place)), place)
        return
    model = unpack(read_checkpoint(place), place)
    if not isinstance(model, FrameEncoder) or model.settings.name != encoder.settings.name:
        found = model.settings.name if isinstance(model, FrameEncoder) else type(model).__name__
        raise CheckpointError(
            f"{place}: holds {found}; expected the encoder {encoder.settings.name}: "
            "give another --encoder.weights, or another --encoder.name"
        )
    own = {k: v for k, v in encoder.state_dict().items() if k.startswith("calibration.")}
    encoder.load_state_dict({**model.state_dict(), **own})
