"""MAT-SED's checkpoints of pretraining, which have no clip branch: where they can be used."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from parity_rule import load

from pipelines.cli.main import main
from pipelines.runtime.files.urls import read_checkpoint
from pmam.encoders.base import FrameEncoder
from pmam.encoders.passt.encoder import PaSSTEncoder
from pmam.encoders.passt.transformer import PaSSTSettings
from pmam.encoders.registry import ENCODERS
from pmam.encoders.settings import EncoderSettings
from pmam.models.backbone import Backbone
from pmam.models.checkpoint import unpack
from pmam.models.detector import PLAIN
from pmam.models.importers.transformer4sed import our_name
from pmam.models.masked_audio_model import MaskedAudioModel
from pmam.models.settings import ContextSettings, ModelSettings
from pmam.models.start import start_backbone, start_detector

CONTEXT = ContextSettings(width=24, layers=2, heads=2, hidden=16)
Tensors = dict[str, torch.Tensor]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """PaSST of its own depth, but thin."""
    size = PaSSTSettings(width=24, depth=12, heads=2, columns=4)
    monkeypatch.setitem(ENCODERS, "passt", lambda s: PaSSTEncoder(s, size))


@pytest.fixture
def published(parity_dir: Path) -> Tensors:
    """Under the names of a real file, without what MAT-SED's pretraining lacks: CNN and branch."""
    meta, _ = load(parity_dir, "03_passt_cnn_mlm")
    backbone = Backbone(ModelSettings(encoder=EncoderSettings(name="passt"), context=CONTEXT))
    ours = MaskedAudioModel(backbone, prototype_width=24).state_dict()
    for leaf in ("weight", "bias"):
        ours[f"backbone.projector.transformer.{leaf}"] = ours[f"backbone.projector.{leaf}"]
    file: Tensors = {"classifier.weight": torch.randn(10, 24), "classifier.bias": torch.randn(10)}
    for name in meta["state_dict"]:
        left_out = ("cnn", "merge_weight", "at_adpater", "classifier", "decoder.encoder_blocks.2")
        if name.startswith(left_out) or "lora_" in name:
            continue
        mine = our_name(name)
        if mine is not None:
            value = torch.randn_like(ours[mine])
            is_token = mine.endswith("pool.token") or mine == "mask_token"
            file[name] = value.view(1, 1, -1) if is_token else value
    assert len(file) > 150
    assert not any("at_adpater" in name for name in file)
    return file


def converted(published: Tensors, folder: Path, *options: str) -> Path:
    torch.save({f"module.{name}": value for name, value in published.items()}, folder / "mat.pt")
    main(["checkpoint", "convert", str(folder / "mat.pt"), str(folder / "ours"), *options])
    return folder / "ours"


def test_it_is_a_start_of_both_trainings(published: Tensors, tmp_path: Path) -> None:
    place = str(converted(published, tmp_path))
    model = unpack(read_checkpoint(place), place)
    assert isinstance(model, MaskedAudioModel)
    assert (model.prototype_width, model.prototypes, model.branch) == (24, 0, None)
    state = model.state_dict()
    qkv = published["backbone.blocks.9.attn.qkv.weight"]
    assert torch.equal(state["backbone.encoder.transformer.passt.blocks.9.attn.qkv.weight"], qkv)
    projector = published["transformer_projector.weight"]
    assert torch.equal(state["backbone.projector.weight"], projector)
    context = model.backbone.settings.context
    assert start_backbone(model, context, "x") is model.backbone
    detector = start_detector(model, context, ("cat", "dog"), PLAIN, "x").eval()
    said = detector(torch.randn(2, 50, 128))
    assert said.branch is not None
    assert torch.isfinite(said.frames).all() and torch.isfinite(said.branch).all()


def test_what_it_does_not_hold_is_the_same_each_time(published: Tensors, tmp_path: Path) -> None:
    prints = set()
    for seed in range(2):
        torch.manual_seed(seed)
        place = converted(published, tmp_path, "--fresh")
        prints.add(read_checkpoint(str(place)).fingerprint)
    assert len(prints) == 1


def test_its_encoder_comes_over_alone(published: Tensors, tmp_path: Path) -> None:
    place = str(converted(published, tmp_path, "--kind", "encoder"))
    encoder = unpack(read_checkpoint(place), place)
    assert isinstance(encoder, FrameEncoder)
    norm = encoder.state_dict()["transformer.out_norm.weight"]
    assert torch.equal(norm, published["out_norm.weight"])


def test_a_part_of_a_branch_and_a_detector_without_one_are_refused(
    published: Tensors, tmp_path: Path, refused: Callable[..., str]
) -> None:
    torch.save(published, tmp_path / "mat.pt")
    line = refused(
        "checkpoint", "convert", tmp_path / "mat.pt", tmp_path / "o", "--kind", "detector"
    )
    assert "7 missing (backbone.clip_pooling." in line
    torch.save(published | {"at_adpater.1.bias": torch.zeros(10)}, tmp_path / "mat.pt")
    line = refused("checkpoint", "convert", tmp_path / "mat.pt", tmp_path / "o")
    assert "missing (backbone.clip_pooling." in line
