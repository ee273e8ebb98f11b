"""Named runs fit their encoders, and their variants differ in one setting."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from index_rows import index_row
from packing import noise_clips, pack
from parity_rule import load

from pipelines.cli.main import main
from pipelines.cli.run_start import resolved
from pipelines.inference.weights import with_published_weights
from pipelines.presets import PRESETS, paper
from pipelines.presets.ablations import ABLATIONS, ablated, changed
from pipelines.presets.settings import RunSettings
from pipelines.presets.validate import check_run, long_crops
from pipelines.run import stages
from pipelines.runtime.errors import PipelineError
from pmam.objectives.losses.registry import PRETEXTS
from pmam.settings import SettingsError, from_json, to_json
from pmam.training.schedules import RAMPS
from pmam.training.trainer import Trainer

BASES = [name for name in PRESETS if name != "paper-0.75"]
DESED_TABLE = "desed_meta/labeldict_DESED.json"


def leaves(settings: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """All settings by name."""
    if isinstance(settings, dict):
        for name, value in settings.items():
            yield from leaves(value, f"{path}.{name}" if path else name)
    else:
        yield path, settings


def differing(one: RunSettings, other: RunSettings) -> set[str]:
    """The settings that are not the same."""
    first, second = dict(leaves(to_json(one))), dict(leaves(to_json(other)))
    return {name for name in first.keys() | second.keys() if first.get(name) != second.get(name)}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_fits_its_encoder_and_comes_back_from_json(name: str) -> None:
    settings = PRESETS[name]()
    if settings.words is not None:  # whose words nobody else can know
        settings = replace(settings, words=replace(settings.words, events="dog barking"))
    check_run(settings)
    assert from_json(RunSettings, json.loads(json.dumps(to_json(settings)))) == settings


@pytest.mark.parametrize("base", BASES)
def test_ablations_differ_in_one_setting(base: str) -> None:
    settings = PRESETS[base]()
    for name, (path, value) in ABLATIONS.items():
        changed = differing(settings, ablated(settings, name))
        same = dict(leaves(to_json(settings)))[path] == value
        assert changed == (set() if same else {path}), name


def test_every_ablation_changes_some_preset() -> None:
    for name in ABLATIONS:
        assert any(ablated(make(), name) != make() for make in PRESETS.values()), name


def test_the_mask_rate_of_the_paper_is_one_setting() -> None:
    assert differing(PRESETS["paper"](), PRESETS["paper-0.75"]()) == {"pretrain.pretext.mask.rate"}


def test_ablations_name_what_there_is() -> None:
    named = {value for path, value in ABLATIONS.values() if path.endswith("objective")}
    assert named <= PRETEXTS.keys()


def scales(settings: Any, steps: int) -> list[float]:
    """The learning rate's factor at each step."""
    trainer = Trainer(torch.nn.Linear(1, 1), settings, seed=0)
    found = []
    for step in range(steps):
        trainer.step = step
        found.append(trainer.lr_scale())
    return found


