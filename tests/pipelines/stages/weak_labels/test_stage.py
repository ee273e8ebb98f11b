"""Training on weak labels, small: folds, what is kept, figures, detection, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import packing
import pytest
import soundfile as sf
import torch
from weak_cases import write_h5

from pipelines.cli.main import main
from pipelines.inference.layers import load_detector
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.files.urls import open_dataset
from pipelines.runtime.stage import record_of
from pipelines.stages.weak_labels.folds import split_fold
from pipelines.stages.weak_labels.import_h5 import import_logmel
from pipelines.stages.weak_labels.scores import inputs_of
from pipelines.stages.weak_labels.settings import WeakTrainSettings
from pipelines.stages.weak_labels.task import WeakTask, write_start
from pmam.training.clip_draws import ClipDraws
from pmam.weak_labels.detector import WeakDetector
from shards.clip import Clip, Event
from shards.io.store import Store

RATE_HZ = 8000
OPTIONS = {
    "width": 2,
    "mels": 16,
    "frames": 32,
    "sample_rate_hz": RATE_HZ,
    "hop_samples": 500,
    "window_samples": 512,
    "epochs": 2,
    "batch_size": 4,
    "snr": 10.0,
}
SMALL = WeakTrainSettings(**OPTIONS)  # type: ignore[arg-type]


def given() -> list[str]:
    """The same on a command line."""
    return [t for k, v in OPTIONS.items() for t in (f"--{k.replace('_', '-')}", str(v))]


def sounding(path: Path, label: str, seed: int, seconds: float = 2.0) -> None:
    """Noise with a tone in its second half."""
    generator = np.random.default_rng(seed)
    samples = 0.02 * generator.standard_normal(round(seconds * RATE_HZ))
    half = len(samples) // 2
    hertz = {"low": 400, "high": 2500}[label]
    samples[half:] += 0.3 * np.sin(2 * np.pi * hertz * np.arange(len(samples) - half) / RATE_HZ)
    sf.write(path, samples, RATE_HZ)


@pytest.fixture(scope="module")
def mixtures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve clips in three folds at 10 dB, and a short one at 0 dB."""
    folder = tmp_path_factory.mktemp("mixtures")
    clips = []
    for number in range(13):
        label, short = ("low", "high")[number % 2], number == 12
        sounding(folder / f"{number}.wav", label, number, 0.5 if short else 2.0)
        clips.append(
            Clip(
                source_id=f"clip {number}",
                audio=f"{number}.wav",
                subset="weak",
                fold=number // 2 % 3 + 1,
                weak=(label,),
                events=None if short else (Event(1.0, 2.0, label),),
                meta={"snr_db": 0 if short else 10},
            )
        )
    packing.pack(folder, clips, folder / "dataset")
    return folder / "dataset"


@pytest.fixture(scope="module")
def trained(mixtures: Path, tmp_path_factory: pytest.TempPathFactory, ray_session: None) -> Path:
    out = tmp_path_factory.mktemp("trained") / "out"
    main(["train-weak", str(mixtures), str(out), "--model", "mtl", "--fold", "1", "3", *given()])
    return out


def test_all_folds_are_trained_and_put_together(trained: Path) -> None:
    results = [record_of(str(trained / f"fold-{fold}"))["result"] for fold in (1, 3)]
    for result in results:
        assert (result["clips"], result["held_out"]) == (8, 4)
        assert set(result["validation"]) == {
            *("ap_micro", "ap_macro", "roc_auc", "frame_ap", "psds1")
        }
    told = json.loads((trained / "report-1-3" / "folds.json").read_text())
    values = [result["validation"]["ap_micro"] for result in results]
    assert told["mean"]["ap_micro"] == pytest.approx(np.mean(values))
    assert told["standard_deviation"]["ap_micro"] == pytest.approx(np.std(values, ddof=1))
    page = (trained / "report-1-3" / "report.html").read_text()
    assert page.count("<img") == 5 and "fold-1" not in page  # curves, and two figures of two clips


