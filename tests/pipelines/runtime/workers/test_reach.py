"""Each command that joins a cluster says what it reads and writes, before it writes anything."""

import inspect
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from packing import noise_clips, pack

from cluster.outputs import PreflightError
from pipelines.runtime.files.urls import PROTOTYPES_FILE, store
from pipelines.runtime.stage import DONE, FORMAT_VERSION
from pipelines.runtime.workers.input_objects import objects
from shards.manifest import DatasetError, read_manifest

# Command: its words, and which of the names below it reads and writes. `OUT` is absent at first.
READS_OF: dict[str, tuple[str, list[str]]] = {
    "pack": ("pack SOURCE OUT", ["SOURCE"]),
    "embed": ("embed SET OUT --model MODEL", ["SET", "MODEL"]),
    "fit": ("fit SET EMBEDDED OUT --workers 1 --before LABELS", ["SET", "EMBEDDED", "LABELS"]),
    "label": ("label SET FITTED OUT --checkpoint MODEL", ["SET", "FITTED", "MODEL"]),
    "pretrain": (
        "pretrain SET OUT --posteriors LABELS --prototypes FITTED --start MODEL",
        ["SET", "LABELS", "FITTED", "MODEL"],
    ),
    "finetune": (
        "finetune SET OUT --start MODEL --cached-inputs EMBEDDED",
        ["SET", "MODEL", "EMBEDDED"],
    ),
    "score": ("score SET OUT --checkpoint MODEL", ["SET", "MODEL"]),
    "run": ("run --data SOURCE --out OUT", ["SOURCE"]),
    "run of a dataset": (
        "run --dataset SET --prototypes FITTED --posteriors LABELS --out OUT",
        ["SET", "FITTED", "LABELS"],
    ),
    "inspect": ("inspect SET --out OUT", ["SET"]),
    "verify": ("verify SET", ["SET"]),
    "prototypes": (
        "prototypes FITTED --dataset SET --out OUT --posteriors LABELS",
        ["FITTED", "SET", "LABELS"],
    ),
    "reindex foreign": ("reindex foreign TARS OUT", ["TARS"]),
    "import posteriors": ("import posteriors SOURCE SET OUT", ["SOURCE", "SET"]),
    "import published": ("import published SET OUT", ["SET"]),
    "soundscapes": ("soundscapes SOURCE OUT --background TARS", ["SOURCE", "TARS"]),
}


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Path]:
    """A place of each kind; they hold just enough to be found."""
    named = {name: tmp_path / name.lower() for name in ("SOURCE", "EMBEDDED", "FITTED", "LABELS")}
    for folder in named.values():
        (folder / "inner").mkdir(parents=True)
        (folder / "inner" / "file").write_bytes(b"x")
    record = {"format_version": FORMAT_VERSION, "stage": "a", "algorithm_version": 1}
    for name in ("EMBEDDED", "FITTED", "LABELS"):
        (named[name] / DONE).write_text(json.dumps({**record, "fingerprint": name, "attempt": "b"}))
    (named["FITTED"] / PROTOTYPES_FILE).write_text("{}")
    clips = noise_clips(tmp_path / "noise", 4)
    pack(tmp_path / "noise", clips, tmp_path / "set")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "model.safetensors").write_bytes(b"x")
    (tmp_path / "tars").mkdir()
    (tmp_path / "tars" / "0.tar").write_bytes(b"x")
    model = tmp_path / "models" / "model"
    return {**named, "SET": tmp_path / "set", "TARS": tmp_path / "tars", "MODEL": model}


@pytest.mark.parametrize("command", READS_OF)
def test_what_a_command_reads_and_writes(
    command: str,
    places: dict[str, Path],
    tmp_path: Path,
    refused: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    ray_session: None,
) -> None:
    asked: list[tuple[Sequence[str], Sequence[str]]] = []

    def check(reads: Sequence[str], writes: Sequence[str], **_: object) -> None:
        asked.append((reads, writes))
        raise PreflightError("stop here")

    monkeypatch.setattr("cluster.preflight.check_reach", check)
    words, inputs = READS_OF[command]
    out = tmp_path / "new" / "out"
    names = {**places, "OUT": out}
    before = sorted(tmp_path.rglob("*"))
    assert refused(*[names.get(word, word) for word in words.split()]).endswith("stop here\n")
    [(reads, writes)] = asked
    assert list(writes) == [str(out)] * ("OUT" in words)
    for name in inputs:
        assert any(read.startswith(str(places[name])) for read in reads), name
    assert sorted(tmp_path.rglob("*")) == before


def test_every_command_with_an_address_is_tried() -> None:
    from pipelines.cli import run, stages
    from pipelines.cli.data import inspect, reindex, verify
    from pipelines.cli.models import imports, training
    from pipelines.cli.recordings import detect
    from pipelines.cli.results import prototypes

    found = set()
    for module in (stages, detect, reindex, verify, imports, inspect):
        found |= _with_address(module)
    found |= _with_address(prototypes) | _with_address(training)
    assert "address" in run.RunArguments.__dataclass_fields__
    tried = {command.split()[-1] for command in READS_OF if command != "run of a dataset"}
    assert found | {"run", "soundscapes"} == tried | {"detect"}  # it writes in this process alone


def _with_address(module: object) -> set[str]:
    return {
        name
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if not name.startswith("_")
        and function.__module__ == module.__name__  # type: ignore[attr-defined]
        and "address" in inspect.signature(function).parameters
    }


@pytest.mark.parametrize(
    "words",
    [
        "pack SOURCE out",
        "fit SET EMBEDDED out",
        "evaluate SET LABELS --out out",
        "soundscapes SOURCE out",
        "run --data SOURCE",
        "reindex labels SET out",
        "reindex merge SET SET out",
        "reindex filter SET out",
        "import prototypes MODEL out",
        "checkpoint convert MODEL out",
        "inspect SET --out out",
        "prototypes FITTED --dataset SET --out out",
        "detect SOURCE --checkpoint MODEL --output-dir out",
    ],
)
def test_a_relative_output_of_a_submitted_job(
    words: str,
    places: dict[str, Path],
    tmp_path: Path,
    refused: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before Ray is started or joined."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setenv("RAY_JOB_CONFIG_JSON_ENV_VAR", "{}")
    monkeypatch.setattr("ray.init", lambda **_: pytest.fail("Ray was started"))
    said = refused(*[places.get(word, word) for word in words.split()])
    assert ": relative to the job's own copy of its working directory" in said
    assert "give a URL such as s3://bucket/" in said
    assert list(Path().iterdir()) == []


def test_one_object_of_each_input(places: dict[str, Path], tmp_path: Path) -> None:
    shards = {path.name for path in (places["SET"] / "shards").iterdir()}
    assert len(shards) > 1
    source, *rest = objects([str(places["SOURCE"]), str(places["MODEL"]), str(places["SET"])])
    assert source == str(places["SOURCE"] / "inner" / "file")
    assert rest[:2] == [f"{places['MODEL']}.safetensors", str(places["SET"] / "dataset.json")]
    assert Path(rest[2]).name in shards
    assert len(rest) == 3


def test_what_is_not_there_is_left_to_the_command(places: dict[str, Path], tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "dataset.json").write_text("{")
    (tmp_path / "empty").mkdir()
    urls = [str(tmp_path / "nothing"), str(tmp_path / "empty"), "https://host/x.tar", "s3://"]
    assert objects([*urls, str(damaged)]) == [str(damaged / "dataset.json")]
    with pytest.raises(DatasetError):
        read_manifest(store(str(damaged)))