@pytest.mark.parametrize(
    ("name", "epochs"),
    [("lr_scale_post_pretrain", 30), ("lr_scale_finetune1", 15), ("lr_scale_finetune2", 30)],
)
def test_learning_rates_of_the_paper_are_the_published_ones(
    parity_dir: Path, name: str, epochs: int
) -> None:
    """The fixture has 20 steps an epoch, the preset those of DESED."""
    settings = paper()
    assert settings.finetune_first is not None
    training = {
        "lr_scale_post_pretrain": settings.pretrain.training,
        "lr_scale_finetune1": settings.finetune_first.training,
        "lr_scale_finetune2": settings.finetune.training,
    }[name]
    epoch, rest = divmod(training.optimizer.steps, epochs)
    assert (epoch, rest) == (1578 // 6, 0)
    _, arrays = load(parity_dir, "08_postprocess_schedules")
    shrunk = replace(
        training.optimizer,
        steps=20 * epochs,
        warm_up_steps=training.optimizer.warm_up_steps * 20 // epoch,
    )
    ours = scales(replace(shrunk, groups=type(shrunk.groups)()), 20 * epochs)
    assert ours == pytest.approx(arrays[name].tolist(), abs=1e-9)


@pytest.mark.parametrize("stage", ["finetune_first", "finetune"])
def test_consistency_weights_of_the_paper_are_the_published_ones(
    parity_dir: Path, stage: str
) -> None:
    tuning = getattr(paper(), stage)
    _, arrays = load(parity_dir, "08_postprocess_schedules")
    columns = arrays[
        "self_weight_finetune1" if stage == "finetune_first" else "self_weight_finetune2"
    ]
    epoch = 1578 // 6
    losses = tuning.losses
    ramp = RAMPS[losses.consistency_ramp]
    ramp_steps = losses.consistency_ramp_steps * 20 // epoch
    for step, _, weight in columns:  # the published code counts a step before it weighs
        assert losses.consistency_weight * ramp(int(step), ramp_steps) == pytest.approx(weight)


def test_filters_of_the_paper_are_those_of_its_classes(shared_dir: Path, parity_dir: Path) -> None:
    meta, _ = load(parity_dir, "08_postprocess_schedules")
    classes = meta["encoder"]["labels"]
    assert classes == sorted(json.loads((shared_dir / "data" / DESED_TABLE).read_text()))
    sizes = paper().finetune.postprocess.sizes(classes, 0.01)
    assert sizes == meta["median_window_frames"]


def test_a_dry_run_shows_the_settings_and_does_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "DESED").mkdir()
    command = ["run", "--preset", "paper", "--dry-run", "--data", "DESED"]
    main([*command, "--pretrain.pretext.mask.rate", "0.7", "--ablation", "focal"])
    shown = json.loads(capsys.readouterr().out)
    assert shown["preset"] == "paper-focal"
    pretext = shown["settings"]["pretrain"]["pretext"]
    assert (pretext["mask"]["rate"], pretext["objective"]) == (0.7, "focal")
    assert shown["settings"]["data"] == str(tmp_path / "DESED")
    assert shown["settings"]["encoder"]["weights"].endswith("passt-s-f128-p16-s10-ap.476-swa.pt")
    main([*command, "--finetune-first.losses.consistency-weight", "3"])
    first = json.loads(capsys.readouterr().out)["settings"]["finetune_first"]
    assert (first["losses"]["consistency_weight"], first["losses"]["trained"]) == (3.0, "heads")
    assert list(tmp_path.rglob("*")) == [tmp_path / "DESED"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--preset", "papr"), "preset 'papr': expected one of demo, esc10"),
        (("--ablation", "kmean"), "ablation 'kmean': expected one of kmeans, infonce"),
        (("--pretrain.training.crop-s", "12"), "crop_s 12: encoder passt_cnn takes at most 10.05"),
        (("--score.inference.window-s", "20"), "score.inference.window_s 20: encoder passt_cnn"),
        (("--embed.layer", "context"), "embed.layer 'context': the encoder passt_cnn has input"),
        (("--later-layer", "context9"), "later_layer: layer 'context9': expected one of"),
        (("--pretrain.context.layers", "2"), "expected that of pretrain.context"),
        (("--pretrain.context.heads", "7"), "heads"),
        (("--encoder.name", "passt77"), "encoder 'passt77': expected one of small_cnn, mn04"),
        (("--encoder.transformer-layer", "13"), "layer 13: expected a block from 1 to 12"),
        (("--encoder.name", "mn04"), "encoder mn04: no transformer to change by LoRA"),
        (
            ("--encoder.name", "cnn", "--pretrain.pretext.lora.rank", "0"),
            "embed.layer 'after_interpolate': the encoder cnn has input",
        ),
        (
            ("--encoder.name", "cnn", "--pretrain.pretext.lora.rank", "0", "--iterations", "0"),
            "finetune.detector: encoder cnn: slides no windows of its own",
        ),
        (
            ("--finetune.detector.sliding.frames", "2000"),
            "finetune.detector: sliding.frames 2000: encoder passt_cnn takes at most 1005",
        ),
        (("--pretrain.pretext.mask.block-s", "20"), "pretrain.pretext.mask.block_s 20: at a rate"),
        (("--pretrain.pretext.lora.first-block", "12"), "passt_cnn has the blocks 0 to 11"),
        (
            (
                *("--finetune-first.training.optimizer.groups.head-lr", "0"),
                *("--finetune-first.training.optimizer.groups.decoder-lr", "1e-4"),
            ),
            "nothing has a learning rate; set that of head",
        ),
        (("--prototypes", "p"), "expected both or neither"),
        (("--data", "d", "--dataset", "p"), "not both"),
    ],
)
def test_settings_that_do_not_fit_are_refused_at_once(
    refused: Callable[..., str], options: tuple[str, ...], said: str
) -> None:
    preset = () if "--preset" in options else ("--preset", "paper")
    assert said in refused("run", *preset, "--dry-run", *options)


