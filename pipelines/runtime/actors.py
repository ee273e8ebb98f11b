"""Rows through workers of a pool that stay alive, as a Ray Data job."""

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from pipelines.runtime.nodes import Guarded, answer, expected, selector
from pipelines.runtime.pool import Pool


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
    """
    if not rows:
        return
    import ray.data

    least, most, gpus = pool.size(len(rows), ray.cluster_resources())
    blocks = min(len(rows), most_blocks or len(rows))
    nodes = selector()
    where: dict[str, Any] = {} if nodes is None else {"label_selector": nodes}
    dataset = ray.data.from_items(list(rows), override_num_blocks=blocks).map(
        Guarded,  # type: ignore[arg-type]  # Ray makes an object of it
        fn_constructor_args=(actor, dict(arguments), expected()),
        compute=ray.data.ActorPoolStrategy(min_size=least, max_size=most),
        num_cpus=1,
        num_gpus=gpus or None,
        **where,
    )
    for row in dataset.iter_rows():
        yield answer(row)
