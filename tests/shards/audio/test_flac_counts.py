"""The quick count of a FLAC's frames says what the careful one says, or leaves it to that."""

import io
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sound_files import encoded, length, noise

from shards.audio import AudioError
from shards.audio.containers import flac, flac_headers

RATE_HZ = 16_000
SOUND = noise(3.0)
FLAC = encoded(SOUND, kind="FLAC")
LEAST_AT = 12  # of the byte where STREAMINFO says how long the shortest frame is


def told(data: bytes, monkeypatch: pytest.MonkeyPatch, *, careful: bool) -> list[int | None] | str:
    with monkeypatch.context() as patch:
        if careful:
            patch.setattr(flac, "_plain", lambda file, end: None)
        try:
            pieces = flac.flac(io.BytesIO(data), 0, len(data), "clip.flac")
        except AudioError as error:
            return str(error)
    return [piece.num_samples for piece in pieces]


@pytest.mark.parametrize("read_bytes", [64, 100, 4096, 9001])
def test_frames_are_counted_over_the_borders_of_what_is_read(read_bytes, monkeypatch) -> None:
    monkeypatch.setattr(flac, "READ_BYTES", read_bytes)
    assert flac._plain(io.BytesIO(FLAC), len(FLAC)) == len(SOUND)


@pytest.mark.parametrize("least", [0, 1, 20_000, (1 << 24) - 1])
def test_a_wrong_length_of_the_shortest_frame_costs_nothing(least: int) -> None:
    changed = FLAC[:LEAST_AT] + least.to_bytes(3, "big") + FLAC[LEAST_AT + 3 :]
    stream = flac_headers.stream_at(io.BytesIO(changed), 0)
    assert stream is not None
    assert stream.least_bytes == least
    assert length(changed) == len(SOUND)
    cut = changed[: flac_headers_at(changed)[4]]
    with pytest.raises(AudioError, match="truncated"):
        length(cut)


def flac_headers_at(data: bytes) -> list[int]:
    found = (flac_headers.frame(data, at, 0) for at in range(len(data)))
    return [frame.byte for frame in found if frame is not None]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_both_counts_agree_on_pieces_of_frames_in_any_order(data) -> None:
    starts = flac_headers_at(FLAC)
    other = FLAC if data.draw(st.booleans()) else encoded(noise(1.0, 8000), 8000, "FLAC")
    bounds = [*starts, len(FLAC)]
    frames = [FLAC[a:b] for a, b in itertools.pairwise(bounds)]
    order = data.draw(st.lists(st.integers(0, len(frames) - 1), max_size=14))
    begin = data.draw(st.integers(0, len(frames)))
    changed = FLAC[: starts[0]] + b"".join(frames[:begin] + [frames[n] for n in order])
    if data.draw(st.booleans()):
        changed += other
    if data.draw(st.booleans()):
        changed = changed[: data.draw(st.integers(50, len(changed)))]
    with pytest.MonkeyPatch.context() as patch:
        assert told(changed, patch, careful=False) == told(changed, patch, careful=True)
