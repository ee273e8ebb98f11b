"""What `--help` says: each text at its own option, in few lines, at once."""

import functools
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
import tyro

from pipelines.cli import run_help, stages
from pipelines.cli.comments import comment_of
from pipelines.cli.data import inspect as inspect_command
from pipelines.cli.data import reindex, verify
from pipelines.cli.jobs import sent
from pipelines.cli.main import COMMANDS, main
from pipelines.cli.models import checkpoint, imports, training, weak
from pipelines.cli.recordings import detect, video, words
from pipelines.cli.results import clean, prototypes, report
from pipelines.cli.run import RunArguments
from pipelines.cli.types import REGISTRY
from pipelines.presets import PRESETS
from pipelines.presets.settings import RunSettings

ROOT = Path(__file__).resolve().parents[3]
FUNCTIONS: list[Callable[..., Any]] = [
    *(stages.soundscapes, stages.pack, stages.embed, stages.fit, stages.label, stages.score),
    *(stages.evaluate, detect.detect, training.pretrain, training.finetune),
    *(weak.train_weak, weak.weak_figures, words.tag, words.classify, words.attention),
    *(prototypes.prototypes, inspect_command.inspect, verify.verify),
    *(*reindex.KINDS.values(), *imports.KINDS.values(), *checkpoint.KINDS.values()),
    *sent.KINDS.values(),
    *(report.report, video.video, clean.clean),
]


def named_in(hint: Any) -> Iterator[type]:
    """The dataclasses that a type hint names."""
    if isinstance(hint, type) and is_dataclass(hint):
        yield hint
    for part in get_args(hint):
        yield from named_in(part)


@functools.cache
def settings_classes() -> dict[str, type]:
    """All dataclasses whose fields become options, by name."""
    found: dict[str, type] = {}
    waiting = [RunSettings]
    for function in FUNCTIONS:
        for hint in get_type_hints(function, include_extras=True).values():
            waiting += named_in(hint)
    while waiting:
        cls = waiting.pop()
        if cls.__qualname__ not in found:
            found[cls.__qualname__] = cls
            for hint in get_type_hints(cls, include_extras=True).values():
                waiting += named_in(hint)
    return found


@pytest.mark.parametrize("name", sorted(settings_classes()))
def test_something_is_said_of_every_setting(name: str) -> None:
    cls = settings_classes()[name]
    assert [field.name for field in fields(cls) if not comment_of(cls, field.name)] == []


@pytest.mark.parametrize("name", sorted(settings_classes()))
def test_what_is_said_is_a_phrase_of_its_own(name: str) -> None:
    """It stands alone in the help: begins with a capital, ends with a full stop, refers to none."""
    cls = settings_classes()[name]
    said = {field.name: comment_of(cls, field.name) for field in fields(cls)}
    wrong = {
        field: text
        for field, text in said.items()
        if not text[:1].isupper()
        or not text.endswith((".", ".)"))
        or re.match(r"(Of|The same|As|It|They|Them|That|This|Where|Which|Whose|At) ", text)
    }
    assert wrong == {}


def plain(text: str) -> str:
    return " ".join(text.split())


