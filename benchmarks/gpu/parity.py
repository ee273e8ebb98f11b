"""How far log-mel and a pretraining step on a device are from what the reference computed."""

import math
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "helpers" / "models"))

from parity_rule import load, mel, rng, wav
from passt_cases import LORA, pretraining_of

from pmam.encoders.log_mel import LogMel, LogMelSettings
from pmam.models.importers.transformer4sed import our_name
from pmam.objectives.losses.prototype_bce import prototype_logits
from pmam.objectives.masked_prediction import PretextBatch
from pmam.objectives.masking import MaskDraws, block_mask
from pmam.objectives.settings import MaskSettings, PretextSettings

# As the published code has it.
MASK = MaskSettings(rate=0.8, one_more_block=True)
BLOCK_FRAMES = 10


def distances(folder: Path, device: torch.device) -> dict[str, tuple[float, float]]:
    """By output: the greatest distance from the fixture, and what the fixture allows."""
    return {**_log_mel(folder, device), **_pretraining(folder, device)}


def _log_mel(folder: Path, device: torch.device) -> dict[str, tuple[float, float]]:
    meta, expected = load(folder, "01_mel_frontend")
    frontend = LogMel(LogMelSettings(peak_normalise=meta["config"]["wav_norm"])).to(device)
    found = frontend(torch.from_numpy(wav(meta["seed"], 32000)).to(device)).cpu().numpy()
    distance = float(np.abs(found[:, ::3, ::7] - expected["logmel"]).max())
    return {"log-mel": (distance, meta["outputs"]["logmel"]["tolerance"])}


def _draws(seed: int) -> MaskDraws:
    """The fixture's own; it numbers random frames in the order in which they are used."""
    noise = torch.from_numpy(rng("mlm.block_noise", seed).random((2, 100)).astype(np.float32))
    mask = block_mask(noise, 1000, BLOCK_FRAMES, MASK.rate, one_more=True).flatten()
    style = torch.from_numpy(rng("mlm.style_probs", seed).random(2000).astype(np.float32))
    indices = rng("mlm.random_index", seed).integers(0, 2000, size=2000)
    is_random = mask & (style >= 0.9) & (style < 0.95)
    source = torch.zeros(2000, dtype=torch.long)
    source[is_random] = torch.from_numpy(indices[: int(is_random.sum())])
    return MaskDraws(block_noise=noise, style=style.view(2, 1000), source=source.view(2, 1000))


def _pretraining(folder: Path, device: torch.device) -> dict[str, tuple[float, float]]:
    meta, expected = load(folder, "03_passt_cnn_mlm")
    seed = meta["seed"]
    means = torch.from_numpy(expected["input_gmm_means"])
    module = pretraining_of(meta, means, PretextSettings(mask=MASK, lora=LORA)).to(device)
    logits = np.repeat(rng("gmm.label_logits", seed).standard_normal((2, 100, 30)), 10, axis=1)
    batch = PretextBatch(
        inputs=torch.from_numpy(mel(seed, 2)).transpose(1, 2).to(device),
        posteriors=torch.softmax(torch.from_numpy(3.0 * logits), dim=-1).float().to(device),
        padding=torch.zeros(2, 1000, dtype=torch.bool, device=device),
    )
    said: list[torch.Tensor] = []
    module.model.head.register_forward_hook(lambda _module, _inputs, out: said.append(out.detach()))
    loss, logs = module.losses(batch, _draws(seed).to(device), BLOCK_FRAMES)
    loss.backward()
    bounds = {name: entry["tolerance"] for name, entry in meta["outputs"].items()}
    losses = torch.stack([logs["masked"], logs["clip"], loss.detach()]).cpu().numpy()
    predicted = torch.sigmoid(prototype_logits(said[0], module.means))[:, ::7].cpu().numpy()
    outputs = {
        "logit": said[0][:, ::13, ::7].cpu().numpy(),
        "pred": predicted,
        "losses": losses,
    }
    found = {
        name: (float(np.abs(value - expected[name]).max()), float(bounds[name]))
        for name, value in outputs.items()
    }
    stated = meta["gradients"]
    lengths = dict(module.model.named_parameters())
    worst = max(
        abs(math.log(float(lengths[str(our_name(name))].grad.norm()) / norm))
        for name, norm in stated["norms"].items()
    )
    return {**found, "gradients": (worst, float(stated["recommended_rel_tolerance_on_norms"]))}
