"""A FLAC with a wrong byte in a frame is told with that frame's second and byte."""

import re

import pytest
from sound_files import encoded, noise

from shards.audio import AudioError, decode

RATE_HZ, BLOCK = 16_000, 4096
SOUND = noise(3.0)
FLAC = encoded(SOUND, kind="FLAC")
FRAMES = [
    match.start()
    for match in re.finditer(rb"\xff\xf8[\x10-\xff][\x00-\xaf]", FLAC)
    if match.start() > 42
]


@pytest.mark.parametrize("joined", [False, True])
@pytest.mark.parametrize("number", [0, 5, (len(SOUND) - 1) // BLOCK])
def test_the_frame_is_named(number: int, joined: bool) -> None:
    starts = [byte for byte in FRAMES if FLAC[byte + 4] <= 127][: len(SOUND) // BLOCK + 1]
    assert len(starts) == len(SOUND) // BLOCK + 1
    broken = bytearray(FLAC)
    broken[starts[number] + 40] ^= 0x55
    data, first = (FLAC + bytes(broken), len(FLAC)) if joined else (bytes(broken), 0)
    second = number * BLOCK / RATE_HZ + (3.0 if joined else 0.0)
    where = re.escape(f"after {second:.3f} s, at byte {first + starts[number]} ")
    with pytest.raises(AudioError, match=rf"clip\.flac: damaged {where}"):
        decode(data, "clip.flac")
