"""Segments of prototypes as sound and picture that stand in a page by themselves."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.pages.sound import Excerpt, cut
from pipelines.runtime.errors import USER_ERRORS
from pipelines.stages.prototypes.labels import rows_of
from pmam.prototypes.usage import Segment
from shards.dataset import Dataset
from shards.index import IndexRow

CONTEXT_S = 0.25  # heard and seen before and after a segment


@dataclass(frozen=True, kw_only=True)
class Excerpts:
    """What a page can show: by prototype and place in its list."""

    made: dict[tuple[int, int], Excerpt]
    failed: dict[tuple[int, int], str]  # why a clip could not be read
    left_out: int  # because the page would become too large


def excerpts(
    dataset: Dataset, top: Sequence[Sequence[Segment]], per_prototype: int, max_bytes: int
) -> Excerpts:
    """The first segments of each prototype, as many as fit.

    Every prototype gets its first, then every one its second, and so on: what is left out
    because of `max_bytes` is last in the lists. Prototypes come in the order of `top`.
    """
    made: dict[tuple[int, int], Excerpt] = {}
    failed: dict[tuple[int, int], str] = {}
    used, wanted, done = 0, 0, False
    for rank in range(per_prototype):
        chosen = {
            (z, rank): segments[rank] for z, segments in enumerate(top) if rank < len(segments)
        }
        wanted += len(chosen)
        if done:
            continue
        found = _cut(dataset, chosen, failed)
        for place in sorted(found):
            used += found[place].size
            done = done or used > max_bytes
            if not done:
                made[place] = found[place]
    return Excerpts(made=made, failed=failed, left_out=wanted - len(made) - len(failed))


def _cut(
    dataset: Dataset, chosen: dict[tuple[int, int], Segment], failed: dict[tuple[int, int], str]
) -> dict[tuple[int, int], Excerpt]:
    """Each clip is decoded once, in blocks."""
    by_key: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for place, segment in chosen.items():
        by_key[segment.key].append(place)
    made: dict[tuple[int, int], Excerpt] = {}
    for row in rows_of(dataset, by_key):
        places = by_key[row.key]
        spans = [_span(chosen[place], row) for place in places]
        try:
            made |= dict(zip(places, cut(dataset, row, spans), strict=True))
        except USER_ERRORS as error:
            failed |= dict.fromkeys(places, " ".join(str(error).split()))
    return made


def _span(segment: Segment, row: IndexRow) -> tuple[float, float]:
    start_s = max(0.0, segment.start_s - CONTEXT_S)
    return start_s, min(row.duration_s, segment.stop_s + CONTEXT_S)
