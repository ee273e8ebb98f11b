"""Long recordings in parts for several workers: the same scores to the bit, the same events."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from detect_cases import RATE, detect_files, noise
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.inference.audio_inputs import AudioInput
from pipelines.stages.detect import parts
from pipelines.stages.detect.file import ScoreTarget, detect_file
from pipelines.stages.detect.parts import cut, cuts, joined_events, part_scores
from pipelines.stages.detect.settings import DetectSettings
from pmam.models.detector import DetectorModel
from pmam.models.window_scores import Part, stream_scores

LENGTH_S = 41.3
SHORT = DetectSettings(window_s=2, overlap_s=0.5, batch=2)


@pytest.mark.parametrize("overlap_s", [0, 0.52, 1.2])
@pytest.mark.parametrize("batch", [1, 3])
def test_parts_join_to_the_bit(detector: DetectorModel, overlap_s: float, batch: int) -> None:
    samples = noise(14.37).astype(np.float32)
    options = {"window_s": 2.0, "overlap_s": overlap_s, "batch": batch}
    whole = np.concatenate(list(stream_scores(detector, [samples], **options)))  # type: ignore[arg-type]
    windows = int(14.37 / (2 - overlap_s)) - 2
    borders = [0, *range(batch, windows, max(batch, windows // 6 * batch)), None]
    scores = [
        block
        for first, end in itertools.pairwise(borders)
        for block in stream_scores(
            detector,
            [samples[:7001], samples[7001:]],
            part=Part(first or 0, end),
            **options,  # type: ignore[arg-type]
        )
    ]
    assert len(borders) > 2
    assert np.array_equal(np.concatenate(scores), whole)


@settings(max_examples=60)
@given(
    st.floats(0.1, 1e5),
    st.floats(5, 5000),
    st.floats(0.5, 20),
    st.floats(0, 0.95),
    st.integers(1, 16),
)
def test_cuts_are_in_order_of_whole_batches_and_leave_windows_behind(
    length_s: float, least_s: float, window_s: float, overlap: float, batch: int
) -> None:
    chosen = DetectSettings(window_s=window_s, overlap_s=overlap * window_s, batch=batch)
    detector = OfHop()
    found = cut(length_s, least_s, detector, chosen)  # type: ignore[arg-type]
    assert (found[0].first, found[-1].end) == (0, None)
    assert len(found) <= max(1, length_s / least_s + 1e-6)
    for one, next_one in itertools.pairwise(found):
        assert one.end == next_one.first > one.first
        assert next_one.first % batch == 0
    windows, overlapping = round(window_s / 0.04), round(overlap * window_s / 0.04)
    step_s = (max(1, windows) - overlapping) * 0.04
    if len(found) > 1:  # at least one window begins behind the border
        assert (found[-1].first + 1) * step_s < length_s


class OfHop:
    """What cutting asks of a detector."""

    class encoder:
        hop_s = 0.04


@pytest.mark.parametrize(("suffix", "rate", "channels"), [("flac", 44100, 2), ("mp3", 22050, 1)])
def test_a_recording_in_parts_has_the_events_of_one_piece(
    detector: DetectorModel, tmp_path: Path, suffix: str, rate: int, channels: int
) -> None:
    path = str(tmp_path / f"long.{suffix}")
    sf.write(path, np.stack([noise(LENGTH_S, rate)] * channels, axis=1), rate)
    audio = AudioInput(name=path, url=path)
    whole = tmp_path / "whole"
    expected = detect_file(detector, path, SHORT, scores_to=kept(whole))
    chosen = cut(LENGTH_S, 10, detector, SHORT)
    assert len(chosen) == 3
    scored = [part_scores(detector, audio, SHORT, part) for part in chosen]
    found = joined_events(detector, audio, SHORT, kept(tmp_path / "joined"), scored)
    assert found == expected
    assert len(found.events) > 10
    assert (tmp_path / "joined/s.npz").read_bytes() == (whole / "s.npz").read_bytes()


def kept(folder: Path) -> ScoreTarget:
    return ScoreTarget(url=str(folder), name="s.npz", score_format="npz")


def test_channels_that_cancel_and_damage_are_told_as_of_one_piece(
    detector: DetectorModel, tmp_path: Path
) -> None:
    wave = noise(LENGTH_S)
    for name, channels in (("opposite", [wave, -wave]), ("cut", [wave])):
        sf.write(tmp_path / f"{name}.wav", np.stack(channels, axis=1), RATE)
    cut_short = (tmp_path / "cut.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(cut_short[: len(cut_short) * 3 // 4])
    for name in ("opposite", "cut"):
        path = str(tmp_path / f"{name}.wav")
        (expected,) = detect_files([path], _saved(detector, tmp_path), SHORT, "skip")
        audio = AudioInput(name=path, url=path)
        scored = [
            part_scores(detector, audio, SHORT, part) for part in cut(LENGTH_S, 10, detector, SHORT)
        ]
        found = joined_events(detector, audio, SHORT, None, scored)
        assert (found.error, found.warning) == (expected.error, expected.warning)
        assert found.error or found.warning


def _saved(detector: DetectorModel, folder: Path) -> str:
    from pmam.models.checkpoint import pack_detector

    path = folder / "detector.safetensors"
    path.write_bytes(pack_detector(detector).to_bytes())
    return str(path)


def test_which_recordings_are_cut(detector: DetectorModel, tmp_path: Path) -> None:
    for name, seconds in (("long", LENGTH_S), ("short", 3)):
        sf.write(tmp_path / f"{name}.wav", noise(seconds), RATE)
    files = [str(tmp_path / name) for name in ("short.wav", "long.wav", "none.wav")]
    audio = [AudioInput(name=file, url=file) for file in files]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "PART_S", 10.0)
        assert list(cuts(audio, detector, SHORT, 4)) == [1]
        assert [len(each) for each in cuts(audio, detector, SHORT, 100).values()] == [3]
        assert [len(each) for each in cuts(audio, detector, SHORT, 2).values()] == []
        assert cuts(audio, detector, SHORT, 1) == {}
        assert cuts([audio[1]] * 17, detector, SHORT, 4) == {}  # many files spread whole
    assert cuts(audio, detector, SHORT, 4) == {}


def test_long_recordings_are_shared_by_workers_of_ray(
    checkpoint: str, tmp_path: Path, ray_session: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [str(tmp_path / name) for name in ("a.flac", "b.wav", "c.wav")]
    for file, seconds in zip(files, (LENGTH_S, 2, 20.0), strict=True):
        sf.write(file, noise(seconds), RATE)
    Path(files[1]).write_bytes(b"RIFF")
    apart = [next(detect_files([file], checkpoint, SHORT, on_error="skip")) for file in files]
    monkeypatch.setattr(parts, "PART_S", 9.0)
    from pipelines.runtime.workers.pool import Pool, Size

    size = Pool.size
    monkeypatch.setattr(  # of a cluster with more cores than this machine may have
        Pool, "size", lambda self, tasks, room: _wider(size(self, tasks, room), tasks, Size)
    )
    together = list(detect_files(files, checkpoint, SHORT, on_error="skip"))
    assert [result.file for result in together] == files
    assert together == apart
    assert math.isclose(together[0].duration_s or 0, LENGTH_S, abs_tol=1e-3)


def _wider(found: object, tasks: int, kind: type) -> object:
    return kind(least=1, most=8 if tasks >= 1000 else found.most, each=found.each)  # type: ignore[attr-defined]
