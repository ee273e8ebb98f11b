"""A tagger whose tags are tones, so that what must be found where is known; and its words."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from torch import Tensor, nn
from word_cases import Vectors

from pmam.errors import InputError
from pmam.tagging import sentences, taggers
from pmam.tagging.taggers import Tagger

RATE_HZ = 8000
# Tag to its tone; a voice, a bang, water.
TONES = {"Speech": 500.0, "Gunshot": 1500.0, "Rain": 3000.0}


class Words(Vectors):
    """Any case, and the mean of words with commas between, as groups of tags are."""

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return np.stack(
            [super(Words, self).encode(text.lower().split(", ")).mean(axis=0) for text in texts]
        )


VECTORS = Words(
    {
        "speech": (1, 0, 0),
        "gunshot": (0, 1, 0),
        "rain": (0, 0, 1),
        "talking": (0.9, 0.1, 0.0),
        "gun shot": (0.0, 0.95, 0.2),
        "storm": (0.0, 0.3, 0.9),
        "office": (0.8, 0.0, 0.1),
        "street": (0.3, 0.6, 0.3),
        "nothing": (-1, -1, -1),
    }
)


class ToneNetwork(nn.Module):
    """Logits by the share of a window's power near each tone."""

    def __init__(self, tones: Tensor) -> None:
        super().__init__()
        self.tones = nn.Parameter(tones)

    def forward(self, waveform: Tensor) -> Tensor:
        power = torch.fft.rfft(waveform).abs() ** 2
        hertz = torch.fft.rfftfreq(waveform.shape[1], 1 / RATE_HZ)
        bands = (hertz[:, None] - self.tones).abs() < 100
        share = power @ bands.float() / power.sum(dim=1, keepdim=True).clamp(min=1e-9)
        return 20 * (share - 0.4)


def tone_tagger(published: Mapping[str, Tensor]) -> Tagger:
    if "tones" not in published:
        raise InputError("no tagging head (tones is missing)")
    network = ToneNetwork(published["tones"]).eval()
    return Tagger(network=network, rate_hz=RATE_HZ, classes=len(published["tones"]))


def use_tones(patch: pytest.MonkeyPatch) -> None:
    """Make `mn04` the tagger of tones, and every sentence model the one of `VECTORS`."""
    patch.setitem(taggers.TAGGERS, "mn04", tone_tagger)
    patch.setattr(sentences, "SentenceModel", lambda place: VECTORS)


def write_weights(folder: Path) -> tuple[Path, Path]:
    """Weights, and the names of the classes."""
    weights, classes = folder / "tones.pt", folder / "tags.txt"
    torch.save({"tones": torch.tensor(list(TONES.values()))}, weights)
    classes.write_text("\n".join(TONES) + "\n")
    return weights, classes


def write_tones(path: Path, parts: Sequence[tuple[str, float]], rate_hz: int = RATE_HZ) -> Path:
    """A recording of tags, each for some seconds; what is no tag is faint noise."""
    generator = np.random.default_rng(0)
    pieces = []
    for tag, seconds in parts:
        times = np.arange(round(seconds * rate_hz)) / rate_hz
        piece = 0.001 * generator.standard_normal(len(times))
        if tag in TONES:
            piece += 0.3 * np.sin(2 * np.pi * TONES[tag] * times)
        pieces.append(piece)
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, np.concatenate(pieces), rate_hz)
    return path
