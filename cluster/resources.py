"""What a cluster has, what its autoscaler may bring, and how many workers of a shape fit there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Amounts = Mapping[str, float]  # by Ray's names: CPU, GPU, memory (bytes)
MOST, ENDLESS = 1_000_000, 1e15  # nodes of a group, and what each has, without a limit
SMALL = 1e-9  # shares of a GPU, such as three thirds


@dataclass(frozen=True, kw_only=True)
class NodeGroup:
    """Nodes of one shape that an autoscaler starts when they are asked for."""

    name: str
    each: Amounts
    most: int


@dataclass(frozen=True, kw_only=True)
class Room:
    """Nodes that are there, and those that may come."""

    nodes: tuple[Amounts, ...]
    groups: tuple[NodeGroup, ...] = ()  # none: nothing grows by itself

    def now(self, name: str) -> float:
        """How much there is of a resource."""
        return sum(node.get(name, 0.0) for node in self.nodes)

    def most(self, name: str) -> float:
        """How much there may ever be of a resource."""
        grown = sum(group.each.get(name, 0.0) * group.most for group in self.groups)
        return max(self.now(name), grown)

    def fits(self, each: Amounts) -> int:
        """How many workers of a shape have room on the nodes that are there."""
        return sum(_of(node, each) for node in self.nodes)

    def may_fit(self, each: Amounts) -> int:
        """How many workers of a shape have room when all has come that may."""
        grown = sum(_of(group.each, each) * group.most for group in self.groups)
        return max(self.fits(each), grown)

    def with_one_less(self) -> "Room":
        """Without the CPU that a session on this machine has more than the machine."""
        nodes = ({**node, "CPU": max(1.0, node.get("CPU", 1.0) - 1)} for node in self.nodes)
        return Room(nodes=tuple(nodes), groups=self.groups)

    def shapes(self, name: str) -> list[tuple[Amounts, int]]:
        """Nodes that have some of a resource, alike ones counted: those there, or that may come."""
        there = [node for node in self.nodes if node.get(name, 0.0) > 0]
        if there:
            return [(node, 1) for node in there]
        return [(group.each, group.most) for group in self.groups if group.each.get(name, 0.0) > 0]


def _of(node: Amounts, each: Amounts) -> int:
    """How many of a shape one node holds."""
    wanted = {name: amount for name, amount in each.items() if amount > 0}
    if not wanted:
        return 0
    gpus = wanted.get("GPU", 0.0)
    whole = [
        int(node.get(name, 0.0) / amount + SMALL)
        for name, amount in wanted.items()
        if name != "GPU"
    ]
    if gpus:  # a share is of one GPU
        of_each = int(1 / gpus + SMALL) if gpus < 1 else 1 / gpus
        whole.append(int(of_each * node.get("GPU", 0.0) + SMALL))
    return min(whole)


def room(left_out: Sequence[str] = ()) -> Room:
    """Of the cluster of this session.

    Args:
        left_out: ids of nodes that do no work.
    """
    import ray
    from ray._private.state import state

    nodes = tuple(
        dict(node["Resources"])
        for node in ray.nodes()
        if node["Alive"] and node["NodeID"] not in left_out
    )
    config = state.get_cluster_config()
    groups = [] if config is None else config.node_group_configs
    return Room(
        nodes=nodes,
        groups=tuple(
            NodeGroup(
                name=group.name,
                each={name: _amount(amount) for name, amount in group.resources.items()},
                most=MOST if group.max_count < 0 else group.max_count,
            )
            for group in groups
            if group.max_count != 0
        ),
    )


def _amount(found: float) -> float:
    """Ray says -1 of what has no limit."""
    return ENDLESS if found < 0 else float(found)
