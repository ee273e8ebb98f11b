"""Fine-tuning with prototypes beside labels: who gets which targets, and what is refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import packing
import pytest
import tiny_models
import torch

from pipelines.presets.settings import RunSettings
from pipelines.presets.validate import check_run
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.files.urls import open_dataset, store, write_checkpoint, write_prototypes
from pipelines.runtime.stage import Stage, run_stage
from pipelines.stages.finetune import FinetuneTask, finetune, labels_alone
from pipelines.stages.settings import FinetuneSettings, PretrainSettings
from pipelines.training.prototype_targets import PrototypeTargets
from pipelines.training.settings import TrainSettings
from pmam.encoders.settings import EncoderSettings
from pmam.models.checkpoint import pack_encoder
from pmam.objectives.settings import AuxiliarySettings, FinetuneLossSettings, MaskSettings
from pmam.prototypes.artifact import Prototypes
from pmam.training.clip_draws import ClipDraws
from pmam.training.settings import OptimizerSettings
from shards.clip import Clip, Event
from shards.frames.reader import FrameSpec
from shards.frames.writer import FrameWriter
from shards.loading.examples import Example

K, WIDTH, HOP_S, RATE, SECONDS = 3, 5, 0.04, 16000, 0.6
CROP_FRAMES = 10
SUBSETS = ("strong", "strong", "weak", "unlabeled", "unlabeled", "unlabeled")
AUXILIARY = AuxiliarySettings(weight=0.5, mask=MaskSettings(rate=0.5, block_s=0.08))
SETTINGS = FinetuneSettings(
    context=tiny_models.CONTEXT,
    losses=FinetuneLossSettings(consistency_weight=0.0),
    auxiliary=AUXILIARY,
    validate_every=0,
    training=TrainSettings(
        optimizer=OptimizerSettings(steps=2, warm_up_steps=0),
        crop_s=CROP_FRAMES * HOP_S,
        batch={"strong": 2, "weak": 1, "unlabeled": 2},
    ),
)


def posteriors_of(key: str) -> np.ndarray:
    generator = np.random.default_rng([*key.encode()])
    frames: np.ndarray = generator.dirichlet(np.ones(K), 15).astype(np.float32)
    return frames


def write_label(
    folder: Path, name: str, subsets: tuple[str, ...] = (), width: int = K, hop_s: float = HOP_S
) -> str:
    """Posteriors as `label` writes them, of some subsets, or of all."""
    spec = FrameSpec(kind="posteriors", width=width, dtype="float32", hop_s=hop_s)

    def work(stage: Stage) -> dict[str, Any]:
        path = folder / "frames.arrow"
        with FrameWriter(path, spec) as writer:
            for row in open_dataset(str(folder / "dataset")).rows:
                if not subsets or row.subset in subsets:
                    writer.add(row.key, posteriors_of(row.key)[:, :width])
        return {"outputs": [stage.store.publish("frames/0.arrow", path)]}

    url = str(folder / name)
    run_stage("label", url, work, settings=spec, inputs={}, version=1)
    return url


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset, an encoder, prototypes and their posteriors."""
    folder = tmp_path_factory.mktemp("auxiliary")
    clips = []
    for number, subset in enumerate(SUBSETS):
        packing.write_noise(folder / f"{number}.wav", seed=number, seconds=SECONDS, rate=RATE)
        events = (Event(0.1, 0.3, "dog"),) if subset == "strong" else None
        weak = ("dog",) if subset == "weak" else None
        name = f"{number}.wav"
        clips.append(Clip(source_id=name, audio=name, subset=subset, events=events, weak=weak))
    packing.pack(folder, clips, folder / "dataset")
    write_checkpoint(store(str(folder)), "encoder", pack_encoder(tiny_models.backbone().encoder))
    fitted = Prototypes(
        kind="kmeans",
        weights=torch.full((K,), 1 / K, dtype=torch.float64),
        means=torch.randn(K, WIDTH, generator=torch.Generator().manual_seed(0)).double(),
        encoder="of-tests",
    )
    write_prototypes(store(str(folder / "fit")), fitted)
    write_label(folder, "label")
    return folder