def expected(cls: type, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Option and text of each setting, from the source alone."""
    hints = get_type_hints(cls)
    for field in fields(cls):
        nested = list(named_in(hints[field.name]))
        name = f"{prefix}{field.name.replace('_', '-')}"
        if not nested:
            yield f"--{name}", comment_of(cls, field.name)
        elif is_dataclass(hints[field.name]):
            yield from expected(nested[0], f"{name}.")


def test_each_text_of_run_stands_at_its_own_option() -> None:
    parser = tyro.extras.get_parser(
        RunArguments,
        default=RunArguments(settings=PRESETS["demo"]()),
        config=(tyro.conf.AvoidSubcommands,),
        registry=REGISTRY,
    )
    told = {
        option: plain(str(action.help))
        for action in parser._actions
        for option in action.option_strings
    }
    checked = 0
    for option, text in expected(RunSettings):
        if option in told:  # not those of dicts, whose keys are options
            assert told[option].startswith(plain(text)), option
            checked += 1
    assert checked > 100


def test_the_short_help_of_run(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for preset in ("demo", "paper"):
        with pytest.raises(SystemExit) as ended:
            main(["run", "--preset", preset, "--help"])
        assert ended.value.code == 0
        lines = capsys.readouterr().out.splitlines()
        assert 30 < len(lines) <= 100
        assert max(map(len, lines)) <= 80
        text = plain(re.sub("[│╭╮╰╯─]", " ", "\n".join(lines)))
        assert "--help-all" in text
        defaults = PRESETS[preset]()
        assert f"--iterations INT {comment_of(RunSettings, 'iterations')}" in text
        for name in run_help.COMMON:
            assert f"--{name.replace('_', '-')}" in text
        steps = defaults.pretrain.training.optimizer.steps
        assert re.search(rf"--pretrain\.training\.optimizer\.steps INT .*?default: {steps}\)", text)


def test_all_of_it_by_help_all(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", "--preset", "paper", "--help-all"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    missing = [
        name
        for name, _ in expected(RunSettings)
        if not re.search(rf"--{re.escape(name.removeprefix('--'))}\b", text)
        and not name.startswith("--soundscapes")  # the preset has none
    ]
    assert missing == []


HEAVY = {"torch", "ray", "matplotlib", "scipy", "tensorboard", "torchaudio"}
# Each takes a tenth of the time of `import numpy, tyro` or more; help may take twice that time.
MORE = {"numpy", "pyarrow", "rich", "psutil", "jinja2", "yaml", "soundfile", "urllib.request"}
WATCHED = """
import contextlib, io, json, sys
from pipelines.cli.main import main
ended = []
for arguments in json.loads(sys.argv[1]):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        try:
            main(arguments)
            code = None
        except SystemExit as stop:
            code = stop.code
    loaded = sorted(set(json.loads(sys.argv[2])) & set(sys.modules))
    ended.append([code, loaded, said.getvalue()])
print(json.dumps(ended))
"""


def watched(
    *commands: list[str], cwd: Path = ROOT, heavy: set[str] = HEAVY
) -> tuple[list[list[Any]], str]:
    """Exit status and heavy modules after each of some commands, in a process of their own."""
    ended = subprocess.run(
        [sys.executable, "-c", WATCHED, json.dumps(commands), json.dumps(sorted(heavy))],
        *(),
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(ended.stdout.splitlines()[-1]), ended.stderr


def all_commands() -> list[list[str]]:
    kinds = {"reindex": reindex.KINDS, "import": imports.KINDS, "checkpoint": checkpoint.KINDS}
    return [[name] for name in COMMANDS] + [
        [name, kind] for name, of in kinds.items() for kind in of
    ]


def test_help_loads_nothing_heavy() -> None:
    commands = [[*command, "--help"] for command in all_commands()]
    found, _ = watched(*commands, ["run", "--preset", "paper", "--help-all"], heavy=HEAVY | MORE)
    assert len(found) == len(commands) + 1
    for command, (code, loaded, said) in zip(commands, found, strict=False):
        assert (code, loaded) == (0, []), command
        assert "--help" in said


WRONG = [
    "pack nowhere out",
    "soundscapes nowhere out",
    "soundscapes . out --background nowhere",
    "reindex labels nowhere out --classes a",
    "reindex merge nowhere nowhere out",
    "reindex filter nowhere out --where True",
    "inspect nowhere",
    "verify nowhere",
    "embed nowhere out",
    "fit nowhere embeddings out",
    "label nowhere prototypes out --checkpoint c",
    "prototypes nowhere --dataset d --out out",
    "pretrain nowhere out --posteriors p --prototypes q --start s",
    "finetune nowhere out --start s",
    "score nowhere out --checkpoint c",
    "evaluate nowhere scores --out out",
    "detect a.wav --checkpoint nowhere",
    "detect nowhere.wav --checkpoint model",
    "tag nowhere.wav",
    "tag a.wav --weights nowhere.pt",
    "classify nowhere.wav --events dog",
    "attention nowhere.wav --output-dir out",
    "import prototypes nowhere.pt out",
    "import posteriors nowhere d out",
    "import published nowhere out",
    "checkpoint convert nowhere.pt out",
    "run --preset own_data --data nowhere",
    "run --dataset nowhere",
    "run --preset own_data --data nowhere --dry-run",
    "run --prototypes nowhere --posteriors nowhere --dry-run",
    "run --preset small --data . --encoder.weights nowhere.pt",
    "run --config nowhere.json",
    "run --preset paint",
]


def test_wrong_paths_are_told_at_once(tmp_path: Path) -> None:
    for suffix in ("json", "safetensors"):
        (tmp_path / f"model.{suffix}").touch()
    found, errors = watched(*(line.split() for line in WRONG), cwd=tmp_path)
    lines = [line for line in errors.splitlines() if "pmam: error:" in line]
    assert len(lines) == len(WRONG), errors
    for wrong, (code, loaded, _), line in zip(WRONG, found, lines, strict=True):
        assert (code, loaded) == (2, []), (wrong, line)
        assert "nowhere" in line or "paint" in line, (wrong, line)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", "model.safetensors"]


def test_every_command_has_its_help_here() -> None:
    elsewhere = ("demo", "run", "reindex", "import", "checkpoint", "submit", "jobs")
    told = set(COMMANDS) - {*elsewhere}
    named = {function.__name__.rstrip("_").replace("_", "-") for function in FUNCTIONS}
    assert told == named & set(COMMANDS)
    for function in FUNCTIONS:
        assert inspect.getdoc(function)
