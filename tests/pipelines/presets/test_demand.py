"""A run that a cluster cannot hold ends before its first stage."""

from dataclasses import replace

import pytest

from cluster.resources import NodeGroup, Room
from pipelines.presets import PRESETS, demand
from pipelines.presets.ablations import changed
from pipelines.presets.demand import check_demand, crews_of
from pipelines.presets.settings import RunSettings
from pipelines.runtime.workers.crew import RoomError

NODES = Room(nodes=({"CPU": 4.0, "memory": 60e9}, {"CPU": 4.0, "memory": 60e9}))
GPUS = NodeGroup(name="gpu", each={"CPU": 8.0, "GPU": 1.0, "memory": 60e9}, most=2)


def check(monkeypatch: pytest.MonkeyPatch, settings: RunSettings, there: Room | None) -> None:
    monkeypatch.setattr(demand, "is_cluster", lambda: there is not None)
    monkeypatch.setattr(demand, "room", lambda left_out: there)
    check_demand(settings)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the paper need a GPU; where an autoscaler may bring one, they wait for it."""
    settings = PRESETS[preset]()
    check(monkeypatch, settings, None)  # on one machine they take what there is
    check(monkeypatch, settings, replace(NODES, groups=(GPUS,)))
    if preset.startswith("paper"):
        with pytest.raises(RoomError, match=r"1 workers of .* 1 GPU \+ 16 GB.* \+ 0 GPU"):
            check(monkeypatch, settings, NODES)
    else:
        check(monkeypatch, settings, NODES)


@pytest.mark.parametrize("setting", ["fit", "pretrain.training", "finetune.training"])
def test_more_workers_than_fit(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = changed(PRESETS["own_data"](), f"{setting}.workers", 30)
    with pytest.raises(RoomError, match=f"{setting} asks for 30 workers of 1 CPU.*room for 8"):
        check(monkeypatch, settings, NODES)
    wide = changed(PRESETS["own_data"](), "embed.inference.cpus_per_worker", 5.0)
    with pytest.raises(RoomError, match="5 CPU fits on no node"):
        check(monkeypatch, wide, NODES)


def test_stages_that_a_run_has() -> None:
    paper = PRESETS["paper"]()
    assert [*crews_of(paper)] == [
        "fit",
        "pretrain.training",
        "finetune_first.training",
        "finetune.training",
    ]
    assert [*crews_of(replace(paper, iterations=0))] == [
        "finetune_first.training",
        "finetune.training",
    ]
