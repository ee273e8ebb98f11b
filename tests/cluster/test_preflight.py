"""What machines see of each other's files, on one machine: `/proc/self/cwd` differs by process."""

from pathlib import Path

import pytest
from s3_server import s3_server

from cluster import preflight
from cluster.outputs import PreflightError, check_job_outputs
from cluster.preflight import check_reach
from cluster.probe import probing, read_back, write

OWN = "/proc/self/cwd"  # a folder of each process's own, under one name
HIDDEN = ".part-"
pytestmark = pytest.mark.skipif(not Path(OWN).exists(), reason=f"{OWN} not found: needs Linux")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def machines(
    ray_session: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> tuple[Path, str]:
    """This process as a machine outside, with a disk of its own at `OWN`; and the node's name."""
    import ray

    disk = tmp_path / "disk"
    disk.mkdir()
    monkeypatch.chdir(disk)
    monkeypatch.setattr(preflight, "_is_outside", lambda: True)
    node = ray.nodes()[0]
    return disk, f"node {node['NodeManagerAddress']} (id {node['NodeID'][:12]})"


def test_what_all_share_is_left_as_it_was(machines: tuple[Path, str], tmp_path: Path) -> None:
    read, there, new = tmp_path / "read", tmp_path / "there", tmp_path / "a" / "new"
    read.write_bytes(b"input")
    (there / "inner").mkdir(parents=True)
    check_reach([str(read)], [str(there), str(new), f"file://{new}"], hidden=HIDDEN)
    assert names(tmp_path) == ["disk", "read", "there"]
    assert names(there) == ["inner"]


@pytest.mark.parametrize("there", [False, True])
def test_a_folder_of_each_machines_own(
    machines: tuple[Path, str], tmp_path: Path, there: bool
) -> None:
    disk, node = machines
    if there:
        (disk / "out").mkdir()
    own = f"{OWN}/out" if there else f"{OWN}/deep/out"
    with pytest.raises(PreflightError) as refused:
        check_reach([], [str(tmp_path / "shared"), own], hidden=HIDDEN)
    said = str(refused.value)
    assert said.startswith(f"{own}: {node} does not see what other machines write there; ")
    assert "s3://" in said
    assert "shared:" not in said
    assert names(disk) == ["out"] * there
    assert names(tmp_path) == ["disk"]


def test_inputs_that_differ(machines: tuple[Path, str], tmp_path: Path) -> None:
    disk, node = machines
    (disk / "only-here").write_bytes(b"input")
    with pytest.raises(PreflightError) as refused:
        check_reach([f"{OWN}/only-here", "/proc/self/status"], [], hidden=HIDDEN)
    assert f"{OWN}/only-here: {node} cannot read it (no such file)" in str(refused.value)
    assert f"/proc/self/status: {node} has another file there" in str(refused.value)


def test_a_relative_output(machines: tuple[Path, str]) -> None:
    with pytest.raises(PreflightError, match=r"output a/out: relative, on a cluster of 2 mach"):
        check_reach([], ["a/out"], hidden=HIDDEN)


def test_a_node_that_does_not_answer(
    machines: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "ANSWER_S", 0.0)
    with pytest.raises(PreflightError) as refused:
        check_reach([], [str(tmp_path / "out")], hidden=HIDDEN)
    assert str(refused.value).startswith(f"{machines[1]} gives no answer within 0 s; ")
    assert names(tmp_path) == ["disk"]


def test_a_place_where_this_process_cannot_write(
    machines: tuple[Path, str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PreflightError, match="cannot be written here"):
        check_reach([], [str(tmp_path / "new"), str(tmp_path / "file" / "out")], hidden=HIDDEN)
    assert names(tmp_path) == ["disk", "file"]


def test_one_machine_is_not_asked(ray_session: None, tmp_path: Path) -> None:
    check_reach(["/nowhere"], ["relative"], hidden=HIDDEN)


def test_what_others_write_meanwhile_stays(tmp_path: Path) -> None:
    with probing(str(tmp_path / "a" / "b"), ".part-probe") as probe:
        assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == [probe.name]
        (tmp_path / "a" / "theirs").write_bytes(b"")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "theirs"]


def test_outputs_of_a_submitted_job(monkeypatch: pytest.MonkeyPatch) -> None:
    check_job_outputs(["out"])
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    check_job_outputs(["s3://bucket/out", "file:///out", "/out", "~/out"])
    with pytest.raises(PreflightError) as refused:
        check_job_outputs(["/out", "runs/first"])
    assert str(refused.value).startswith("output runs/first: relative to the job's own copy")
    assert "s3://bucket/first" in str(refused.value)


def test_an_object_store_is_left_as_it_was(tmp_path: Path) -> None:
    with s3_server(tmp_path) as server:
        url = server.url("new/out")
        with probing(url, ".part-probe") as probe:
            name, token = probe.of_node("node")
            read_back(url, probe.name, probe.token)
            write(url, name, token)
            read_back(url, name, token)
            found = {path.name for path in server.file("new/out").iterdir()}
            assert found == {probe.name, name}
            with pytest.raises(FileNotFoundError):
                read_back(url, name, "another token")
        assert not any(path.is_file() for path in server.root.rglob("*"))
