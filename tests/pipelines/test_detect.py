"""Events of any file, against one forward pass, overlap-add by hand and real recordings."""

import io
import json
import math
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from s3_server import s3_server

from pipelines.audio_inputs import InputError, audio_files
from pipelines.detect import (
    IN_PROCESS_FILES,
    DetectedEvent,
    DetectError,
    DetectSettings,
    detect,
    detect_file,
    write_detections,
)
from pipelines.urls import store, write_checkpoint
from pmam.checkpoint import CheckpointError, pack_detector, pack_encoder
from pmam.detector import Backbone, ContextSettings, Detector, ModelSettings
from pmam.encoders import EncoderSettings
from pmam.pca import moments
from pmam.postprocess import median_filter
from shards.audio import AudioError, decode

CLASSES = ("bird", "car", "dog")
RATE = 16000  # of the model
HOP_S = 0.04
SETTINGS = DetectSettings()


def noise(seconds: float, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """Noise whose level changes twice a second, `(samples,)`."""
    generator = np.random.default_rng(seed)
    samples = round(seconds * rate)
    level = generator.random(math.ceil(seconds * 2) + 1) ** 3
    return (0.3 * generator.normal(size=samples) * np.repeat(level, rate // 2)[:samples]).clip(
        -0.99, 0.99
    )


@pytest.fixture(scope="module")
def detector() -> Detector:
    """Random weights; each class is above 0.5 about half of the time."""
    torch.manual_seed(1)
    context = ContextSettings(width=16, layers=1, heads=2, hidden=16)
    settings = ModelSettings(encoder=EncoderSettings(name="small_cnn"), context=context)
    detector = Detector(Backbone(settings), CLASSES).eval()
    encoder = detector.backbone.encoder
    clip = torch.from_numpy(noise(10, seed=99)[None]).float()
    encoder.calibration.fit(moments(lambda: iter([encoder.raw(clip)[0]])))
    with torch.no_grad():
        logits = torch.logit(detector(encoder.inputs(clip)).frames[0], eps=1e-6)  # (frames, 3)
        scale = 2 / logits.std(dim=0)
        detector.classifier.bias.sub_(logits.mean(dim=0)).mul_(scale)
        detector.classifier.weight.mul_(scale[:, None])
    return detector


@pytest.fixture(scope="module")
def checkpoint(detector: Detector, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("detector")
    write_checkpoint(store(str(folder)), "detector", pack_detector(detector))
    return str(folder / "detector")


@torch.inference_mode()
def forward(detector: Detector, samples: np.ndarray) -> np.ndarray:
    """`(samples,)` in one go to probabilities `(frames, classes)`."""
    inputs = detector.backbone.encoder.inputs(torch.from_numpy(samples).float()[None])
    return detector(inputs).frames[0].numpy()


def spelt_out(scores: np.ndarray, threshold: float, end_s: float) -> list[tuple]:
    """Events of smoothed scores `(frames, classes)`, frame by frame."""
    events = []
    for column, label in enumerate(CLASSES):
        onset = None
        for frame in range(len(scores) + 1):
            active = frame < len(scores) and scores[frame, column] > threshold
            if active and onset is None:
                onset = frame
            if not active and onset is not None:
                peak = scores[onset:frame, column].max()
                events.append((onset * HOP_S, min(frame * HOP_S, end_s), label, peak))
                onset = None
    return sorted(events)


def assert_same(found: list[DetectedEvent], expected: list[tuple]) -> None:
    assert [event.label for event in found] == [label for _, _, label, _ in expected]
    for event, (onset_s, offset_s, _, score) in zip(found, expected, strict=True):
        assert (event.onset_s, event.offset_s) == pytest.approx((onset_s, offset_s), abs=1e-6)
        assert event.score == pytest.approx(score, abs=1e-4)


def overlap_added(detector: Detector, samples: np.ndarray, starts: list[int]) -> np.ndarray:
    """Windows of 250 frames that fade into each other over 50: `(frames, classes)`."""
    ramp = (np.arange(250) + 0.5) / 50
    weight = np.minimum(1, np.minimum(ramp, ramp[::-1]))[:, None]
    frames = math.ceil(len(samples) / 640)
    total, weights = np.zeros((frames, 3)), np.zeros((frames, 1))
    for start in starts:
        scores = forward(detector, samples[start * 640 : (start + 250) * 640])
        total[start : start + 250] += weight * scores
        weights[start : start + 250] += weight
    return total / weights


def as_heard(path: Path) -> np.ndarray:
    """What the model hears of a file."""
    return decode(path.read_bytes(), str(path), sample_rate_hz=RATE)


def test_a_file_of_one_window_is_one_forward_pass(detector: Detector, tmp_path: Path) -> None:
    path = tmp_path / "ten.wav"
    sf.write(path, noise(10), RATE, subtype="FLOAT")
    found = detect_file(detector, str(path), SETTINGS)
    scores = median_filter(forward(detector, as_heard(path)), SETTINGS.median_s, HOP_S)
    assert_same(found, spelt_out(scores, 0.5, 10.0))
    assert len({event.label for event in found}) == 3
    assert len(found) > 6


def test_a_long_file_is_overlap_add_by_hand(detector: Detector, tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    sf.write(path, noise(35.013), RATE, subtype="FLOAT")
    # 200 frames a step; the last window ends with the file: 876 frames
    raw = overlap_added(detector, as_heard(path), [0, 200, 400, 600, 626])
    settings = DetectSettings(threshold=0.4, median_s=0.2, median_by_class_s={"car": 0.6}, batch=3)
    scores = np.stack(
        [
            median_filter(raw, width_s, HOP_S)[:, column]
            for column, width_s in enumerate([0.2, 0.6, 0.2])
        ],
        axis=1,
    )
    found = detect_file(detector, str(path), settings)
    assert_same(found, spelt_out(scores, 0.4, 35.013))
    assert len(found) > 20


@pytest.mark.parametrize("batch", [1, 2, 64])
def test_the_batch_changes_nothing(detector: Detector, tmp_path: Path, batch: int) -> None:
    path = str(tmp_path / "long.wav")
    sf.write(path, noise(25), RATE)
    expected = detect_file(detector, path, SETTINGS)
    found = detect_file(detector, path, DetectSettings(batch=batch))
    assert [(e.onset_s, e.offset_s, e.label) for e in found] == [
        (e.onset_s, e.offset_s, e.label) for e in expected
    ]


@pytest.mark.parametrize(
    ("suffix", "rate", "channels", "subtype"),
    [
        ("wav", 8000, 1, "PCM_16"),
        ("wav", 44100, 2, "PCM_24"),
        ("flac", 44100, 2, "PCM_24"),
        ("flac", 96000, 6, "PCM_16"),
        ("ogg", 44100, 2, "VORBIS"),
        ("mp3", 22050, 1, "MPEG_LAYER_III"),
        ("wav", 11025, 1, "PCM_U8"),
    ],
)
def test_any_rate_channels_and_codec(
    detector: Detector, tmp_path: Path, suffix: str, rate: int, channels: int, subtype: str
) -> None:
    path = tmp_path / f"any.{suffix}"
    samples = np.stack([noise(6.03, rate, seed) for seed in range(channels)], axis=1)
    sf.write(path, samples, rate, subtype=subtype)
    heard = as_heard(path)
    scores = median_filter(forward(detector, heard), SETTINGS.median_s, HOP_S)
    end_s = sf.info(path).duration
    found = detect_file(detector, str(path), SETTINGS)
    assert_same(found, spelt_out(scores, 0.5, end_s))
    assert found
    assert max(event.offset_s for event in found) <= end_s


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("samples", [2, 100, 641])
def test_files_shorter_than_a_frame(
    detector: Detector, tmp_path: Path, samples: int, rate: int
) -> None:
    path = tmp_path / "short.wav"
    sf.write(path, np.full(samples, 0.1), rate)
    for event in detect_file(detector, str(path), DetectSettings(threshold=0.0)):
        assert 0 <= event.onset_s < event.offset_s <= samples / rate


def test_a_single_sample(detector: Detector, tmp_path: Path) -> None:
    path = tmp_path / "one.wav"
    sf.write(path, [0.5], RATE)
    found = detect_file(detector, str(path), DetectSettings(threshold=0.0))
    assert [(e.onset_s, e.offset_s, e.label) for e in found] == [
        (0.0, 1 / RATE, label) for label in CLASSES
    ]
    sf.write(path, [0.5], 44100)  # not even one sample of the model's
    with pytest.raises(AudioError, match=r"one\.wav: got 1 samples at 44100 Hz.*16000 Hz"):
        detect_file(detector, str(path), SETTINGS)


def test_silence(detector: Detector, tmp_path: Path) -> None:
    path = tmp_path / "silence.wav"
    sf.write(path, np.zeros(RATE * 12), RATE)
    raw = overlap_added(detector, np.zeros(RATE * 12, np.float32), [0, 50])
    values = np.sort(raw, axis=None)
    widest = np.diff(values).argmax()
    threshold = float(values[widest : widest + 2].mean())  # some of it is an event, none is close
    found = detect_file(detector, str(path), DetectSettings(threshold=threshold, median_s=0))
    assert_same(found, spelt_out(raw, threshold, 12.0))
    assert found


def unreadable(folder: Path) -> Iterator[tuple[str, str]]:
    """Names of bad files, and what their errors say."""
    (folder / "empty.wav").write_bytes(b"")
    yield "empty.wav", "empty file"
    sf.write(folder / "no_samples.wav", np.zeros(0), RATE)
    yield "no_samples.wav", "zero samples"
    (folder / "text.wav").write_text("this is no audio\n" * 100)
    yield "text.wav", "cannot be read as audio"
    sf.write(folder / "whole.flac", noise(3), RATE)
    data = (folder / "whole.flac").read_bytes()
    (folder / "cut.flac").write_bytes(data[: len(data) // 2])
    yield "cut.flac", "cut.flac"
    sf.write(folder / "whole.wav", noise(3), RATE)
    (folder / "cut.wav").write_bytes((folder / "whole.wav").read_bytes()[:-5000])
    yield "cut.wav", "truncated"
    samples = noise(12)
    samples[RATE * 11] = np.nan
    sf.write(folder / "nan.wav", samples, RATE, subtype="FLOAT")
    yield "nan.wav", "NaN or infinite samples"
    sf.write(folder / "huge.wav", noise(1) * 1e30, RATE, subtype="FLOAT")
    yield "huge.wav", "detector gives NaN"


def test_bad_files_are_named_in_one_line(
    detector: Detector, checkpoint: str, tmp_path: Path
) -> None:
    good = str(tmp_path / "good.wav")
    sf.write(good, noise(3), RATE)
    for name, problem in unreadable(tmp_path):
        path = str(tmp_path / name)
        with pytest.raises(AudioError, match=problem):
            detect_file(detector, path, SETTINGS)
        results = detect([good, path, good], checkpoint, SETTINGS)
        assert next(results).events
        with pytest.raises(DetectError, match=problem) as caught:
            next(results)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)


def test_bad_files_can_be_skipped(
    checkpoint: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good, bad, missing = (str(tmp_path / name) for name in ("a.wav", "b.wav", "gone.wav"))
    sf.write(good, noise(3), RATE)
    (tmp_path / "b.wav").write_bytes(b"")
    out = io.StringIO()
    skipped = write_detections([bad, good, missing], checkpoint, SETTINGS, on_error="skip", out=out)
    assert len(skipped) == 2
    assert bad in skipped[0]
    assert skipped[1] == f"{missing}: no such file; check the path"
    assert [record.getMessage() for record in caplog.records] == [f"skipped {e}" for e in skipped]
    assert {line.split("\t")[0] for line in out.getvalue().splitlines()} == {"filename", good}


def test_what_can_be_checked_first_is_checked_before_anything_is_written(
    checkpoint: str, detector: Detector, tmp_path: Path
) -> None:
    good = str(tmp_path / "a.wav")
    sf.write(good, noise(1), RATE)
    encoder = pack_encoder(detector.backbone.encoder)
    write_checkpoint(store(str(tmp_path)), "encoder", encoder)
    (tmp_path / "empty").mkdir()
    out = io.StringIO()

    def run(files: list[str], settings: DetectSettings = SETTINGS, **options: str) -> None:
        options = {"checkpoint": checkpoint, **options}
        write_detections(files, settings=settings, out=out, **options)

    with pytest.raises(InputError, match=r"gone\.wav: no such file or folder"):
        run([good, str(tmp_path / "gone.wav")])
    with pytest.raises(InputError, match="got no files"):
        run([])
    with pytest.raises(ValueError, match="empty: got no audio files"):
        run([str(tmp_path / "empty")])
    with pytest.raises(CheckpointError, match="no such file; expected a checkpoint"):
        run([good], checkpoint=str(tmp_path / "none"))
    with pytest.raises(CheckpointError, match="expected a detector"):
        run([good], checkpoint=str(tmp_path / "encoder"))
    with pytest.raises(ValueError, match="'rts': expected one of tsv, csv, json, audacity"):
        run([good], format_name="rts")
    with pytest.raises(DetectError, match="'cat': expected one of bird, car, dog"):
        run([good], DetectSettings(median_by_class_s={"cat": 1.0}))
    with pytest.raises(ValueError, match=r"median width -1\.0 s"):
        run([good], DetectSettings(median_s=-1.0))
    assert out.getvalue() == ""


@pytest.mark.parametrize(
    "bad",
    [
        {"threshold": 1.0},
        {"threshold": -0.1},
        {"threshold": math.nan},
        {"window_s": 2.0, "overlap_s": 2.0},
        {"window_s": math.nan},
        {"window_s": math.inf},
        {"overlap_s": -1.0},
        {"batch": 0},
    ],
)
def test_settings_that_mean_nothing_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(DetectError, match=next(iter(bad)).split("_")[0]):
        DetectSettings(**bad)  # type: ignore[arg-type]


def test_folders_hold_their_audio_sorted_and_once(tmp_path: Path) -> None:
    for name in ("b/2.wav", "b/10.FLAC", "a.ogg", ".hidden.wav", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    folder = str(tmp_path)
    expected = [f"{folder}/b/2.wav", f"{folder}/a.ogg", f"{folder}/b/10.FLAC"]
    assert audio_files([f"{folder}/b/2.wav", folder, f"{folder}/a.ogg"]) == expected


def test_awkward_names(checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = ["-rf.wav", "a\tb\n.wav", "[red]%s{}[!red].wav", "Ä 鳥.wav", b"caf\xe9.wav".decode(
        "utf-8", "surrogateescape")]  # fmt: skip
    for name in names:
        sf.write((tmp_path / name).open("wb"), noise(1), RATE, format="WAV")
    found = list(detect(names, checkpoint, SETTINGS))
    assert [result.file for result in found] == names
    out = io.StringIO()
    write_detections(names, checkpoint, SETTINGS, format_name="json", out=out)
    written = {event["filename"] for event in json.loads(out.getvalue())}
    assert written == {*names[:4], "caf\\udce9.wav"}
    out.getvalue().encode()  # raises where a terminal or pipe would


def test_many_files_go_through_ray_in_order_with_the_same_result(
    checkpoint: str, tmp_path: Path, ray_session: None
) -> None:
    files = []
    for number in range(IN_PROCESS_FILES + 2):
        # the first takes longest: it must still come first
        path = tmp_path / f"{number:02d}.wav"
        sf.write(path, noise(20 if number == 0 else 1, seed=number), RATE)
        files.append(str(path))
    (tmp_path / "05.wav").write_bytes(b"")
    together = list(detect(files, checkpoint, SETTINGS, on_error="skip"))
    apart = [next(detect([file], checkpoint, SETTINGS, on_error="skip")) for file in files]
    assert [result.file for result in together] == files
    for there, here in zip(together, apart, strict=True):
        assert there.error == here.error
        assert [(e.onset_s, e.offset_s, e.label) for e in there.events] == [
            (e.onset_s, e.offset_s, e.label) for e in here.events
        ]
    assert together[5].error is not None


def test_an_object_store_serves_audio_and_takes_texts(checkpoint: str, tmp_path: Path) -> None:
    local = tmp_path / "a.flac"
    sf.write(local, noise(12, 44100), 44100, subtype="PCM_24")
    (tmp_path / "b.wav").write_bytes(local.read_bytes()[:1000])
    with s3_server(tmp_path) as server:
        for name in ("rec/a.flac", "rec/deep/b.wav"):
            data = (tmp_path / Path(name).name).read_bytes()
            store(server.url("rec")).write(name.removeprefix("rec/"), data)
        good, bad = server.url("rec/a.flac"), server.url("rec/deep/b.wav")
        with pytest.raises(InputError, match=r"s3://bucket/rec/c\.wav: no such file or folder"):
            audio_files([server.url("rec/c.wav")])
        skipped = write_detections(
            [server.url("rec")],
            checkpoint,
            SETTINGS,
            format_name="audacity",
            output_dir=server.url("labels"),
            on_error="skip",
        )
        assert store(server.url("labels")).names() == ["a.flac.txt"]
        (error,) = skipped
        assert error.startswith(bad)
        text = store(server.url("labels")).read("a.flac.txt").decode()
        remote = next(detect([good], checkpoint, SETTINGS)).events
    here = next(detect([str(local)], checkpoint, SETTINGS)).events
    assert [replace(event, file=str(local)) for event in remote] == list(here)
    assert [line.split("\t")[2] for line in text.splitlines()] == [e.label for e in here]


def test_memory_does_not_grow_with_the_file(detector: Detector, tmp_path: Path) -> None:
    def peak_bytes(seconds: int) -> int:
        path = tmp_path / f"{seconds}.wav"
        with sf.SoundFile(path, "w", RATE, 1) as file:
            for start in range(0, seconds, 60):
                file.write(noise(60, seed=start))
        tracemalloc.start()
        detect_file(detector, str(path), few)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    few = DetectSettings(threshold=0.999, window_s=5.0)  # events do take memory
    # Six minutes more are 23 MB of samples.
    assert peak_bytes(420) < peak_bytes(60) + 2_000_000


def test_real_mixtures(
    detector: Detector, checkpoint: str, shared_dir: Path, tmp_path: Path
) -> None:
    folder = shared_dir / "data" / "tut_rare_sample" / "audio"
    paths = sorted(folder.glob("*.flac"))[:3]
    out = io.StringIO()
    write_detections([str(path) for path in paths], checkpoint, SETTINGS, out=out)
    rows = [line.split("\t") for line in out.getvalue().splitlines()[1:]]
    assert [name for name, *_ in rows] == sorted(name for name, *_ in rows)
    for path in paths:
        info = sf.info(path)
        assert (info.samplerate, info.subtype) == (44100, "PCM_24")
        scores = median_filter(
            overlap_added(detector, as_heard(path), [0, 200, 400, 500]), 0.3, HOP_S
        )
        expected = spelt_out(scores, 0.5, info.duration)
        found = [row for row in rows if row[0] == str(path)]
        assert [(float(a), float(b), c) for _, a, b, c, _ in found] == [
            (pytest.approx(a), pytest.approx(b), c) for a, b, c, _ in expected
        ]
