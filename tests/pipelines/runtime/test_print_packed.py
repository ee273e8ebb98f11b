"""What `pmam pack` prints: counts, what is missing or too much, and where all of it is listed."""

import json
from pathlib import Path

import pytest

from pipelines.cli.main import main
from pipelines.runtime.stage import DONE, FORMAT_VERSION
from pipelines.runtime.tables import SHOWN, print_dataset
from pipelines.stages.pack.stage import pack
from pipelines.stages.settings import PackSettings
from shards.sources import SOURCES
from shards.sources._tables import SourceError


def test_what_is_not_as_the_tables_say_is_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = {
        "clips": 1161,
        "shards": 2,
        "subsets": {"validation": 1161},
        "labels": {"Dog [x]": {"clips": 900, "events": 1300}, "Cat": {"clips": 1, "events": 0}},
        "skipped": [["validation/x", "x.wav: cut short"]],
        "missing": [f"validation/m{number}.wav" for number in range(SHOWN + 3)],
        "unlabelled": ["validation/[bold]u.wav"],
        "extra": [],
        "notes": ["validation: 1161 of 1168 clips present (99.4 %)"],
    }
    record = {"format_version": FORMAT_VERSION, "fingerprint": "x", "result": result}
    (tmp_path / DONE).write_text(json.dumps(record))
    print_dataset(str(tmp_path))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1 161 clips in 2 shards (1 161 validation)"
    assert [line.split("│")[1:4] for line in lines if "Dog" in line or "Cat" in line] == [
        [" Dog [x] ", "   900 ", "  1 300 "],
        [" Cat     ", "     1 ", "      0 "],
    ]
    assert "validation: 1161 of 1168 clips present (99.4 %)" in lines
    for line in ("skipped: 1", "  validation/x: x.wav: cut short", "missing audio: 13"):
        assert line in lines
    assert f"  ... all of them are in {tmp_path}/{DONE}" in lines
    assert lines[lines.index("missing labels: 1") + 1] == "  validation/[bold]u.wav"
    assert not any(line.startswith("extra") for line in lines)
    assert lines[-1] == str(tmp_path)


def test_the_help_and_errors_name_every_source(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["pack", "--help"])
    help_text = capsys.readouterr().out
    with pytest.raises(SourceError) as caught:
        pack(".", "out", PackSettings(source="desd"))
    for name in SOURCES:
        assert name in help_text
        assert name in str(caught.value)
