"""A stage's output and its algorithm version change together, or not at all.

Where a test fails here and the change was meant: raise ALGORITHM_VERSION in the stage's file, and
put the line that the message gives in place of the old one. What comes after a changed stage
changes with it; its version stays.
"""

import importlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from foreign_cases import sound, write_tar
from stage_outputs import (
    Output,
    dataset,
    embedded,
    frames,
    learned,
    levels,
    results,
    sounds,
    survey,
    tables,
    tensors,
)
from tiny_run import tiny_settings
from tone_tagger import use_tones, write_tones, write_weights
from weak_cases import SMALL, arrays, numbers, pictures, write_h5

from pipelines.cli.main import main
from pipelines.run import RunResult
from pipelines.stages.finetune import finetune
from pipelines.stages.fit.stage import fit
from pipelines.stages.settings import FinetuneSettings
from pipelines.stages.tag.settings import WordLabelSettings
from pipelines.stages.tag.word_labels import word_classes, word_labels
from pmam.tagging.settings import TagSettings

TOLERANCE = 1e-3
# In the order of the run: the stage's folder, its module, and what measures its output.
MEASURED: dict[str, tuple[str, Callable[[Path], Output]]] = {
    "soundscapes": ("stages.soundscapes.stage", sounds),
    "dataset": ("stages.pack.stage", dataset),
    "embed-1": ("stages.embed", embedded),
    "fit-1": ("stages.fit.stage", tensors("prototypes.safetensors")),
    "label-1": ("stages.label", frames),
    "pretrain-1": ("stages.pretrain", tensors("pretrained.safetensors")),
    "embed-2": ("stages.embed", frames),
    "fit-2": ("stages.fit.stage", tensors("prototypes.safetensors")),
    "label-2": ("stages.label", frames),
    "pretrain-2": ("stages.pretrain", tensors("pretrained.safetensors")),
    "finetune": ("stages.finetune", tensors("detector.safetensors")),
    "score": ("stages.score", frames),
    "evaluate": ("stages.evaluate.stage", results),
    "labelled": ("stages.reindex.edit", dataset),
    "filtered": ("stages.reindex.edit", dataset),
    "merged": ("stages.reindex.edit", dataset),
    "foreign": ("stages.reindex.foreign", dataset),
    "measured": ("stages.inspect.measure", levels),
    "survey": ("stages.prototypes.survey", survey),
    "means": ("stages.checkpoint.import_published", tensors("prototypes.safetensors")),
    "posteriors": ("stages.checkpoint.import_published", frames),
    "weak-set": ("stages.weak_labels.import_h5", arrays),
    "weak/fold-1": ("stages.weak_labels.stage", tensors("detector.safetensors")),
    "weak/figures-1": ("stages.weak_labels.figures", pictures),
    "weak/report-1": ("stages.weak_labels.report", numbers),
    "words/tags-1": ("stages.tag.stage", frames),
    "words/labels": ("stages.tag.word_labels", tables),
    # Again, with settings under which terms act that hardly do in so few steps and on such data.
    "regularised": ("stages.fit.stage", tensors("prototypes.safetensors")),
    "taught": (
        "stages.finetune",
        learned("detector.safetensors", "../start/pretrained.safetensors"),
    ),
}
EXPECTED: dict[str, tuple[int, Output]] = json.loads(
    (Path(__file__).parent / "algorithm_versions.json").read_text()
)


@pytest.fixture(scope="module")
def outputs(
    finished: tuple[Path, RunResult], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Output]:
    """The outputs of all stages: of a run, and of what reads the same dataset."""
    out, beside = finished[0], tmp_path_factory.mktemp("beside")
    make_others(out, beside)
    make_weak(beside)
    make_again(out, beside)
    make_tags(beside)
    return {name: measure(folder_of(name, out, beside)) for name, (_, measure) in MEASURED.items()}


def folder_of(name: str, out: Path, beside: Path) -> Path:
    return next(p for p in (out / name, beside / name) if p.is_dir())


def make_others(run: Path, out: Path) -> None:
    packed = str(run / "dataset")

    def call(*arguments: Any) -> None:
        main([str(argument) for argument in arguments])

    mapping = out / "mapping.tsv"
    mapping.write_text("old\tnew\nalarm\tloud\nbark\tanimal\nbark\tdog\n")
    rename = ("--mapping", mapping, "--unmapped", "drop")
    call("reindex", "labels", packed, out / "labelled", *rename)
    where = ("--where", 'subset != "weak" and labels')
    call("reindex", "filter", packed, out / "filtered", *where)
    call(
        "reindex",
        "merge",
        packed,
        out / "filtered",
        out / "merged",
        "--prefixes",
        "a",
        "b",
    )
    members = [
        (f"clip{n}.{kind}", value)
        for n in range(4)
        for kind, value in (("flac", sound(n)), ("cls", str(n % 2)))
    ]
    write_tar(out / "tars" / "s-000.tar", members)
    call("reindex", "foreign", out / "tars", out / "foreign", "--classes", "cat", "dog")
    call("inspect", packed, "--out", out)
    call("prototypes", run / "fit-1", "--dataset", packed, "--out", out)
    random = np.random.default_rng(0)
    torch.save(torch.from_numpy(random.normal(size=(4, 6))).float(), out / "means.pt")
    call("import", "prototypes", out / "means.pt", out / "means")
    ids = sorted(p.stem for p in (run / "soundscapes" / "weak").iterdir())[:3]
    for name in ids:
        posteriors = random.dirichlet(np.full(4, 0.3), 10)
        rows = np.column_stack([np.arange(10) * 0.04, np.arange(1, 11) * 0.04, posteriors])
        (out / "tables" / "weak").mkdir(parents=True, exist_ok=True)
        head = "\t".join(["onset", "offset", *map(str, range(4))])
        file = out / "tables" / "weak" / f"{name}.tsv"
        np.savetxt(file, rows.round(4), fmt="%.4f", delimiter="\t", header=head, comments="")
    call("import", "posteriors", out / "tables", packed, out / "posteriors")


