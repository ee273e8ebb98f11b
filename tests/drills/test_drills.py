"""What kills, cuts and full disks do to a run on a cluster: it survives, or says what is wrong.

`uv run pytest -m slow tests/drills -s` runs all of them on this machine, and prints a table.
"""

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from drill import NODES, Drill, Outcome
from ray_cluster import ray_cluster
from s3_server import S3Server, s3_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600), pytest.mark.xdist_group("drills")]
TABLE: list[tuple[str, str, str]] = []
AWAY_S = 60.0
CLIPS = 42


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="module")
def drill(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drill]:
    with ray_cluster(s3.environment, NODES) as cluster:
        yield Drill(cluster, s3, tmp_path_factory.mktemp("drill"))
    width = max(len(name) for name, _, _ in TABLE) if TABLE else 0
    print("\n\n" + "\n".join(f"{n:<{width}}  {t:>8}  {what}" for n, t, what in TABLE))


@pytest.fixture(scope="module")
def undisturbed(drill: Drill) -> Outcome:
    began = time.monotonic()
    found = drill.finish("undisturbed", drill.start("undisturbed"), began)
    assert (found.clips, found.problems) == (CLIPS, 0)
    TABLE.append(("undisturbed", f"{found.took_s:.0f} s", "the numbers that all others must have"))
    return found


def survived(name: str, found: Outcome, undisturbed: Outcome, drill: Drill) -> None:
    """Nothing lost, nothing doubled, the same numbers, nothing left."""
    assert (found.clips, found.problems) == (CLIPS, 0)
    same = found.numbers == undisturbed.numbers
    left = drill.left_over()
    said = f"{CLIPS} clips, 0 lost or doubled; numbers {'equal' if same else 'DIFFER'}"
    TABLE.append((name, f"{found.took_s:.0f} s", f"{said}; {len(left)} processes left"))
    assert same
    assert left == []


def test_undisturbed(undisturbed: Outcome, drill: Drill) -> None:
    assert drill.left_over() == []


@pytest.mark.parametrize(
    ("name", "title"),
    [("Data worker killed", "MapWorker"), ("Train worker killed", "RayTrainWorker")],
)
def test_a_killed_worker(name: str, title: str, drill: Drill, undisturbed: Outcome) -> None:
    began, folder = time.monotonic(), title.lower()
    process = drill.start(folder)
    drill.worker(title, process).kill()
    survived(name, drill.finish(folder, process, began), undisturbed, drill)


@pytest.mark.parametrize("stage", ["soundscapes", "embed", "pretrain"])
def test_a_killed_raylet(stage: str, drill: Drill, undisturbed: Outcome) -> None:
    """A machine that goes, and another that comes."""
    began, folder = time.monotonic(), f"raylet-{stage}"
    process = drill.start(folder)
    title = "RayTrainWorker" if stage == "pretrain" else "MapWorker"
    before = {"soundscapes": "checking", "embed": r"dataset\s+packed", "pretrain": r"label\S*\s+\w"}
    drill.wait_for(process, folder, before[stage])
    drill.worker(title, process)
    drill.cluster.stop(NODES[1])
    drill.cluster.start_node(NODES[1])
    survived(f"raylet killed in {stage}", drill.finish(folder, process, began), undisturbed, drill)


def test_a_killed_driver(drill: Drill, undisturbed: Outcome) -> None:
    """At random moments, and the same command again, until it goes through."""
    began, moments = time.monotonic(), random.Random(0)
    kills = 0
    for _ in range(10):
        process = drill.start("driver")
        end = time.monotonic() + moments.uniform(2, 0.4 * undisturbed.took_s)
        while time.monotonic() < end and process.poll() is None:
            time.sleep(0.1)
        if process.poll() is not None:
            break
        drill.kill(process)
        kills += 1
    process = drill.start("driver")
    found = drill.finish("driver", process, began)
    survived(f"driver killed {kills} times", found, undisturbed, drill)


@pytest.mark.parametrize("said", [r"checking", r"fit\S*\s+\w"], ids=["packing", "training"])
def test_a_store_that_is_away(
    said: str, drill: Drill, undisturbed: Outcome, request: pytest.FixtureRequest
) -> None:
    """It takes connections, and answers nothing."""
    began, folder = time.monotonic(), f"away-{request.node.callspec.id}"
    process = drill.start(folder)
    drill.wait_for(process, folder, said)
    drill.s3.process.send_signal(signal.SIGSTOP)
    try:
        time.sleep(AWAY_S)
    finally:
        drill.s3.process.send_signal(signal.SIGCONT)
    found = drill.finish(folder, process, began)
    survived(f"store away for 60 s in {request.node.callspec.id}", found, undisturbed, drill)


@pytest.mark.parametrize("kind", ["wrong", "unknown"])
def test_keys_that_are_refused(kind: str, drill: Drill, undisturbed: Outcome) -> None:
    """One line, at once, and no key in it."""
    began, folder = time.monotonic(), f"keys-{kind}"
    name = "AWS_SECRET_ACCESS_KEY" if kind == "wrong" else "AWS_ACCESS_KEY_ID"
    process = drill.start(folder, {name: "anotherkeyanotherkey"})
    process.wait(300)
    last = drill.log(folder).read_text().splitlines()[-1]
    assert process.returncode == 2
    assert last.startswith("pmam: error: ")
    assert "anotherkey" not in last
    took = f"{time.monotonic() - began:.0f} s"
    TABLE.append((f"keys that are {kind}", took, f"refused: {last[13:90]}..."))


def test_a_killed_head(drill: Drill, undisturbed: Outcome) -> None:
    """A new cluster, and the same command."""
    began = time.monotonic()
    process = drill.start("head")
    drill.wait_for(process, "head", r"embed\S*\s+\w")
    for ip in [*drill.cluster.nodes]:
        drill.cluster.stop(ip)
    process.wait(300)
    assert process.returncode != 0
    drill.cluster.start_head()
    for ip in NODES:
        drill.cluster.start_node(ip)
    found = drill.finish("head", drill.start("head"), began)
    survived("head killed", found, undisturbed, drill)


def test_logs_hold_no_key(drill: Drill, undisturbed: Outcome, s3: S3Server) -> None:
    """Nor does what Ray writes, on any node."""
    secrets = [s3.secret.encode(), drill.cluster.environment["RAY_AUTH_TOKEN"].encode()]
    looked, found = 0, []
    for folder in (drill.folder, drill.cluster.session, s3.root):
        for path in Path(folder).rglob("*"):
            if path.is_file() and not path.is_symlink():
                looked += 1
                data = path.read_bytes()
                found += [str(path) for secret in secrets if secret in data]
    TABLE.append(("keys in logs", "", f"{len(found)} of {looked} files hold one"))
    assert found == []
    assert looked > 50
