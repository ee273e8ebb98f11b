"""What others have published comes in whole, or is refused in one line."""

from pathlib import Path

import numpy as np
import pytest
import torch
from parity_rule import load, tensors

from pmam.encoders.registry import build_encoder
from pmam.encoders.settings import EncoderSettings
from pmam.models.checkpoint import CheckpointError, pack_masked, unpack
from pmam.models.importers.prototypes import read_prototypes
from pmam.models.importers.pseudo_labels import parse_pseudo_labels
from pmam.models.importers.transformer4sed import import_backbone, import_detector, import_masked
from pmam.models.masked_audio_model import MaskedAudioModel
from pmam.models.published import load_published

Tensors = dict[str, torch.Tensor]
CLASSES = tuple(f"class {n}" for n in range(10))


@pytest.fixture(scope="module")
def pretrained(parity_dir: Path) -> Tensors:
    """A checkpoint of pretraining, under the reference's names: LoRA beside the weights."""
    return tensors(load(parity_dir, "03_passt_cnn_mlm")[0])


@pytest.fixture(scope="module")
def finetuned(parity_dir: Path) -> Tensors:
    return tensors(load(parity_dir, "04_passt_cnn_sed")[0])


def wrapped(published: Tensors) -> Tensors:
    return {f"module.{name}": value for name, value in published.items()}


def test_a_pretrained_checkpoint_counts_lora_once(pretrained: Tensors) -> None:
    model = import_masked(wrapped(pretrained), "best_model.pt")
    state = model.state_dict()
    qkv = "backbone.encoder.transformer.passt.blocks.9.attn.qkv.weight"
    assert torch.equal(state[qkv], pretrained["backbone.blocks.9.attn.qkv.weight"])
    assert not any("lora" in name for name in state)
    assert (model.prototype_width, model.prototypes) == (768, 30)
    assert torch.equal(state["mask_token"], pretrained["mask_token"].flatten())


def test_a_backbone_comes_from_either_stage(pretrained: Tensors, finetuned: Tensors) -> None:
    for published in (pretrained, finetuned):
        backbone = import_backbone(published, "best_student.pt")
        weight = backbone.state_dict()["context.blocks.2.mlp.2.weight"]
        assert torch.equal(weight, published["decoder.encoder_blocks.2.mlp.fc2.weight"])


def test_a_detector_comes_in_whole(finetuned: Tensors) -> None:
    detector = import_detector(finetuned, CLASSES, "best_teacher.pt")
    assert torch.equal(detector.classifier.weight, finetuned["classifier.weight"])
    assert detector.branch is not None
    assert torch.equal(detector.branch.bias, finetuned["at_adpater.1.bias"])
    assert not detector.training


def test_published_passt_fits_both_encoders(finetuned: Tensors) -> None:
    alone = {
        name.removeprefix("backbone."): value
        for name, value in finetuned.items()
        if name.startswith("backbone.")
    }
    assert "head.1.weight" in alone
    for published in (alone, finetuned):
        encoder = build_encoder(EncoderSettings(name="passt"))
        load_published(encoder, published, "passt-s.pt")
        loaded = encoder.state_dict()["transformer.passt.column_positions"]
        assert torch.equal(loaded, alone["time_new_pos_embed"])


def refusal(published: Tensors) -> str:
    with pytest.raises(CheckpointError) as raised:
        import_detector(published, CLASSES, "best.pt")
    message = str(raised.value)
    assert message.startswith("best.pt: ")
    assert "\n" not in message
    return message


def test_what_does_not_fit_is_listed(finetuned: Tensors) -> None:
    bias, norm = "classifier.bias", "out_norm.weight"
    without = {name: value for name, value in finetuned.items() if name != norm}
    assert "1 missing (backbone.encoder.transformer.out_norm.weight)" in refusal(without)
    assert "unexpected tensors (strange.weight)" in refusal(
        finetuned | {"strange.weight": torch.zeros(1)}
    )
    assert "1 of another shape (classifier.bias (7,) for (10,))" in refusal(
        finetuned | {bias: torch.zeros(7)}
    )
    assert "Transformer-XL" in refusal({"classifier.bias": torch.zeros(10)})
    with pytest.raises(CheckpointError, match="no masked model"):
        import_masked(finetuned, "best.pt")
    with pytest.raises(CheckpointError, match=r"missing.*unexpected"):
        load_published(
            build_encoder(EncoderSettings(name="mn04")), {"w": torch.zeros(1)}, "mn04.pt"
        )


@pytest.mark.slow
def test_an_imported_model_is_a_checkpoint_of_ours(pretrained: Tensors) -> None:
    model = import_masked(pretrained, "best_model.pt")
    again = unpack(pack_masked(model), "pretrained.safetensors")
    assert isinstance(again, MaskedAudioModel)
    assert all(
        torch.equal(a, b) for a, b in zip(again.parameters(), model.parameters(), strict=True)
    )


def test_published_prototypes(tmp_path: Path) -> None:
    file = tmp_path / "gmm_means.pt"
    means = torch.randn(30, 768)
    torch.save(means, file)
    prototypes = read_prototypes(file)
    assert torch.equal(prototypes.means_in_feature_space().float(), means)
    for wrong in (torch.zeros(3), torch.full((2, 2), torch.nan), {"means": means}, [1]):
        torch.save(wrong, file)
        with pytest.raises(CheckpointError, match="expected") as raised:
            read_prototypes(file)
        assert str(raised.value).startswith(f"{file}: ")
    file.write_bytes(b"no tensor")
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_prototypes(file)


def table(posteriors: np.ndarray, hop_s: float = 0.01) -> str:
    head = "\t".join(["onset", "offset", *map(str, range(posteriors.shape[1]))])
    rows = [
        "\t".join([f"{n * hop_s:.2f}", f"{(n + 1) * hop_s:.2f}", *(f"{v:.4f}" for v in row)])
        for n, row in enumerate(posteriors)
    ]
    return "\n".join([head, *rows]) + "\n"


def test_pseudo_labels_come_back() -> None:
    posteriors = np.random.default_rng(0).dirichlet(np.full(30, 0.2), 1000)
    parsed = parse_pseudo_labels(table(posteriors), "clip.tsv")
    assert parsed.hop_s == pytest.approx(0.01)
    np.testing.assert_allclose(parsed.posteriors, posteriors, atol=5.1e-5)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "columns"),
        ("onset\toffset\tcat\n", "columns"),
        ("onset\toffset\t0\n", "rows"),
        ("onset\toffset\t0\n0\t0.01\n", "expected 3"),
        ("onset\toffset\t0\n0\t0.01\tx\n", "expected 3 numbers"),
        ("onset\toffset\t0\n0\t0.01\t1.5\n", "probabilities"),
        ("onset\toffset\t0\n0\t0.01\tnan\n", "probabilities"),
        ("onset\toffset\t0\n0\t0.01\t1\n0.02\t0.03\t1\n", "follow"),
        ("onset\toffset\t0\n0\t0\t1\n", "follow"),
    ],
)
def test_other_tables_are_refused(text: str, word: str) -> None:
    with pytest.raises(ValueError, match=word) as raised:
        parse_pseudo_labels(text, "clip.tsv")
    assert str(raised.value).startswith("clip.tsv: ")
    assert "\n" not in str(raised.value)
