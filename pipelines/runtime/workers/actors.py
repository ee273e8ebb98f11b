"""Rows through workers of a pool that stay alive, as a Ray Data job."""

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from cluster.resources import room
from pipelines.runtime.workers.nodes import Guarded, answer, expected, left_out, selector
from pipelines.runtime.workers.pool import Pool


def through_actors(
    rows: Sequence[Mapping[str, Any]],
    actor: type,
    arguments: Mapping[str, Any],
    pool: Pool,
    *,
    most_blocks: int | None = None,
) -> Generator[dict[str, Any]]:
    """What the actors make of each row, each as soon as it is made, in any order.

    Args:
        rows: plain values by column; none start nothing.
        actor: built once in each worker, called with a row, returns one.
        arguments: keyword arguments of `actor`.
        pool: how many workers there are.
        most_blocks: rows go out in at most so many blocks; by default each by itself.

    Raises:
        OtherCodeError: a node that joined since the check runs something else.
        RoomError: the cluster can never hold one worker.
    """
    if not rows:
        return
    import ray.data

    size = pool.size(len(rows), room(left_out()))
    blocks = min(len(rows), most_blocks or len(rows))
    nodes = selector()
    where: dict[str, Any] = {} if nodes is None else {"label_selector": nodes}
    dataset = ray.data.from_items(list(rows), override_num_blocks=blocks).map(
        Guarded,  # type: ignore[arg-type]  # Ray makes an object of it
        fn_constructor_args=(actor, dict(arguments), expected()),
        compute=ray.data.ActorPoolStrategy(min_size=size.least, max_size=size.most),
        num_cpus=size.each["CPU"],
        num_gpus=size.each.get("GPU"),
        memory=size.each.get("memory"),
        **where,
    )
    for row in dataset.iter_rows():
        yield answer(row)