def make_weak(out: Path) -> None:
    file, packed = write_h5(out / "published"), out / "weak-set"
    main(["import", "logmel", str(file), str(packed)])
    main(["train-weak", str(packed), str(out / "weak"), "--fold", "1", *SMALL])


def make_tags(out: Path) -> None:
    file = write_tones(out / "tones.wav", [("Speech", 2.2), ("", 1), ("Gunshot", 1.5)])
    weights, classes = map(str, write_weights(out))
    windows = ("--window-s", "1", "--hop-s", "0.7", "--least-s", "1.5", "--noise", "20")
    with pytest.MonkeyPatch.context() as patch:
        use_tones(patch)
        patch.chdir(out)  # names are part of what is written
        given = ["tag", file.name, "--weights", weights, "--classes", classes, *windows]
        main([*given, "--output-dir", str(out / "words")])
        said = WordLabelSettings(
            events="talking, gun shot",
            kind="strong",
            tags=TagSettings(window_s=1.0, hop_s=0.7, least_s=1.5, noise=20.0),
        )
        named = word_classes(said, ("Gun_shot",))
        word_labels([str(out / "words/tags-1")], str(out / "words/labels"), said, classes=named)


def make_again(run: Path, out: Path) -> None:
    settings = tiny_settings()
    packed, first = str(run / "dataset"), str(run / "embed-1")
    strong = replace(settings.fit, covariance="diag", regularisation=0.3)
    fit(packed, first, str(out / "regularised"), strong)
    shutil.copytree(run / "pretrain-2", out / "start")
    start = str(out / "start" / "pretrained")
    cached = first if settings.cached_inputs else None
    taught = strongly_taught(settings.finetune)
    # Without validation clips the teacher is what is kept.
    main(["reindex", "filter", packed, str(out / "unwatched"), "--where", 'subset != "validation"'])
    unwatched = str(out / "unwatched")
    finetune(unwatched, str(out / "taught"), taught, start=start, cached_inputs=cached)


def strongly_taught(settings: FinetuneSettings) -> FinetuneSettings:
    """A teacher that lets go of what it was at once, and is obeyed from the first step on."""
    training = settings.training
    optimizer = replace(
        training.optimizer, body_lr=1e-3, head_lr=5e-3, warm_up_steps=1, flat_share=1.0
    )
    return replace(
        settings,
        ema_limit=0.5,
        losses=replace(settings.losses, consistency_ramp_steps=1, consistency_weight=200.0),
        training=replace(training, optimizer=optimizer),
    )


def changed(expected: Output, found: Output) -> list[str]:
    """The values that differ by more than float noise."""

    def same(name: str) -> bool:
        one, other = expected.get(name), found.get(name)
        if isinstance(one, float | int) and isinstance(other, float | int):
            # Sums with signs are of standardised values: about 1 is their size.
            least = 1.0 if name.endswith((" a", " b")) else 1e-2
            return bool(abs(one - other) <= TOLERANCE * max(least, abs(one)))
        return one == other

    names = [*expected, *(name for name in found if name not in expected)]
    return [name for name in names if not same(name)]


def version_of(module: str) -> int:
    return int(importlib.import_module(f"pipelines.{module}").ALGORITHM_VERSION)


def test_every_stage_is_measured() -> None:
    root = Path(__file__).resolve().parents[2] / "pipelines"
    stages = {
        ".".join(p.relative_to(root).with_suffix("").parts)
        for p in root.rglob("*.py")
        if "\nALGORITHM_VERSION = " in p.read_text()
    }
    assert stages == {module for module, _ in MEASURED.values()}
    assert EXPECTED.keys() == MEASURED.keys()


def test_output_and_version_change_together(outputs: dict[str, Output]) -> None:
    problems = []
    for name, (module, _) in MEASURED.items():
        version, expected = EXPECTED[name]
        now = version_of(module)
        different = changed(expected, outputs[name])
        line = json.dumps({name: [now, outputs[name]]})
        if now != version:
            problems.append(f"{module}: version {now}, recorded {version}; record {line}")
        elif different:
            problems.append(
                f"{name}: the output of {module} changed ({', '.join(different)}) and its version "
                "did not: raise ALGORITHM_VERSION in its file, or mend it; if it changed because a "
                f"stage before it did, leave the version; then record {line}"
            )
    assert not problems, "\n".join(problems)


def test_noise_is_no_change_and_a_change_is() -> None:
    expected: Output = {"a": 1.0, "b": "x", "c": 0.0}
    assert changed(expected, {"a": 1.0005, "b": "x", "c": 1e-6}) == []
    found: Output = {"a": 1.002, "b": "y", "c": 1e-4, "d": 1.0}
    assert changed(expected, found) == ["a", "b", "c", "d"]
    assert changed({"x a": 0.1}, {"x a": 0.1008}) == []
    assert changed({"x a": 0.1}, {"x a": 0.1012}) == ["x a"]
