"""A start that fails leaves no folder; a packed dataset takes the place of recordings."""

from pathlib import Path

import pytest
from packing import noise_clips, pack

from pipelines.cli.main import main


@pytest.mark.parametrize(
    "wrong",
    [
        ["run", "--preset", "own_data", "--data", "NOWHERE"],
        ["run", "--preset", "esc10", "--dataset", "NOWHERE"],
        ["pack", "NOWHERE"],
        ["train-weak", "NOWHERE"],
    ],
)
def test_a_failed_start_leaves_no_folder(
    wrong: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    out = ["--out", "new"] if wrong[0] == "run" else ["new"]
    with pytest.raises(SystemExit) as ended:
        main([*wrong, *out])
    assert ended.value.code not in (0, None)
    assert sorted(tmp_path.rglob("*")) == before


def test_esc10_takes_a_packed_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    pack(tmp_path / "source", noise_clips(tmp_path / "source", 3), tmp_path / "set")
    main(["run", "--preset", "esc10", "--dataset", "set", "--dry-run"])
    said = capsys.readouterr()
    assert "dataset" in said.out + said.err
