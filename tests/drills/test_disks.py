"""A node whose disk for temporary files is full."""

import time

import pytest
from drill import NODES, Drill, Outcome
from two_nodes import needs_mounts

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600), pytest.mark.xdist_group("drills")]


@pytest.mark.parametrize(
    ("stage", "room_bytes"),
    [("dataset", 65536), ("finetune", 65536)],
    ids=["packing", "checkpoints"],
)
def test_a_full_disk(stage: str, room_bytes: int, drill: Drill, undisturbed: Outcome) -> None:
    """One line with the node and its folder; with room there, the same command goes on."""
    needs_mounts()
    began, name, ip = time.monotonic(), f"disk-{stage}", NODES[0]
    for each in NODES:
        drill.cluster.stop(each)
    drill.cluster.start_node(ip, scratch_bytes=room_bytes)
    try:
        drill.begun(name, stage)
        line = drill.refused(name, drill.start(name))
    finally:
        drill.cluster.stop(ip)
        for each in NODES:
            drill.cluster.start_node(each)
    drill.told(f"full disk in {stage}", time.monotonic() - began, line)
    assert ip in line
    assert str(drill.cluster.scratch) in line
    assert not drill.files(name, f"{stage}/stage.json")
    found = drill.finish(name, drill.start(name), began)
    drill.survived(f"full disk in {stage}, then room", found, undisturbed)
