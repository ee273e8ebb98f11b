"""The preset `paper` shrunk: a DESED of seconds, PaSST with random weights, a few steps."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
import torch

from pipelines.presets import paper
from pipelines.presets.settings import RunSettings
from pmam.encoders.passt.state_dict_names import RENAMED
from pmam.encoders.registry import build_encoder
from pmam.encoders.settings import EncoderSettings
from pmam.models.importers.detect_format import DESED_CLASSES

RATE = 32000
CLIP_S = 2.0
K = 4
# Folder below audio/, table below metadata/, clips.
PARTS = {
    "strong": ("train/strong_label_real", "train/audioset_strong.tsv", 3),
    "weak": ("train/weak", "train/weak.tsv", 3),
    "unlabeled": ("train/unlabel_in_domain", "train/unlabel_in_domain.tsv", 4),
    "synthetic": (
        "train/synthetic21_train/soundscapes",
        "train/synthetic21_train/soundscapes.tsv",
        2,
    ),
    "validation": ("validation/validation", "validation/validation.tsv", 4),
}


def write_desed(folder: Path) -> Path:
    """Clips of tones in noise, laid out and labelled as DESED; every class is in each part."""
    random = np.random.default_rng(0)
    for part, (audio, table, clips) in PARTS.items():
        (folder / "audio" / audio).mkdir(parents=True)
        file = folder / "metadata" / table
        file.parent.mkdir(parents=True, exist_ok=True)
        rows = []
        for clip in range(clips):
            classes = DESED_CLASSES[clip::clips]
            name = f"Y{part[:6]:_<10}{clip}_10.000_20.000.wav"
            wave = 0.02 * random.standard_normal(round(CLIP_S * RATE))
            for number, label in enumerate(classes):
                onset, offset = 0.1 * number, 0.1 * number + 1.0
                time = np.arange(round(onset * RATE), round(offset * RATE))
                frequency = 200 * 1.4 ** DESED_CLASSES.index(label)
                wave[time] += 0.1 * np.sin(2 * np.pi * frequency * time / RATE)
                if part in ("strong", "synthetic", "validation"):
                    rows.append(f"{name}\t{onset:.3f}\t{offset:.3f}\t{label}")
            if part == "weak":
                rows.append(f"{name}\t{','.join(classes)}")
            if part == "unlabeled":
                rows.append(name)
            sf.write(folder / "audio" / audio / name, wave, RATE)
        columns = {"weak": "filename\tevent_labels", "unlabeled": "filename"}
        head = columns.get(part, "filename\tonset\toffset\tevent_label")
        file.write_text("\n".join([head, *rows]) + "\n")
    return folder


def write_passt(file: Path) -> Path:
    """Random weights under the names of PaSST's published file."""
    theirs = {ours: name for name, ours in RENAMED.items()}
    encoder: Any = build_encoder(EncoderSettings(name="passt"))
    state = encoder.transformer.passt.state_dict()
    published = {theirs.get(name, name): value for name, value in state.items()}
    published["head.1.weight"] = torch.zeros(527, 768)  # tagging heads, which we leave out
    published["head_dist.bias"] = torch.zeros(527)
    torch.save(published, file)
    return file


def tiny_paper(data: Path, weights: Path) -> RunSettings:
    """The preset with less of everything; what is done stays the same."""
    base = paper()
    assert base.finetune_first is not None

    def short(training: Any, batch: dict[str, int]) -> Any:
        optimizer = replace(training.optimizer, steps=2, warm_up_steps=1)
        return replace(
            training, crop_s=CLIP_S, batch=batch, checkpoint_every=2, optimizer=optimizer
        )

    tuning = {"strong": 1, "synthetic": 1, "weak": 1, "unlabeled": 1}
    reading = base.finetune.detector
    return replace(
        base,
        data=str(data),
        encoder=replace(base.encoder, weights=str(weights)),
        embed=replace(base.embed, keep_every=4),
        fit=replace(base.fit, k=K, pca=6, iterations=5),
        pretrain=replace(
            base.pretrain,
            training=short(base.pretrain.training, {"strong": 1, "weak": 1, "unlabeled": 2}),
        ),
        finetune_first=replace(
            base.finetune_first, training=short(base.finetune_first.training, tuning)
        ),
        finetune=replace(
            base.finetune,
            training=short(base.finetune.training, tuning),
            detector=replace(
                reading,
                sliding=replace(reading.sliding, frames=100),
                teacher_sliding=replace(reading.teacher_sliding, frames=100),
            ),
        ),
        baseline=False,
    )