def test_each_epoch_is_logged_and_the_best_is_kept(trained: Path) -> None:
    lines = [
        json.loads(line)
        for file in sorted((trained / "fold-1" / "metrics").iterdir())
        for line in file.read_text().splitlines()
    ]
    epochs = [line for line in lines if "epoch" in line]
    assert [line["epoch"] for line in epochs] == [1, 2]
    result = record_of(str(trained / "fold-1"))["result"]
    best = max(line["validation/ap_micro"] for line in epochs)
    assert result["validation"]["ap_micro"] == pytest.approx(best)


def test_detect_takes_the_checkpoint(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sounding(tmp_path / "long.wav", "low", 7, seconds=7.3)
    checkpoint = str(trained / "fold-1" / "detector.safetensors")
    where = ("--checkpoint", checkpoint, "--window-s", "2", "--overlap-s", "0.5")
    main(["detect", str(tmp_path / "long.wav"), *where, "--threshold", "0.01"])
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert rows[0][:4] == ["filename", "onset", "offset", "event_label"] and len(rows) > 1
    assert all(0 <= float(on) < float(off) <= 7.3 for _, on, off, *_ in rows[1:])


def test_a_figure_is_drawn_of_a_clip(trained: Path, mixtures: Path, tmp_path: Path) -> None:
    out, checkpoint = tmp_path / "f", trained / "fold-1" / "detector"
    options = ("--checkpoint", checkpoint, "--clips", "clip 3")
    main([str(word) for word in ("weak-figures", mixtures, out, *options)])
    assert len(list(out.glob("*.png"))) == 2


def test_the_inputs_are_standardised_on_the_training_folds(mixtures: Path, tmp_path: Path) -> None:
    write_start(Store.local(tmp_path), str(mixtures), SMALL, fold=1)
    task = WeakTask(str(mixtures), str(tmp_path / "start"), SMALL, fold=1)
    keys = {row.key for row in task.split.train}
    examples = list(
        task.clips.examples.read(
            [n for n, row in enumerate(open_dataset(str(mixtures)).rows) if row.key in keys]
        )
    )
    inputs = inputs_of(task.module.model, examples)
    assert inputs.mean(dim=(0, 1)) == pytest.approx(torch.zeros(16), abs=1e-4)
    assert inputs.std(dim=(0, 1), correction=0) == pytest.approx(torch.ones(16), abs=1e-3)
    batch = task.prepare(examples[:2], 0, ClipDraws(0, 0, ["a", "b"]))
    assert batch.tags.sum(dim=1).tolist() == [1.0, 1.0]


def test_published_spectrograms_give_the_published_batches(tmp_path: Path) -> None:
    file = write_h5(tmp_path)
    dataset = import_logmel(str(file), str(tmp_path / "out"))
    hop = {"hop_samples": 2500, "window_samples": 4096}  # 32 frames in 10 s
    settings = WeakTrainSettings(**{**OPTIONS, **hop})  # type: ignore[arg-type]
    write_start(Store.local(tmp_path / "start"), dataset, settings, fold=1)
    task = WeakTask(dataset, str(tmp_path / "start" / "start"), settings, fold=1)
    with h5py.File(file) as h5:
        logmel, folds, targets = h5["mixture_logmel"][:], h5["fold"][:], h5["target"][:]
        names = [name.decode().removesuffix(".wav") for name in h5["audio_name"][:]]
    train = logmel[folds != 1]
    expected = (logmel - train.mean(axis=(0, 1))) / train.std(axis=(0, 1))
    rows = open_dataset(dataset).rows
    examples = list(task.clips.examples.read(range(len(rows))))
    batch = task.prepare(examples, 0, ClipDraws(0, 0, []))
    for place, row in enumerate(rows):
        which = names.index(row.source_id.removeprefix("snr_10/"))
        np.testing.assert_allclose(batch.inputs[place], expected[which], atol=1e-4)
        assert batch.tags[place].tolist() == targets[which].tolist()
        assert row.fold == folds[which]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"target": None}, "no target in it"),
        ({"mixture_logmel": np.zeros((6, 32), np.float32)}, r"mixture_logmel \(6, 32\)"),
        ({"target": np.ones((6, 3), np.float32)}, "3 columns of targets, and 2 classes"),
        ({"target": np.ones((6, 2), np.float32)}, "give the mixture.yaml of this file"),
        ({"mixture_logmel": np.full((6, 32, 16), np.nan, np.float32)}, "NaN"),
    ],
)
def test_an_h5_of_another_shape(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    with pytest.raises(PipelineError, match=said):
        import_logmel(str(write_h5(tmp_path, **changes)), str(tmp_path / "out"))


def test_an_h5_without_its_recipes(tmp_path: Path) -> None:
    file = write_h5(tmp_path)
    (tmp_path / "mixture.yaml").unlink()
    with pytest.raises(PipelineError, match=r"no mixture\.yaml beside it"):
        import_logmel(str(file), str(tmp_path / "out"))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--fold", "9"), "no fold 9; expected one of 1, 2, 3"),
        (("--alpha", "-0.1"), "alpha -0.1: expected 0 or more"),
        (("--snr", "20"), "no clips at 20 dB; there are 0, 10"),
        (("--subset", "strong"), "no clips of the subset 'strong'"),
        (("--hop-samples", "512", "--model", "vgg"), "expected one of mtl"),
    ],
)
def test_what_cannot_be_trained_on_is_told_in_a_line(
    mixtures: Path, tmp_path: Path, refused: Callable[..., str], more: tuple[str, ...], said: str
) -> None:
    assert said in refused("train-weak", mixtures, tmp_path / "out", *given(), *more)


