"""What others published is named in full, and is what we have a copy of."""

import hashlib
import re
from pathlib import Path

from pmam.deferred import Deferred
from pmam.encoders.m2d.encoder import SIZES
from pmam.encoders.registry import ENCODERS, published_weights

M2D = (
    "m2d_clap_vit_base-80x1001p16x16-240128_AS-FT_enconly",
    "m2d_as_vit_base-80x1001p16x16-240213_AS-FT_enconly",
    "m2d_vit_base-80x1001p16x16-221006-mr7_as_46ab246d",
)
M2D_608 = (
    "m2d_vit_base-80x608p16x16-221006-mr7",
    "m2d_clap_vit_base-80x608p16x16-240128",
    "m2d_as_vit_base-80x608p16x16-240213",
    "m2d_vit_base-80x608p16x16-221006-mr6",
    "m2d_vit_base-80x608p16x16-221006-mr7_enconly",
    "m2d_vit_base-80x608p16x16-220930-mr7_enconly",
)


def test_published_checkpoints_are_named_in_full() -> None:
    files = published_weights()
    assert {name: tuple(file.name for file in each) for name, each in files.items()} == {
        "mn04": ("mn04",),
        "mn10": ("mn10",),
        "passt": ("passt-s",),
        "passt_cnn": ("passt-s",),
        "m2d": M2D,
        "m2d_608": M2D_608,
        "m2d_40ms": ("m2d_vit_base-80x200p16x4-230529",),
    }
    for name, each in files.items():
        for file in each:
            assert file.url.startswith("https://")
            if name.startswith("m2d"):  # its authors tell no checksums
                assert file.sha256 is None
                assert file.url.endswith(f"/{file.name}.zip")
            else:
                assert re.fullmatch("[0-9a-f]{64}", file.sha256 or "")


def test_the_names_of_m2d_tell_the_input_size_of_their_encoder() -> None:
    for name, size in SIZES.items():
        for file in published_weights()[name]:
            assert f"-{size.input_size}-" in file.name


def test_encoders_that_need_weights_say_which() -> None:
    for name, entry in ENCODERS.items():
        assert isinstance(entry, Deferred)
        kind = entry.target
        assert (kind.published is not None) == kind.needs_weights, name


def test_the_published_mn04_is_the_file_we_have(shared_dir: Path) -> None:
    sha256 = published_weights()["mn04"][0].sha256
    found = [
        path
        for path in shared_dir.rglob("mn04*.pt")
        if hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    ]
    assert found