def test_weights_that_cannot_be_fetched_stop_a_run_at_once(
    refused: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PMAM_RETRY_S", "0")
    monkeypatch.setenv("PMAM_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.wav").touch()
    nowhere = "http://127.0.0.1:9/mn04.pt"
    command = (
        "run",
        "--preset",
        "own_data",
        "--data",
        tmp_path / "data",
        "--out",
        tmp_path / "run",
    )
    line = refused(*command, "--encoder.weights", nowhere)
    assert (
        f"download {nowhere} where that works, and give the file as --encoder.weights FILE" in line
    )
    assert "or take --preset own_data-scratch, which needs none" in line
    assert not (tmp_path / "run").exists()


def test_the_preset_for_own_data_needs_no_download_from_scratch() -> None:
    assert PRESETS["small"]() == PRESETS["own_data"]()
    scratch = PRESETS["own_data-scratch"]()
    assert with_published_weights(PRESETS["own_data"]().encoder).weights is not None
    assert with_published_weights(scratch.encoder).weights is None
    assert scratch.soundscapes is None


def test_crops_longer_than_most_clips_are_told() -> None:
    settings = PRESETS["own_data"]()
    rows = [index_row(f"c{n}", num_samples=8000 * 5) for n in range(3)]
    long = index_row("long", num_samples=8000 * 60)
    other = index_row("test", num_samples=8000, subset="test")
    assert long_crops(settings, [*rows, long, other]) == [
        f"3 of 4 training clips are shorter than the crops of {crop_s} s and get silence behind "
        f"them; the median is 5.0 s: --{name}.training.crop_s may be that, to save time"
        for name, crop_s in (("pretrain", "5.12"), ("finetune", "10"))
    ]
    assert long_crops(settings, [rows[0], long, other]) == []


def test_augmentations_that_need_log_mel(refused: Callable[..., str]) -> None:
    command = ("run", "--preset", "own_data", "--dry-run")
    line = refused(*command, "--finetune.augment.distortion", "0.03")
    assert "finetune.augment: filter_db, distortion and frequency_mask_mels need" in line


def test_esc10_of_a_dataset_that_is_packed_already(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `--dataset` says: instead of recordings."""
    monkeypatch.setattr(
        "pipelines.inference.weights.with_published_weights", lambda settings: settings
    )
    pack(tmp_path / "sounds", noise_clips(tmp_path / "sounds", 2), tmp_path / "set")
    given = replace(PRESETS["esc10"](), dataset=str(tmp_path / "set"))
    assert resolved("esc10", given).dataset == str(tmp_path / "set")
    with pytest.raises(SettingsError, match=r"give --data, .* or --dataset"):
        resolved("esc10", PRESETS["esc10"]())


def test_settings_of_pack_are_refused_where_nothing_is_packed() -> None:
    with pytest.raises(PipelineError, match=r"soundscapes\.shards .* settings of pack"):
        changed(PRESETS["demo"](), "pack.codec", "wav")
    assert (
        changed(
            changed(PRESETS["demo"](), "soundscapes.shards", False), "pack.codec", "wav"
        ).pack.codec
        == "wav"
    )


def test_soundscapes_of_presets_are_mixed_into_shards_without_files_beside() -> None:
    for name in ("demo", "esc10"):
        settings = PRESETS[name]()
        assert settings.soundscapes is not None
        assert settings.soundscapes.shards
        assert stages(replace(settings, data="somewhere"))[:2] == ["soundscapes", "embed-1"]
