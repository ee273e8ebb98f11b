"""Networks of all kinds and sizes: shapes, ranges, lengths, checkpoints, and what is refused."""

import dataclasses

import pytest
import torch

from pmam.errors import InputError
from pmam.models.checkpoint import Checkpoint, CheckpointError, pack_weak, unpack
from pmam.models.importers.detect_format import import_published
from pmam.models.settings import ContextSettings
from pmam.models.start import start_backbone
from pmam.weak_labels.detector import WeakDetector, build_weak
from pmam.weak_labels.objective import WeakBatch, WeakTraining
from pmam.weak_labels.published_names import MARKS
from pmam.weak_labels.registry import NETWORKS
from pmam.weak_labels.settings import WeakNetworkSettings

SMALL = WeakNetworkSettings(width=2, mels=16, frames=40, hop_samples=4096, window_samples=8192)


def small(model: str, **changes: object) -> WeakNetworkSettings:
    return dataclasses.replace(SMALL, model=model, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("model", NETWORKS)
@pytest.mark.parametrize("frames", [30, 40, 97])
def test_any_length_gives_probabilities_of_clips_and_frames(model: str, frames: int) -> None:
    detector = build_weak(small(model), ("a", "b", "c")).eval()
    with torch.inference_mode():
        found = detector.output(torch.randn(2, frames, 16))
    assert found.clips.shape == (2, 3)
    assert found.frames.shape == (2, frames, 3)
    assert found.cells.shape == (2, 3, frames, 16)
    for values in (found.clips, found.frames, found.cells):
        assert values.min() >= 0 and values.max() <= 1
    assert (found.reconstruction is None) == (model != "mtl")


@pytest.mark.parametrize("model", NETWORKS)
def test_what_a_network_hears_of_a_cell_is_as_wide_as_it_says(model: str) -> None:
    network = build_weak(small(model, frames=99), ("a",)).eval().network
    inputs = torch.randn(1, 99, 16, requires_grad=True)
    layers = network.stages(inputs[:, None])  # type: ignore[operator]
    layers[:, :, 49].sum().backward()
    heard = inputs.grad.abs().sum(dim=(0, 2)).nonzero()  # type: ignore[union-attr]
    assert int(heard.max() - heard.min()) + 1 == network.field_frames


def test_a_clip_shorter_than_the_field_is_refused() -> None:
    with pytest.raises(InputError, match=r"24 frames .* shorter than the field of mtl, 25 frames"):
        build_weak(small("mtl"), ("a",)).output(torch.randn(1, 24, 16))


@pytest.mark.parametrize("model", NETWORKS)
def test_a_checkpoint_gives_the_same_detector(model: str) -> None:
    detector = build_weak(small(model), ("a", "b"), seed=3).eval()
    file = pack_weak(detector).to_bytes()
    packed = Checkpoint.from_bytes(file, "x")
    assert packed is not None
    again = unpack(packed, "x")
    assert isinstance(again, WeakDetector)
    assert (again.settings, again.classes) == (detector.settings, ("a", "b"))
    inputs = torch.randn(1, 40, 16)
    with torch.inference_mode():
        torch.testing.assert_close(again(inputs).clips, detector(inputs).clips)
    assert packed.fingerprint != pack_weak(build_weak(small(model), ("a", "c"), 3)).fingerprint


def test_it_is_no_start_of_a_mean_teacher() -> None:
    with pytest.raises(CheckpointError, match="x: a network for weak labels"):
        start_backbone(build_weak(SMALL, ("a",)), ContextSettings(), "x")


def test_a_published_file_names_its_kind_or_is_asked_for_it() -> None:
    tensors = {next(n for n, f in MARKS.items() if f == "pooled"): torch.zeros(2, 8, 1, 1)}
    with pytest.raises(CheckpointError, match="could be any of gmp, gap, gwrp"):
        import_published(tensors, "best.pth")
    with pytest.raises(CheckpointError, match="no whole gap network"):
        import_published(tensors, "best.pth", model="gap")
    with pytest.raises(CheckpointError, match="asked for mtl"):
        import_published(tensors, "best.pth", model="mtl")
    with pytest.raises(CheckpointError, match="cannot become a masked"):
        import_published(tensors, "best.pth", kind="masked")


@pytest.mark.parametrize("alpha", [-0.001, float("nan"), float("inf")])
def test_a_bad_alpha_is_refused(alpha: float) -> None:
    with pytest.raises(InputError, match=r"alpha .*expected 0 or more"):
        WeakTraining(build_weak(SMALL, ("a",)), alpha)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "vgg"}, "expected one of mtl, gmp"),
        ({"width": 0}, "width 0"),
        ({"hop_samples": 9000}, "no sample may fall between"),
        ({"mels": 2}, "at least 4"),
    ],
)
def test_bad_settings_are_refused(changes: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        dataclasses.replace(SMALL, **changes)  # type: ignore[arg-type]


def test_the_loss_is_of_clips_and_alpha_times_the_reconstruction_and_adds_up_over_parts() -> None:
    torch.manual_seed(0)
    task = WeakTraining(build_weak(SMALL, ("a", "b")), alpha=0.5).eval()
    batch = WeakBatch(inputs=torch.randn(4, 40, 16), tags=torch.eye(2).repeat(2, 1))
    totals = task.totals(batch)
    whole, logs = task.partial_loss(batch, totals)
    found = task.model.output(batch.inputs)
    assert found.reconstruction is not None
    expected = torch.nn.functional.binary_cross_entropy(found.clips, batch.tags)
    expected = expected + 0.5 * torch.nn.functional.mse_loss(found.reconstruction, batch.inputs)
    torch.testing.assert_close(whole, expected)
    assert set(logs) == {"weak", "reconstruction"}
    parts = [task.partial_loss(part, totals)[0] for part in batch.split(2)]
    torch.testing.assert_close(torch.stack(parts).sum(), whole)


def test_the_best_is_kept_while_training_goes_on() -> None:
    task = WeakTraining(build_weak(SMALL, ("a",)), alpha=0.0).train()
    assert task.model.training and not task.best.training
    assert task.consider(0.5, step=10)
    with torch.no_grad():
        next(task.model.network.parameters()).fill_(7.0)
    assert not task.consider(0.5, step=20) and not task.consider(float("nan"), step=30)
    assert int(task.best_step) == 10
    assert not (next(task.best.network.parameters()) == 7.0).all()
    assert task.consider(0.6, step=40) and float(task.best_score) == 0.6
    assert (next(task.best.network.parameters()) == 7.0).all()
