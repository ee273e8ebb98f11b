"""Regenerates weights and inputs of the parity fixtures from seeds (the rule: RULE.txt)."""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

F32 = np.float32
Array = npt.NDArray[Any]


def rng(name: str, seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode()) + seed))


def weight(key: str, shape: tuple[int, ...], seed: int, conv_gain: float) -> Array:
    """One tensor of a reference state dict, by the kind that its name tells."""
    leaf = key.rsplit(".", 1)[-1]
    if leaf == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    noise = np.asarray(rng(key, seed).standard_normal(shape)).astype(F32)
    if leaf == "running_mean" or leaf in ("bias", "in_proj_bias"):
        return F32(0.02) * noise
    if leaf == "running_var":
        return F32(1) + F32(0.1) * np.abs(noise)
    if leaf == "weight" and len(shape) == 1:
        return F32(1) + F32(0.02) * noise
    if leaf == "norm_stats":
        return np.array([-7.1, 4.2], F32)
    if leaf == "merge_weight":
        return F32(0.5) + F32(0.02) * noise
    if leaf in ("weight", "in_proj_weight", "lora_A", "lora_B"):
        gain = conv_gain if len(shape) == 4 else 1.0
        return F32(gain / np.sqrt(float(np.prod(shape[1:])))) * noise
    return F32(0.2) * noise


def state_dict(meta: dict[str, Any]) -> dict[str, Array]:
    """All tensors of an item, under the reference's names (prefix included)."""
    return {
        key: weight(key, tuple(shape), meta["seed"], meta["conv_gain"])
        for key, shape in meta["state_dict"].items()
    }


def mel(seed: int, batch: int, frames: int = 1000) -> Array:
    coarse = rng("mel.coarse", seed).standard_normal((batch, 16, (frames + 49) // 50))
    up = np.repeat(np.repeat(coarse, 8, axis=1), 50, axis=2)[:, :, :frames]
    return (0.7 * up + 0.5 * rng("mel.noise", seed).standard_normal((batch, 128, frames))).astype(
        F32
    )


def wav(seed: int, sample_rate_hz: int, seconds: int = 10) -> Array:
    samples = sample_rate_hz * seconds
    t = np.arange(samples) / sample_rate_hz
    noise = rng("wav.noise", seed).standard_normal((2, samples))
    top_hz = 0.95 * sample_rate_hz / 2
    chirp = np.sin(2 * np.pi * (50 * t + (top_hz - 50) / (2 * seconds) * t * t))
    gate = np.floor(t * 4) % 2
    return np.stack([0.3 * chirp + 0.1 * noise[0], (0.5 * gate + 0.001) * noise[1]]).astype(F32)


def load(parity_dir: Path, item: str) -> tuple[dict[str, Any], dict[str, Array]]:
    """The JSON and the arrays of one fixture."""
    meta = json.loads((parity_dir / f"{item}.json").read_text())
    with np.load(parity_dir / f"{item}.npz") as arrays:
        return meta, dict(arrays)


def tolerance(meta: dict[str, Any], output: str) -> float:
    """The strictest bound that the fixture states for an output on a CPU in float32."""
    entry = meta["outputs"][output]
    return float(entry.get("strict_tolerance_cpu_f32", entry["tolerance"]))


def tensors(meta: dict[str, Any]) -> dict[str, torch.Tensor]:
    """All tensors of an item for torch, under the reference's names."""
    return {key: torch.from_numpy(value) for key, value in state_dict(meta).items()}


def assert_close(
    meta: dict[str, Any], expected: dict[str, Array], name: str, got: torch.Tensor
) -> None:
    """Our part of an output against the reference's, within the strictest bound it states."""
    stored = expected[name]
    assert got.shape == stored.shape, f"{name}: {tuple(got.shape)}, expected {stored.shape}"
    distance = np.abs(got.detach().numpy() - stored).max()
    assert distance <= tolerance(meta, name), f"{name}: {distance} > {tolerance(meta, name)}"
