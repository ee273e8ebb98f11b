"""A step of PMAM's masked pretraining on a GPU: clips a second, memory, share of the peak, parity.

    python benchmarks/gpu/pretraining.py [--clips 24] [--steps 20] [--accumulate 1]
        [--variants float32 tf32 bfloat16 compiled] [--parity ../shared/parity]
    python benchmarks/gpu/pretraining.py --device cpu --clips 1 --steps 1 --tiny

The model is that of the preset `paper` with random weights: PaSST with LoRA beside the CNN, three
Transformer-XL blocks, 30 prototypes. A step is what training does: log-mel of ten seconds, masks,
forward, backward, AdamW (one fused kernel on a GPU), and one look at the loss. Variants:

    float32   eager, products in float32: the measure for the others
    tf32      eager, factors of products rounded to 10 bits
    bfloat16  eager, autocast
    compiled  autocast, blocks compiled one by one

The share of the peak is of floating point operations of matrix products and convolutions, which
torch counts, against square matrices multiplied in the same precision in the same run. `--parity`
compares log-mel, losses, outputs and lengths of gradients with the reference's, in float32. It
needs torch, numpy and (for `--parity`) safetensors alone.

It has not been run on a GPU yet.
"""

import argparse
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from device_clock import forget_peak, matrix_rate, name, peak_gb, seconds, set_tf32
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from pmam.encoders.passt.transformer import PaSSTSettings
from pmam.encoders.passt.with_cnn import PaSSTCNNEncoder
from pmam.encoders.registry import ENCODERS
from pmam.encoders.settings import EncoderSettings, LoraSettings
from pmam.models.backbone import Backbone
from pmam.models.masked_audio_model import MaskedAudioModel
from pmam.models.settings import ContextSettings, ModelSettings
from pmam.objectives.masked_prediction import PretextBatch, Pretraining
from pmam.objectives.settings import MaskSettings, PretextSettings
from pmam.training.precision import Shares, compile_blocks
from pmam.training.settings import PRETRAIN, OptimizerSettings, Precision
from pmam.training.trainer import Share, Trainer

CONTEXT = ContextSettings(width=384, layers=3, heads=12, hidden=384, dropout=0.0)
PRETEXT = PretextSettings(
    mask=MaskSettings(rate=0.8), lora=LoraSettings(rank=8, alpha=1.0, first_block=8)
)
OPTIMIZER = OptimizerSettings(steps=10**6, warm_up_steps=0, groups=PRETRAIN)
TINY = PaSSTSettings(width=24, depth=10, heads=12)
PROTOTYPES, WIDTH = 30, 768
CLIP_S, TINY_CLIP_S, FRAMES_PER_S = 10, 1, 100
WARM_UP = 3
VARIANTS: dict[str, tuple[Precision, bool, bool]] = {  # precision, TF32, compiled
    "float32": ("float32", False, False),
    "tf32": ("float32", True, False),
    "bfloat16": ("bfloat16", True, False),
    "compiled": ("bfloat16", True, True),
}


class Step:
    """One step of pretraining, again and again on the same clips."""

    def __init__(
        self, device: torch.device, clips: int, accumulate: int, precision: Precision, tiny: bool
    ) -> None:
        torch.manual_seed(0)
        if tiny:
            ENCODERS["passt_cnn"] = lambda settings: PaSSTCNNEncoder(settings, TINY)
        encoder = EncoderSettings(name="passt_cnn")
        backbone = Backbone(ModelSettings(encoder=encoder, context=CONTEXT))
        model = MaskedAudioModel(backbone, WIDTH, PROTOTYPES)
        self.module = Pretraining(model, torch.randn(PROTOTYPES, WIDTH), PRETEXT).train()
        self.module.to(device)
        self.shares = Shares(self.module, precision)
        self.trainer = Trainer(self.module, OPTIMIZER, seed=0)
        self.accumulate = accumulate
        length_s = TINY_CLIP_S if tiny else CLIP_S
        frames, samples = FRAMES_PER_S * length_s, backbone.encoder.sample_rate_hz * length_s
        self.waveform = 0.1 * torch.randn(clips, samples, device=device)
        logits = torch.randn(clips, frames, PROTOTYPES, device=device)
        self.posteriors = logits.softmax(dim=-1)
        self.padding = torch.zeros(clips, frames, dtype=torch.bool, device=device)

    def __call__(self) -> dict[str, float]:
        """Take a step."""
        return self.trainer.take_parts(self._parts)

    def _parts(self, step: int, generator: torch.Generator) -> Iterator[Share]:
        inputs = self.module.model.backbone.encoder.inputs(self.waveform)
        batch = PretextBatch(inputs=inputs, posteriors=self.posteriors, padding=self.padding)
        masked = self.module.prepare(batch, generator)
        totals = self.module.totals(masked)
        for part in masked.split(self.accumulate):
            yield self.shares(part, totals)


def operations(device: torch.device, tiny: bool) -> int:
    """Floating point operations of a step on one clip; torch does not count fused attention."""
    step = Step(device, 1, 1, "float32", tiny)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def measure(options: argparse.Namespace, device: torch.device) -> None:
    """Print a line for each variant."""
    flops = operations(device, options.tiny) * options.clips
    peaks = {}
    for label, (dtype, tf32) in {
        "float32": (torch.float32, False),
        "tf32": (torch.float32, True),
        "bfloat16": (torch.bfloat16, True),
    }.items():
        set_tf32(tf32)
        peaks[label] = matrix_rate(device, dtype)
    print(f"{name(device)}, torch {torch.__version__}; {flops / 1e12:.2f} TFLOP a step")
    print("matrix products: " + ", ".join(f"{k} {v / 1e12:.2f} TFLOP/s" for k, v in peaks.items()))
    print(f"{'variant':<10}{'clips/s':>9}{'of float32':>12}{'of the peak':>13}{'GB':>7}{'loss':>9}")
    first: float | None = None
    for variant in options.variants:
        precision, tf32, compiled = VARIANTS[variant]
        set_tf32(tf32)
        forget_peak(device)
        step = Step(device, options.clips, options.accumulate, precision, options.tiny)
        if compiled:
            compile_blocks(step.module)
        for _ in range(WARM_UP if options.steps > 1 else 1):
            loss = step()["loss"]
        took = statistics.median(seconds(step, device, 1) for _ in range(options.steps))
        rate, peak = options.clips / took, peaks["bfloat16" if precision == "bfloat16" else variant]
        first = first or rate
        print(
            f"{variant:<10}{rate:>9.2f}{rate / first:>12.2f}{flops / took / peak:>13.3f}"
            f"{peak_gb(device):>7.2f}{loss:>9.4f}"
        )
        del step


def parity(folder: Path, device: torch.device) -> bool:
    """Compare with what the reference computed; prints each distance and its bound."""
    from parity import distances

    set_tf32(False)
    found = distances(folder, device)
    for label, (distance, bound) in found.items():
        print(f"parity {label:<14}{distance:>10.1e}, bound {bound:.1e}")
    return all(distance <= bound for distance, bound in found.values())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--parity", type=Path)
    options = parser.parse_args()
    device = torch.device(options.device)
    if options.parity is not None and not parity(options.parity, device):
        sys.exit("parity: beyond the bounds that the fixtures state")
    measure(options, device)


if __name__ == "__main__":
    main()
