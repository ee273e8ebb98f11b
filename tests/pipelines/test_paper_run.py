"""PMAM as published from end to end, shrunk: every stage of the preset `paper` at work."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from paper_run import CLIP_S, PARTS, RATE, K, tiny_paper, write_desed, write_passt
from tiny_run import write_config

from pipelines.cli.main import main
from pipelines.inference.frame_job import open_frames
from pipelines.runtime.files.urls import open_dataset, read_checkpoint, read_prototypes
from pipelines.runtime.stage import record_of
from pmam.encoders.base import FrameEncoder
from pmam.models.checkpoint import unpack
from pmam.models.detector import DetectorModel
from pmam.models.importers.detect_format import DESED_CLASSES
from pmam.models.masked_audio_model import MaskedAudioModel

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800), pytest.mark.usefixtures("ray_session")]
STAGES = {
    "dataset",
    *(f"{name}-{n}" for n in (1, 2) for name in ("embed", "fit", "label", "pretrain")),
    *("finetune-first", "finetune", "score", "evaluate"),
}
PASST = "backbone.encoder.transformer.passt."


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory, ray_session: None) -> Path:
    folder = tmp_path_factory.mktemp("paper")
    settings = tiny_paper(write_desed(folder / "DESED"), write_passt(folder / "passt.pt"))
    main(
        [
            *("run", "--config", str(write_config(folder / "run.json", settings))),
            *("--out", str(folder / "out")),
        ]
    )
    return folder / "out"


def model(out: Path, name: str) -> FrameEncoder | MaskedAudioModel | DetectorModel:
    return unpack(read_checkpoint(str(out / name)), name)


def test_every_stage_is_whole(out: Path) -> None:
    assert {path.parent.name for path in out.glob("*/stage.json")} == STAGES
    dataset = open_dataset(str(out / "dataset"))
    counts = {part: clips for part, (_, _, clips) in PARTS.items()}
    assert dataset.manifest.totals.subsets == counts
    assert dataset.manifest.classes == DESED_CLASSES
    results = json.loads((out / "evaluate" / "results.json").read_text())
    assert 0 <= results["validation"]["psds1"]["value"] <= 1


def test_prototypes_are_of_frames_of_passt(out: Path) -> None:
    for n in (1, 2):
        embeddings = open_frames(str(out / f"embed-{n}"))
        assert (embeddings.spec.width, embeddings.spec.hop_s) == (768, 0.01)
        prototypes = read_prototypes(str(out / f"fit-{n}"))
        assert prototypes.means_in_feature_space().shape == (K, 768)
        posteriors = open_frames(str(out / f"label-{n}"))
        key = next(iter(posteriors))
        assert posteriors.read(key).shape == (round(CLIP_S * 100), K)
        assert len(posteriors) == sum(PARTS[p][2] for p in ("strong", "weak", "unlabeled"))


def test_pretraining_changes_upper_blocks_by_lora_alone(out: Path) -> None:
    encoder = model(out, "embed-1/encoder").state_dict()
    for n in (1, 2):  # each iteration starts from PaSST anew
        masked = model(out, f"pretrain-{n}/pretrained")
        assert isinstance(masked, MaskedAudioModel)
        assert (masked.prototype_width, masked.prototypes) == (768, K)
        state = masked.state_dict()
        assert not any("lora" in name for name in state)
        for block in range(12):
            name = f"blocks.{block}.attn.qkv.weight"
            change = state[PASST + name] - encoder[f"transformer.passt.{name}"]
            assert (change.abs().max() > 0) == (block >= 8), block
        stem = "cnn.stages.0.conv.weight"
        assert not torch.equal(state[f"backbone.encoder.{stem}"], encoder[stem])
        assert not torch.equal(state["backbone.projector.merge_weight"], torch.tensor([0.5]))


def test_the_first_stage_of_tuning_trains_the_heads(out: Path) -> None:
    pretrained = model(out, "pretrain-2/pretrained").state_dict()
    first = model(out, "finetune-first/detector").state_dict()
    kept = {k for k, v in first.items() if k in pretrained and torch.equal(v, pretrained[k])}
    changed = {k for k in pretrained.keys() & first.keys() if k not in kept}
    heads = ("backbone.clip_pooling.", "backbone.encoder.transformer.out_norm.", "branch.")
    assert changed
    assert all(name.startswith(heads) for name in changed), sorted(changed)[:5]


def test_the_second_stage_goes_on_with_its_detector(out: Path) -> None:
    first, second = (model(out, f"{stage}/detector") for stage in ("finetune-first", "finetune"))
    assert isinstance(first, DetectorModel)
    assert isinstance(second, DetectorModel)
    recorded = json.loads((out / "finetune" / "stage.json").read_text())["inputs"]["start"]
    assert recorded == read_checkpoint(str(out / "finetune-first" / "detector")).fingerprint
    moved = (second.classifier.weight - first.classifier.weight).abs().max()
    assert 0 < moved < 2e-3  # two steps at 2e-4 from where the first stage ended
    assert (second.settings.temperature, second.settings.sliding.frames) == (0.5, 100)
    before, after = first.state_dict(), second.state_dict()
    for name in (f"{PASST}blocks.0.attn.qkv.weight", "backbone.encoder.cnn.stages.0.conv.weight"):
        assert not torch.equal(before[name], after[name])


def test_scores_are_those_of_sliding_windows(out: Path) -> None:
    detector = model(out, "finetune/detector")
    assert isinstance(detector, DetectorModel)
    dataset = open_dataset(str(out / "dataset"))
    row = dataset.select(["validation"])[0]
    inputs = detector.backbone.encoder.inputs(torch.from_numpy(dataset.audio(row, RATE)[None]))
    with torch.inference_mode():
        expected = detector(inputs).frames[0].numpy()
        object.__setattr__(detector.settings, "sliding", type(detector.settings.sliding)())
        whole = detector(inputs).frames[0].numpy()
    found = open_frames(str(out / "score")).read(row.key)
    assert np.abs(found - expected).max() < 1e-5
    assert np.abs(found - whole).max() > 1e-4


def test_boxes_and_detection(
    out: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], refused: Callable[..., str]
) -> None:
    dataset, scores = str(out / "dataset"), str(out / "score")
    smoothing = ["--subsets", "validation", "--method", "boxes"]
    main(["evaluate", dataset, scores, "--out", str(tmp_path / "boxes"), *smoothing])
    numbers = json.loads((tmp_path / "boxes" / "results.json").read_text())["validation"]
    assert 0 <= numbers["psds1"]["value"] <= 1
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * 44100)
    sf.write(tmp_path / "noise.wav", noise, 44100)
    detect = ["detect", str(tmp_path / "noise.wav"), "--checkpoint", str(out / "finetune/detector")]
    capfd.readouterr()
    main(
        [*detect, "--threshold", "0.0", "--median-s", "0.3", "--window-s", "2", "--overlap-s", "1"]
    )
    lines = capfd.readouterr().out.splitlines()
    assert len(lines) == 1 + len(DESED_CLASSES)  # every class all the time
    assert "window_s 30: encoder passt_cnn takes at most 10.05 s" in refused(
        *detect, "--window-s", "30"
    )


def test_a_second_run_does_nothing(out: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in out.rglob("stage.json")}
    main(["run", "--config", str(out.parent / "run.json"), "--out", str(out)])
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("stage.json")}


def test_what_was_trained_is_told(out: Path, capfd: pytest.CaptureFixture[str]) -> None:
    capfd.readouterr()
    main(["checkpoint", "show", str(out / "finetune" / "detector")])
    shown = capfd.readouterr().out
    assert "classes         Alarm_bell_ringing, Blender" in shown
    assert "windows         100 frames every 31, mixed 0.5" in shown
    assert f"{record_of(str(out / 'finetune'))['result']['sha256']}" in shown
