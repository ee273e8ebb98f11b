"""What travels with a job is weighed as Ray weighs it, before it is sent."""

import zipfile
from pathlib import Path

import pytest
from ray._private.runtime_env import packaging

from cluster.submit.checks import SubmitError
from cluster.submit.upload import EXCLUDED, check_upload


def test_what_is_weighed_is_what_ray_sends(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    for name in (
        "pyproject.toml",
        "pmam/a.py",
        "pipelines/pages/base.html",
        "pmam/tests/of_its_own.py",
        "ignored/by_git.bin",
        "ignored-by-ray.bin",
        "tests/test_a.py",
        ".git/objects/pack",
        ".venv/lib/torch.so",
        "runs/demo/weights",
        "pmam/__pycache__/a.pyc",
        ".mypy_cache/3.11/x.json",
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    (folder / ".gitignore").write_text("ignored/\n")
    (folder / ".rayignore").write_text("*-by-ray.bin\n")
    size = check_upload(folder)
    packed = tmp_path / "packed.zip"
    packaging._zip_files(str(folder), list(EXCLUDED), str(packed), include_gitignore=True)
    with zipfile.ZipFile(packed) as archive:
        files = [info for info in archive.infolist() if not info.is_dir()]
    assert size == sum(info.file_size for info in files)
    assert {info.filename for info in files} == {
        ".gitignore",
        ".rayignore",
        "pyproject.toml",
        "pmam/a.py",
        "pmam/tests/of_its_own.py",
        "pipelines/pages/base.html",
    }


def test_the_largest_files_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaging, "GCS_STORAGE_MAX_SIZE", 2 << 20)
    (tmp_path / "recordings").mkdir()
    for number, kilobytes in enumerate((900, 1500, 1, 700, 800, 600)):
        (tmp_path / "recordings" / f"{number}.wav").write_bytes(bytes(kilobytes << 10))
    with pytest.raises(SubmitError) as refused:
        check_upload(tmp_path)
    said = str(refused.value)
    assert "4.4 MiB would be sent, and Ray takes less than 2.0 MiB" in said
    order = [said.index(f"{number}.wav") for number in (1, 0, 4, 3, 5)]
    assert order == sorted(order)
    assert "2.wav" not in said
    assert ".rayignore" in said


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(SubmitError, match="no such folder"):
        check_upload(tmp_path / "absent")


def test_this_project_is_small() -> None:
    """It travels with each job: code, templates and pins alone."""
    assert check_upload(Path(__file__).resolve().parents[3]) < 5 << 20
