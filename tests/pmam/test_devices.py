"""Training steps on a GPU that is not there: fake tensors find what was left on the CPU."""

from typing import Any

import pytest
import tiny_models
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from pmam.augment.settings import AugmentSettings
from pmam.models.settings import ContextSettings
from pmam.objectives.masked_prediction import PretextBatch, Pretraining
from pmam.objectives.mean_teacher import Finetuning, LabelledBatch
from pmam.objectives.settings import FinetuneLossSettings, PretextSettings
from pmam.training.precision import Shares

CLIPS, FRAMES = 4, 20
# Not the filter and mixup: they draw integers, which fake tensors do not have.
AUGMENT = AugmentSettings(
    frame_shift_s=0.1,
    distortion=0.02,
    frequency_mask_mels=4,
    noise_snr_db=(10.0, 20.0),
)


def to_gpu(module: nn.Module) -> None:
    """Fake weights in the place of the real ones."""
    for part in module.modules():
        for name, value in part._parameters.items():
            if value is not None:
                part._parameters[name] = nn.Parameter(torch.empty(value.shape, device="cuda"))
        for name, value in part._buffers.items():
            if value is not None:
                part._buffers[name] = torch.empty(value.shape, dtype=value.dtype, device="cuda")


def empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(*shape, dtype=dtype, device="cuda")


@pytest.mark.filterwarnings("ignore:CUDA is not available")
@pytest.mark.parametrize("network", ["transformer_xl", "conformer"])
@pytest.mark.parametrize("kind", ["pretraining", "finetuning"])
def test_nothing_is_left_on_the_cpu(kind: str, network: str) -> None:
    context = ContextSettings(network=network, width=16, layers=1, heads=2, hidden=16)
    module: Any
    if kind == "pretraining":
        model = tiny_models.masked()
        model.backbone = tiny_models.backbone(context)
        module = Pretraining(model, torch.zeros(3, 5), PretextSettings(augment=AUGMENT))
    else:
        detector = tiny_models.detector()
        detector.backbone = tiny_models.backbone(context)
        module = Finetuning(detector, FinetuneLossSettings(), AUGMENT)
    with FakeTensorMode(), torch.no_grad():
        to_gpu(module.train())
        generator = torch.Generator()
        inputs, padding = empty(CLIPS, 4 * FRAMES, 64), empty(CLIPS, FRAMES, dtype=torch.bool)
        if kind == "pretraining":
            posteriors = empty(CLIPS, FRAMES, 3)
            pretext = PretextBatch(inputs=inputs, posteriors=posteriors, padding=padding)
            prepared = module.prepare(pretext, generator)
        else:
            labelled = LabelledBatch(
                inputs=inputs,
                padding=padding,
                events=empty(CLIPS, FRAMES, 2),
                tags=empty(CLIPS, 2),
                has_events=empty(CLIPS, dtype=torch.bool),
                has_tags=empty(CLIPS, dtype=torch.bool),
            )
            prepared = module.prepare(labelled, 0, generator)
        totals = module.totals(prepared)
        for part in prepared.split(2):
            loss, logs = Shares(module)(part, totals)
            assert {loss.device.type, *(v.device.type for v in logs.values())} == {"cuda"}
