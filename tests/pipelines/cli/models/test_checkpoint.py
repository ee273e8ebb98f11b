"""`pmam checkpoint`: what a model is, and published ones as checkpoints of ours."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_models
import torch
from parity_rule import load, tensors

from pipelines.cli.main import main
from pipelines.runtime.files.urls import read_checkpoint, store, write_checkpoint, write_prototypes
from pipelines.stages.evaluate.postprocess_file import as_file
from pmam.encoders.base import FrameEncoder
from pmam.events.settings import BoxSettings, PostprocessSettings
from pmam.models.checkpoint import pack_detector, pack_encoder, pack_masked, unpack
from pmam.models.importers.prototypes import import_prototypes


@pytest.fixture
def shown(capfd: pytest.CaptureFixture[str]) -> Callable[[object], dict[str, str]]:
    """What `pmam checkpoint show` says, by the name of each fact."""

    def show(place: object) -> dict[str, str]:
        capfd.readouterr()
        main(["checkpoint", "show", str(place)])
        lines = capfd.readouterr().out.splitlines()
        return {name.strip(): fact for name, _, fact in (line.partition("  ") for line in lines)}

    return lambda place: {name: fact.strip() for name, fact in show(place).items()}


@pytest.fixture(scope="module")
def published(parity_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """EfficientAT's mn04 with seeded weights, as data-parallel training saves it."""
    meta, _ = load(parity_dir, "11_efficientat_mn04_seeded")
    file = tmp_path_factory.mktemp("published") / "mn04.pt"
    torch.save({f"module.{k}": v for k, v in tensors(meta).items()}, file)
    return file


def test_what_our_detector_is(models: Path, shown: Callable[[object], dict[str, str]]) -> None:
    detector, encoder = tiny_models.detector(), tiny_models.backbone().encoder
    for name in ("detector", "detector.safetensors"):
        facts = shown(models / name)
        assert facts["kind"] == "detector"
        assert facts["classes"] == "cat, dog"
        assert facts["events"] == "median 0.4 s, threshold 0.5"
        assert facts["encoder"] == "small_cnn"
        assert facts["context"].startswith("transformer_xl, 1 layers of 16 channels, 2 heads")
        assert facts["sha256"] == read_checkpoint(str(models / "detector")).fingerprint
        count = sum(p.numel() for p in detector.parameters())
        assert facts["parameters"] == f"{count / 1e6:.2f} M"
        assert facts["encoder sha256"] == pack_encoder(encoder).fingerprint


def test_what_other_kinds_are(
    models: Path, tmp_path: Path, shown: Callable[[object], dict[str, str]]
) -> None:
    """The encoder's own sha256 is what prototypes name."""
    facts = shown(models / "encoder")
    assert facts["kind"] == "encoder"
    assert facts["sha256"] == facts["encoder sha256"]
    write_checkpoint(store(str(tmp_path)), "pretrained", pack_masked(tiny_models.masked()))
    facts = shown(tmp_path / "pretrained.safetensors")
    assert (facts["kind"], facts["predicts"]) == ("masked", "5 channels")
    write_prototypes(store(str(tmp_path / "fit")), import_prototypes(torch.eye(3, 7), "means"))
    facts = shown(tmp_path / "fit")
    assert facts["kind"] == "prototypes (kmeans, covariances none)"
    assert (facts["k"], facts["features"]) == ("3", "7 channels")


def test_what_a_published_file_is(
    published: Path, tmp_path: Path, shown: Callable[[object], dict[str, str]]
) -> None:
    facts = shown(published)
    assert facts["from"] == "EfficientAT"
    assert facts["names"].startswith("with the prefix `module.`")
    assert (facts["kind"], facts["encoder"], facts["fits"]) == ("encoder", "mn04", "yes")
    assert facts["calibrated"].startswith("no: give it as --encoder.weights")
    assert facts["sha256"] == hashlib.sha256(published.read_bytes()).hexdigest()
    assert "published as" not in facts
    loaded = torch.load(published, weights_only=True)
    del loaded["module.classifier.2.weight"]
    loaded["module.features.0.0.weight"][0] = torch.nan
    torch.save(loaded, tmp_path / "damaged.pt")
    facts = shown(tmp_path / "damaged.pt")
    assert facts["not finite"] == "1 tensors (module.features.0.0.weight)"
    assert facts["fits"].startswith("no: tensors do not fit MobileNet: 1 missing (classifier.0.w")
    torch.save(torch.eye(3, 7), tmp_path / "gmm_means.pt")
    assert shown(tmp_path / "gmm_means.pt")["k"] == "3"


def test_the_real_mn04_is_known_by_name(
    shared_dir: Path, shown: Callable[[object], dict[str, str]]
) -> None:
    facts = shown(shared_dir / "data" / "efficientat" / "mn04_as_mAP_432.pt")
    assert (facts["published as"], facts["fits"]) == ("mn04", "yes")
    assert facts["parameters"] == "0.98 M"


def test_a_published_encoder_becomes_ours(
    published: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], refused: Callable[..., str]
) -> None:
    out = tmp_path / "models" / "mn04"
    main(["checkpoint", "convert", str(published), str(out)])
    assert capfd.readouterr().out == f"{out}.safetensors\n"
    model = unpack(read_checkpoint(str(out)), str(out))
    assert isinstance(model, FrameEncoder)
    weight = torch.load(published, weights_only=True)["module.features.0.0.weight"]
    assert any(torch.equal(weight, value) for value in model.state_dict().values())
    again = ("checkpoint", "convert", published, f"{out}.safetensors")
    assert f"{out}.safetensors: is there already; give another name, or --fresh" in refused(*again)
    main([*map(str, again), "--fresh"])