def task(folder: Path, label: str = "label", settings: FinetuneSettings = SETTINGS) -> FinetuneTask:
    urls = [str(folder / name) for name in ("dataset", "encoder")]
    of = {"posteriors": str(folder / label), "prototypes": str(folder / "fit")}
    return FinetuneTask(*urls, None, settings, **of)


def batch_of(made: FinetuneTask) -> tuple[list[Example], ClipDraws]:
    batch = next(iter(made.clips.loader().batches(1))).examples
    return batch, ClipDraws(0, 0, [example.row.key for example in batch])


def test_clips_without_labels_get_the_posteriors_of_their_crop(folder: Path) -> None:
    made = task(folder)
    batch, draws = batch_of(made)
    found = made.prepare(batch, 0, draws)
    assert found.auxiliary is not None
    plain = [example for example in batch if example.row.subset == "unlabeled"]
    assert len(plain) == len(found.auxiliary.examples.inputs) == 2
    for example, posteriors in zip(plain, found.auxiliary.examples.posteriors, strict=True):
        first = round(example.start / RATE / HOP_S)
        expected = posteriors_of(example.row.key)[first:][:CROP_FRAMES]
        np.testing.assert_allclose(posteriors[: len(expected)], expected, atol=1e-6)
    inputs = made.examples.inputs(plain)
    assert torch.equal(found.auxiliary.examples.inputs, inputs), "as they are, not augmented"


@pytest.mark.parametrize(("consistency", "heard"), [(0.0, 3), (2.0, 5)])
def test_the_detector_hears_them_where_a_teacher_does(
    folder: Path, consistency: float, heard: int
) -> None:
    losses = replace(SETTINGS.losses, consistency_weight=consistency)
    made = task(folder, settings=replace(SETTINGS, losses=losses))
    found = made.prepare(*batch_of_step(made))
    assert len(found.batch.inputs) == len(found.teacher_inputs) == heard
    assert found.batch.has_events.sum() == 2 and found.batch.has_tags.sum() <= 1


def batch_of_step(made: FinetuneTask) -> tuple[list[Example], int, ClipDraws]:
    batch, draws = batch_of(made)
    return batch, 0, draws


def test_a_batch_of_labelled_clips_alone_has_nothing_to_predict(folder: Path) -> None:
    made = task(folder)
    batch, _ = batch_of(made)
    some = [example for example in batch if example.row.subset != "unlabeled"]
    found = made.prepare(some, 0, ClipDraws(0, 0, [example.row.key for example in some]))
    assert found.auxiliary is None
    loss, logs = made.module.partial_loss(found, made.module.totals(found))
    assert torch.isfinite(loss) and float(logs["prototypes"]) == 0


def test_other_posteriors_are_refused(folder: Path) -> None:
    write_label(folder, "narrow", width=2)
    with pytest.raises(PipelineError, match=r"narrow: posteriors of 2 prototypes every 0.04 s; ex"):
        task(folder, "narrow")
    write_label(folder, "slow", hop_s=0.08)
    with pytest.raises(PipelineError, match=r"3 prototypes every 0.08 s; expected those of the 3"):
        task(folder, "slow")
    write_label(folder, "some", subsets=("strong", "weak"))
    made = task(folder, "some")
    with pytest.raises(PipelineError, match=r"some: no posteriors of \d.wav \(unlabeled\)"):
        made.prepare(*batch_of_step(made))


def test_both_are_needed_or_neither(folder: Path, tmp_path: Path) -> None:
    urls = [str(folder / "dataset"), str(tmp_path / "out")]
    start = str(folder / "encoder")
    with pytest.raises(PipelineError, match=r"auxiliary.weight 0.5, posteriors None, prototypes N"):
        finetune(*urls, SETTINGS, start=start)
    both = {"posteriors": str(folder / "label"), "prototypes": str(folder / "fit")}
    with pytest.raises(PipelineError, match=r"auxiliary.weight 0, .*none where it is 0"):
        finetune(*urls, replace(SETTINGS, auxiliary=AuxiliarySettings()), start=start, **both)
    assert not (tmp_path / "out").exists()


def test_labels_alone_predict_no_prototypes() -> None:
    alone = labels_alone(SETTINGS)
    assert alone.auxiliary.weight == 0 and "unlabeled" not in alone.training.batch
    assert alone.training.optimizer == SETTINGS.training.optimizer
    assert alone.augment == SETTINGS.augment, "the comparison has the same augmentation"


