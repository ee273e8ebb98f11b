"""The version of code follows what a stage imports, and nothing else."""

from pathlib import Path

import pytest

from pipelines import source_code


def test_a_stage_reaches_what_it_imports_and_no_other_stage() -> None:
    reached = source_code.reachable("pipelines.label")
    assert {"pipelines.label", "pipelines.models", "pmam.prototypes", "shards.frames"} <= set(
        reached
    )
    assert "pipelines.finetune" not in reached
    assert all(name.split(".")[0] in source_code.PACKAGES for name in reached)


def test_the_version_changes_with_a_file_that_is_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "gmm.py"
    real = source_code.reachable("pipelines.fit")
    copy.write_bytes(real["pmam.gmm"].read_bytes())
    monkeypatch.setattr(source_code, "reachable", lambda _: {**real, "pmam.gmm": copy})
    before = source_code.code_version.__wrapped__("pipelines.fit")
    assert before == source_code.code_version.__wrapped__("pipelines.fit")
    copy.write_text(copy.read_text() + "\n# changed\n")
    assert before != source_code.code_version.__wrapped__("pipelines.fit")


def test_names_of_imports() -> None:
    text = "import os\nfrom pmam import gmm\nfrom pmam.gmm import FitState\nimport shards.store\n"
    assert source_code.imported(text) == [
        "os",
        "pmam",
        "pmam.gmm",
        "pmam.gmm",
        "shards.store",
    ]
