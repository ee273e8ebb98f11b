"""Before work on several machines begins: does each run the same code, and reach the same places?

A path may name another folder on each machine, each of which can be written and read there. So
nobody's own file proves anything: each node reads what this process wrote, and this process what
each node wrote.
"""

import contextlib
import logging
import secrets
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from typing import Any

from cluster.node_code import CODE, PYTHON, Checked, Report, differences, report, told
from cluster.outputs import INSTEAD, PreflightError, is_relative, last_name
from cluster.probe import Probe, each, head, patiently, probing, read_back, remove, write
from cluster.storage.urls import absolute

# A node may have to build its environment first, for which `uv run` and `pip` take minutes.
ANSWER_S = 300.0
CLEAN_S = 30.0
NOT_SHARED = "does not see what other machines write there"
log = logging.getLogger("pmam")

# Nodes, as they are called, by (URL or nothing, what is wrong there).
Problems = Mapping[tuple[str, str], Sequence[str]]


def check_reach(
    reads: Sequence[str],
    writes: Sequence[str],
    *,
    hidden: str,
    modules: tuple[str, ...] = (),
    packages: tuple[str, ...] = (),
) -> Checked:
    """See that every node runs the same code, and reads and writes the same places.

    Does nothing where there is one machine. Needs a session. What it writes it removes. A node
    that runs something else is told, and left out where others remain.

    Args:
        reads: URLs of objects; of each its size and its first bytes are compared.
        writes: URLs or paths of folders, as they were given; they need not be there.
        hidden: how names begin that nobody takes for content.
        modules: top-level packages whose sources must be the same.
        packages: distributions whose versions must be.

    Raises:
        PreflightError: a node does not, or does not answer; or an output is relative.
            Or this process cannot read or write one of them. Or no node remains.
    """
    nodes = _nodes()
    machines = len(nodes) + _is_outside()
    if machines < 2:
        return Checked()
    for url in filter(is_relative, writes):
        raise PreflightError(
            f"output {url}: relative, on a cluster of {machines} machines; "
            f"{INSTEAD.format(last_name(url), 'all of them')} ({absolute(url)}, if they do)"
        )
    log.info("%-14s what %d nodes run, can read and can write", "checking", len(nodes))
    here = report(modules, packages)
    expected = dict(zip(reads, each(_here, reads), strict=True))
    with contextlib.ExitStack() as stack:
        probes = []
        for url in dict.fromkeys(map(absolute, writes)):
            name = f"{hidden}{secrets.token_hex(8)}-probe"
            try:
                probes.append(stack.enter_context(probing(url, name)))
            except OSError as error:
                raise PreflightError(
                    f"output {url}: cannot be written here ({_reason(error)}); check who may write "
                    f"there, or {INSTEAD.format(last_name(url), 'all machines')}"
                ) from error
        problems, others = _asked(nodes, expected, probes, here)
    if problems:
        raise PreflightError(_told(problems, machines))
    for node, wrong in others.items():
        log.warning("node %s is left out: it %s", nodes[node], wrong)
    if others and not _with_cpus(nodes.keys() - others.keys()):
        raise PreflightError(
            "; ".join(f"node {nodes[node]} {wrong}" for node, wrong in others.items())
            + "; no other node has CPUs, and nothing was begun: give all nodes one image or "
            "environment, or send the code with the job"
        )
    return Checked(expected=here, left_out=tuple(others))


def _here(url: str) -> str:
    """What tells an object from others, as this process reads it."""
    try:
        return head(url)
    except OSError as error:
        raise PreflightError(
            f"input {url}: cannot be read here ({_reason(error)}); check the path, and who may "
            "read it"
        ) from error


