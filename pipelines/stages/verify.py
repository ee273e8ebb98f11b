"""What `pmam verify` does and prints: repairs, problems, and the status that tells."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from cluster.session import is_running
from cluster.storage.urls import absolute
from pipelines.runtime.files.urls import store
from pipelines.runtime.lines import SHOWN, print_line
from pipelines.runtime.stage import PLAN
from pipelines.runtime.words import counted
from pipelines.runtime.workers.pool import Pool
from pipelines.runtime.workers.progress import bar
from pipelines.runtime.workers.rows import through_workers
from shards.errors import SHOWN as MOST
from shards.io.store import Store
from shards.manifest import SHARD_FOLDER, DatasetError, read_manifest
from shards.repair.verification import Problem, ShardChecker, verify


class _Checker:
    """Checks shards of a dataset on a node of a cluster."""

    def __init__(self, url: str, decode: float) -> None:
        self.check = ShardChecker(store(url), decode, store)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        problems = [asdict(problem) for problem in self.check(row["name"])]
        return {"name": row["name"], "problems": json.dumps(problems)}


def verify_dataset(url: str, decode: float, *, every: bool = False) -> None:
    """Problems of a dataset, one a line; ends with status 1 where there are any.

    Of each kind the first 20 are listed and the others counted, or with `every` all are listed.
    Inside a Ray session, its workers read the shards; else this process does.
    """
    dataset, url = store(url), absolute(url)
    shards = _count(dataset)

    def by_workers(names: Sequence[str]) -> Iterator[Sequence[Problem]]:
        found = {}
        for row in through_workers(
            [{"name": name} for name in names], _Checker, {"url": url, "decode": decode}, Pool()
        ):
            found[row["name"]] = [Problem(**problem) for problem in json.loads(row["problems"])]
            advance(1, "")
        return (found[name] for name in names)

    with bar("verify (shards)", shards) as advance:
        if is_running():
            report = verify(dataset, decode, resolve=store, elsewhere=by_workers)
        else:
            report = verify(dataset, decode, on_shard=lambda *_: advance(1, ""), resolve=store)
    for line in (*_listed(report.problems, every), *_listed(report.warnings, every)):
        print_line(line)
    warned = f", {counted(len(report.warnings), 'warning')}" if report.warnings else ""
    print_line(
        f"{report.clips} clips in {report.shards} shards, {len(report.problems)} problems{warned}"
    )
    if not report.ok:
        raise SystemExit(1)


def _count(dataset: Store) -> int:
    """How many shards there are to read.

    Raises:
        DatasetError: neither a manifest that can be read nor tars.
    """
    try:
        return len(read_manifest(dataset).shards)
    except DatasetError:
        if not (tars := [name for name in dataset.names(SHARD_FOLDER) if name.endswith(".tar")]):
            raise
        return len(tars)


def _listed(problems: Sequence[Problem], every: bool) -> Iterator[str]:
    """Problems in their order: all, or the first of each kind and how many more there are."""
    counts: Counter[str] = Counter()
    for problem in problems:
        counts[problem.kind] += 1
        if every or counts[problem.kind] <= MOST:
            yield str(problem)
    for kind, count in counts.items():
        if count > MOST and not every:
            yield f"{kind}: and {count - MOST} more; --every lists them all"


def repair_dataset(url: str, *, drop: bool) -> None:
    """Repair a dataset; prints what was done and what could not be."""
    from shards.repair.restore import repair  # all that reads tables and foreign tars

    dataset = store(url)
    planned = _pack_settings(dataset)
    names = {name: planned[name] for name in ("name", "licence") if name in planned}
    shards = len([name for name in dataset.names() if name.endswith(".tar")])
    with bar("repair (shards)", shards) as advance:
        found = repair(dataset, drop=drop, resolve=store, on_step=lambda _: advance(1, ""), **names)
    for line in found.done or (() if found.lost else ("nothing to rebuild",)):
        print_line(f"repair: {line}")
    if not found.lost:
        return
    if found.dropped:
        what = "left out of the new index"
    else:
        what = "copy their shard again or pack the source again, or give --drop-lost"
    print_line(f"repair: {len(found.lost)} clips are lost; {what}")
    for source_id in found.lost[:SHOWN]:
        print_line(f"  {source_id}")
    if len(found.lost) > SHOWN:
        print_line("  ...")


def _pack_settings(dataset: Store) -> dict[str, Any]:
    """What `pmam pack` was asked for there; the name and the licence are in no tar."""
    try:
        plan = json.loads(dataset.read(PLAN))
        settings = plan.get("defaults", {}) | plan["settings"]
        return {name: value for name, value in settings.items() if isinstance(value, str)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