def test_a_fold_that_leaves_a_class_out_and_a_short_clip(mixtures: Path) -> None:
    packed = open_dataset(str(mixtures))
    everything = WeakTrainSettings(**{**OPTIONS, "snr": None})  # type: ignore[arg-type]
    with pytest.raises(PipelineError, match=r"clip 12: 0\.50 s, .*shorter than the field of mtl"):
        split_fold("set", packed, everything, 1)
    alone = WeakTrainSettings(**{**OPTIONS, "snr": 0.0})  # type: ignore[arg-type]
    with pytest.raises(PipelineError, match="1 folds among 1 clips"):
        split_fold("set", packed, alone, 1)


def test_a_class_that_only_one_fold_has_is_refused(tmp_path: Path) -> None:
    clips = []
    for number, label in enumerate(("low", "low", "high")):
        sounding(tmp_path / f"{number}.wav", label, number)
        clips.append(
            Clip(
                source_id=f"{number}",
                audio=f"{number}.wav",
                subset="weak",
                fold=number + 1,
                weak=(label,),
                meta={"snr_db": 10},
            )
        )
    packed, _ = packing.pack(tmp_path, clips, tmp_path / "dataset")
    with pytest.raises(PipelineError, match="fold 3: the 2 clips to train on have none of high"):
        split_fold("set", packed, SMALL, 3)
    with pytest.raises(PipelineError, match="clips to hold out have none of high"):
        split_fold("set", packed, SMALL, 1)


def test_another_kind_of_checkpoint_is_refused(
    mixtures: Path, models: Path, trained: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    draw = ("weak-figures", mixtures, tmp_path / "f", "--clips", "clip 1", "--checkpoint")
    assert "expected a network for weak labels" in refused(*draw, models / "detector")
    weak = trained / "fold-1" / "detector"
    assert isinstance(load_detector(str(weak)), WeakDetector)
    tune = ("finetune", mixtures, tmp_path / "t", "--start", weak)
    assert "has no backbone to train on" in refused(*tune)