def _asked(
    nodes: Mapping[str, str],
    expected: Mapping[str, str],
    probes: Sequence[Probe],
    here: Report,
) -> tuple[Problems, dict[str, str]]:
    """Ask all nodes at once what they run, can read and can write; look at what they wrote.

    Returns:
        what is wrong with places, and nodes that run something else, with what.
    """
    import ray

    asked: dict[Any, str] = {}
    for node in nodes:
        tokens = {probe.url: (probe.name, probe.token, *probe.of_node(node)) for probe in probes}
        asked[_on(node, _look, dict(expected), tokens, _asks_for(here))] = node
    others: dict[str, str] = {}
    problems: dict[tuple[str, str], list[str]] = defaultdict(list)
    strays = []
    # One that answers later finds no token any more, and writes nothing; to cancel it can end Ray.
    done, silent = ray.wait(list(asked), num_returns=len(asked), timeout=ANSWER_S)
    for reference in silent:
        problems["", f"gives no answer within {ANSWER_S:g} s"].append(nodes[asked[reference]])
    for reference in done:
        node = asked[reference]
        try:
            there, found = ray.get(reference)
        except Exception as error:  # of many kinds: it died, or has no pmam
            others[node] = f"cannot run pmam ({_reason(error)})"
            continue
        if wrong_code := differences(here, there):
            others[node] = told(wrong_code)
        for probe in probes:
            name, token = probe.of_node(node)
            wrong = found.get(probe.url) or _unseen(probe.url, name, token)
            if wrong and probe.url not in found:  # it wrote to a place of its own
                strays.append(_on(node, remove, probe.url, name))
                found[probe.url] = wrong
        if node in others:  # where it cannot read or write does not matter
            continue
        for url, wrong in found.items():
            problems[url, wrong].append(nodes[node])
    if strays:
        ray.wait(strays, num_returns=len(strays), timeout=CLEAN_S)
    return problems, others


def _asks_for(here: Report) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of modules and packages in a report."""
    modules = tuple(name.removeprefix(CODE) for name in here if name.startswith(CODE))
    return modules, tuple(name for name in here if name != PYTHON and not name.startswith(CODE))


def _with_cpus(nodes: Set[str]) -> bool:
    """Whether one of these nodes can do work."""
    import ray

    return any(
        node["NodeID"] in nodes and node["Resources"].get("CPU", 0) > 0 for node in ray.nodes()
    )


def _on(node: str, function: Any, *arguments: Any) -> Any:
    """Call a function on a node; it takes no CPU, so that a node answers that is at work."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    where = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
    options = {"num_cpus": 0, "max_retries": 0, "scheduling_strategy": where}
    return ray.remote(function).options(**options).remote(*arguments)


def _look(
    expected: Mapping[str, str],
    tokens: Mapping[str, tuple[str, str, str, str]],
    asks_for: tuple[tuple[str, ...], tuple[str, ...]],
) -> tuple[Report, dict[str, str]]:
    """What this node runs, and what is wrong by URL: with what it reads, and what it writes."""

    def read(url: str) -> str | None:
        try:
            got = patiently(lambda: head(url))
        except (OSError, ValueError) as error:
            return f"cannot read it ({_reason(error)})"
        return None if got == expected[url] else "has another file there"

    def written(url: str) -> str | None:
        name, token, own_name, own_token = tokens[url]
        # Nothing is written but where the token is: a folder of the node's own stays as it is.
        if wrong := _unseen(url, name, token):
            return wrong
        try:
            write(url, own_name, own_token)
        except (OSError, ValueError) as error:
            return f"cannot write there ({_reason(error)})"
        return None

    problems: dict[str, str] = {}
    for check, urls in ((read, list(expected)), (written, list(tokens))):
        found = dict(zip(urls, each(check, urls), strict=True))
        problems |= {url: wrong for url, wrong in found.items() if wrong is not None}
    return report(*asks_for), problems


def _unseen(url: str, name: str, token: str) -> str | None:
    """Why a file with this token is not seen; None where it is."""
    try:
        read_back(url, name, token)
    except FileNotFoundError:
        return NOT_SHARED
    except (OSError, ValueError) as error:
        return f"cannot read there ({_reason(error)})"
    return None


def _told(problems: Problems, machines: int) -> str:
    """All that is wrong, and what to do, in one line."""
    said = []
    for (url, wrong), nodes in problems.items():
        who = f"node{'s' * (len(nodes) > 1)} {', '.join(nodes)}"
        said.append(f"{url}: {who} {wrong}" if url else f"{who} {wrong}")
    advice = []
    if any(url for url, _ in problems):
        advice.append(INSTEAD.format("folder", f"all {machines} machines"))
    if any(not url for url, _ in problems):
        advice.append("see that these nodes are well")
    return f"{'; '.join(said)}; nothing was begun: {', and '.join(advice)}"


def _nodes() -> dict[str, str]:
    """Nodes that are there: what to call them, by id."""
    import ray

    return {
        node["NodeID"]: f"{node['NodeManagerAddress']} (id {node['NodeID'][:12]})"
        for node in ray.nodes()
        if node["Alive"]
    }


def _is_outside() -> bool:
    """Whether this process is outside the cluster, as with `ray://`."""
    import ray.util.client

    return bool(ray.util.client.ray.is_connected())


def _reason(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    said = getattr(error, "strerror", None) or str(getattr(error, "cause", None) or error)
    return " ".join(said.split())[-300:] or type(error).__name__