def settings(**changes: Any) -> RunSettings:
    base = RunSettings(
        dataset="packed",
        encoder=EncoderSettings(name="small_cnn"),
        pretrain=PretrainSettings(context=tiny_models.CONTEXT),
        finetune=replace(SETTINGS, training=replace(SETTINGS.training, crop_s=10.0)),
    )
    return replace(base, **changes)


def test_a_run_hands_its_last_prototypes_to_the_auxiliary_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: dict[str, Any] = {}

    def note(name: str) -> Callable[..., str]:
        def stage(*urls: Any, out: str, settings: Any, **more: Any) -> str:
            handed[out.rpartition("/")[2]] = more | {"settings": settings}
            return out

        return stage

    for name in ("embed", "fit", "label", "pretrain", "finetune", "score", "evaluate"):
        monkeypatch.setattr(f"pipelines.run.{name}", note(name))
    monkeypatch.setattr("pipelines.run.results_of", lambda url: {})
    monkeypatch.setattr("pipelines.run.has_truth", lambda *_: True)
    monkeypatch.setattr("pipelines.run.check_classes", lambda *_: None)
    monkeypatch.setattr("pipelines.run.open_dataset", lambda _: open_dataset(str(tmp_path / "d")))
    from pipelines.run import story

    packing.write_noise(tmp_path / "a.wav")
    clip = Clip(source_id="a", audio="a.wav", subset="strong", events=(Event(0.0, 0.1, "x"),))
    packing.pack(tmp_path, [clip], tmp_path / "d")
    story(settings(iterations=2), str(tmp_path / "run"))
    found = handed["finetune"]
    assert found["posteriors"].endswith("/label-2") and found["prototypes"].endswith("/fit-2")
    baseline = handed["finetune-supervised"]
    assert (baseline["posteriors"], baseline["prototypes"]) == (None, None)
    assert baseline["settings"].auxiliary.weight == 0
    handed.clear()
    plain = replace(settings().finetune, auxiliary=AuxiliarySettings())
    story(settings(finetune=plain), str(tmp_path / "run"))
    assert (handed["finetune"]["posteriors"], handed["finetune"]["prototypes"]) == (None, None)
    handed.clear()
    story(settings(iterations=0), str(tmp_path / "run"))  # labels alone, as it says
    assert (handed["finetune"]["posteriors"], handed["finetune"]["prototypes"]) == (None, None)
    assert handed["finetune"]["settings"].auxiliary.weight == 0


def test_a_run_that_cannot_have_prototypes_is_refused_at_once() -> None:
    check_run(settings())
    tuning = settings().finetune
    long = replace(AUXILIARY, mask=MaskSettings(rate=0.5, block_s=30.0))
    with pytest.raises(PipelineError, match=r"finetune.auxiliary.mask.block_s 30"):
        check_run(settings(finetune=replace(tuning, auxiliary=long)))
    batch = {"strong": 2, "weak": 1}
    training = replace(tuning.training, batch=batch)
    with pytest.raises(PipelineError, match=r"finetune.auxiliary.weight 0.5 with a batch of 2 str"):
        check_run(settings(finetune=replace(tuning, training=training)))


def test_targets_need_no_training(folder: Path) -> None:
    """The same of pretraining: one place reads and checks them."""
    backbone = tiny_models.backbone()
    targets = PrototypeTargets(str(folder / "label"), str(folder / "fit"), K, backbone)
    made = task(folder)
    batch, _ = batch_of(made)
    found = targets.batch(batch, made.examples)
    assert found.posteriors.shape == (5, CROP_FRAMES, K)
    assert torch.equal(found.padding, made.examples.padding(batch))


@pytest.mark.slow
def test_it_trains_and_writes_a_detector(folder: Path, tmp_path: Path) -> None:
    of = {"posteriors": str(folder / "label"), "prototypes": str(folder / "fit")}
    out, start = str(tmp_path / "out"), str(folder / "encoder")
    finetune(str(folder / "dataset"), out, SETTINGS, start=start, **of)
    assert (tmp_path / "out" / "detector.safetensors").is_file()