def test_what_does_not_fit_is_refused(
    published: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    out = tmp_path / "out"
    convert = ("checkpoint", "convert", published, out)
    assert "of another shape (" in refused(*convert, "--encoder", "mn10")
    assert "is an encoder; it cannot become a detector" in refused(*convert, "--kind", "detector")
    missing = tmp_path / "none.pt"
    assert f"{missing}: no such file" in refused("checkpoint", "convert", missing, out)
    strange = tmp_path / "strange.pt"
    torch.save({"w": torch.zeros(1)}, strange)
    line = refused("checkpoint", "convert", strange, out)
    assert f"{strange}: 1 tensors (w ...) of no model that we know; expected a checkpoint" in line
    assert line in refused("checkpoint", "show", strange)
    assert not list(tmp_path.glob("out*"))


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """A detector as it was once written, without the suffix of its two files."""
    checkpoint = pack_detector(tiny_models.detector())
    description = json.loads(checkpoint.description)
    del description["settings"]["postprocess"], description["settings_sha256"]
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "detector.safetensors").write_bytes(checkpoint.tensors)
    (tmp_path / "old" / "detector.json").write_text(json.dumps(description))
    return tmp_path / "old" / "detector"


def test_a_pair_of_files_still_loads_and_becomes_one(
    pair: Path,
    tmp_path: Path,
    shown: Callable[[object], dict[str, str]],
    refused: Callable[..., str],
) -> None:
    old = read_checkpoint(str(pair))
    for name in (pair, f"{pair}.safetensors", f"{pair}.json"):
        assert read_checkpoint(str(name)) == old
        assert shown(name)["sha256"] == old.fingerprint
        main(["checkpoint", "convert", str(name), str(tmp_path / "new"), "--fresh"])
        assert {path.name for path in tmp_path.glob("new*")} == {"new.safetensors"}
        assert read_checkpoint(str(tmp_path / "new")).fingerprint == old.fingerprint
    expected = tiny_models.detector().state_dict()
    model = unpack(read_checkpoint(str(tmp_path / "new")), "new")
    assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())
    # In place, and whatever the description beside it says from then on.
    main(["checkpoint", "convert", str(pair), str(pair), "--fresh"])
    pair.with_suffix(".json").write_text("{}")
    assert read_checkpoint(str(pair)).fingerprint == old.fingerprint
    (tmp_path / "alone.safetensors").write_bytes(old.tensors)
    line = refused("checkpoint", "show", tmp_path / "alone.safetensors")
    assert "alone.safetensors: does not tell what model it is, and alone.json is not" in line


def test_post_processing_is_given_on_the_way(
    pair: Path,
    models: Path,
    tmp_path: Path,
    shown: Callable[[object], dict[str, str]],
    refused: Callable[..., str],
) -> None:
    convert = ("checkpoint", "convert", str(pair), str(tmp_path / "new"), "--fresh")
    dog = ("--postprocess.threshold-by-class", "dog", ".2")
    main([*convert, "--postprocess.median-s", "0.7", *dog])
    assert shown(tmp_path / "new")["events"] == "median 0.7 s, threshold 0.5 (dog 0.2)"
    # What is not given stays.
    again = ("checkpoint", "convert", str(tmp_path / "new"), str(tmp_path / "newer"))
    main([*again, "--postprocess.clip-mask", "True"])
    events = shown(tmp_path / "newer")["events"]
    assert events == "median 0.7 s, clip mask, threshold 0.5 (dog 0.2)"
    boxes = {"dog": BoxSettings(step_s=0.32, merge_drop=1.0, merge_ratio=2.0)}
    chosen = PostprocessSettings(
        method="boxes", boxes_by_class=boxes, threshold_by_class={"dog": 0.3}
    )
    (tmp_path / "postprocess.json").write_bytes(as_file({"ours": chosen}))
    given = "--chosen", str(tmp_path / "postprocess.json")
    main([*again[:-1], str(tmp_path / "tuned"), *given, "--postprocess.threshold", "0.7"])
    tuned = unpack(read_checkpoint(str(tmp_path / "tuned.safetensors")), "tuned").postprocess
    assert tuned == replace(chosen, threshold=0.7, threshold_by_class={})
    (tmp_path / "postprocess.json").write_bytes(as_file({"ours": chosen, "theirs": chosen}))
    line = refused(*again[:-1], str(tmp_path / "of_two"), *given)
    assert "2 systems (ours, theirs); expected that of one" in line
    line = refused(*convert, "--postprocess.threshold-by-class", "owl", "0.2")
    assert "threshold of the class 'owl': expected one of cat, dog" in line
    assert "--kind, --encoder, --model, --standardised-by, --classes and --detector" in refused(
        *convert, "--kind", "detector"
    )
    encoder = ("checkpoint", "convert", models / "encoder", tmp_path / "other")
    line = refused(*encoder, "--postprocess.threshold", "0.2")
    assert "no detector, which alone has --chosen and --postprocess" in line


def test_what_cannot_be_exported_is_refused(
    models: Path, tmp_path: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    export, out = ("checkpoint", "export"), tmp_path / "d.onnx"
    detector = models / "detector.safetensors"
    assert "expected a detector" in refused(*export, models / "encoder.safetensors", out)
    assert "expected a name that ends in .onnx" in refused(*export, detector, tmp_path / "d.pt")
    out.write_bytes(b"mine")
    assert "is there already" in refused(*export, detector, out)
    monkeypatch.setattr("pmam.models.onnx_export.PACKAGES", ("onnx", "no_such_package"))
    assert "--extra onnx" in refused(*export, detector, out, "--fresh")
    assert out.read_bytes() == b"mine"
