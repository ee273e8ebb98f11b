"""What Ray tells of a cluster, as room for workers."""

from types import SimpleNamespace
from typing import Any

import pytest

from cluster.resources import ENDLESS, MOST, room


def found(monkeypatch: pytest.MonkeyPatch, config: Any, left_out: tuple[str, ...] = ()) -> Any:
    import ray
    from ray._private.state import state

    nodes = [
        {"Alive": True, "NodeID": "a", "Resources": {"CPU": 4.0, "memory": 8e9}},
        {"Alive": False, "NodeID": "b", "Resources": {"CPU": 64.0}},
        {"Alive": True, "NodeID": "c", "Resources": {"CPU": 2.0}},
    ]
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    monkeypatch.setattr(state, "get_cluster_config", lambda: config)
    return room(left_out)


def test_nodes_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    there = found(monkeypatch, None)
    assert (there.now("CPU"), there.most("CPU"), there.groups) == (6.0, 6.0, ())
    assert found(monkeypatch, None, left_out=("a",)).now("CPU") == 2.0


def test_groups_that_may_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Ray's autoscaler reports them: a protobuf, as in `ray._private.state`."""
    from ray.core.generated import autoscaler_pb2

    groups = [
        autoscaler_pb2.NodeGroupConfig(name="gpu", max_count=3, resources={"CPU": 8, "GPU": 2}),
        autoscaler_pb2.NodeGroupConfig(name="off", max_count=0, resources={"CPU": 99}),
    ]
    config = autoscaler_pb2.ClusterConfig(node_group_configs=groups)
    there = found(monkeypatch, config)
    assert [group.name for group in there.groups] == ["gpu"]
    assert (there.now("GPU"), there.most("GPU"), there.most("CPU")) == (0.0, 6.0, 24.0)
    assert there.fits({"CPU": 4, "GPU": 1}) == 0
    assert there.may_fit({"CPU": 4, "GPU": 1}) == 6
    endless = SimpleNamespace(
        node_group_configs=[SimpleNamespace(name="x", max_count=-1, resources={"CPU": -1})]
    )
    there = found(monkeypatch, endless)
    assert (there.groups[0].each["CPU"], there.groups[0].most) == (ENDLESS, MOST)
    assert there.may_fit({"CPU": 3}) > 1e9
