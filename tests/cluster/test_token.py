"""Tokens of clusters: found where Ray finds them, whatever the mode was that Ray began with."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.token import TokenError, find_token

ROOT = Path(__file__).resolve().parents[2]
TOKEN = {"RAY_AUTH_TOKEN": "secret"}
# In a process of its own: Ray reads tokens once.
ASK = (
    "import os, ray; from cluster.token import find_token; "
    "print(find_token(), os.environ.get('RAY_AUTH_MODE'))"
)


def asked(home: Path, **environment: str) -> str:
    names = [name for name in os.environ if name.startswith("RAY_AUTH")]
    inherited = {name: value for name, value in os.environ.items() if name not in names}
    ended = subprocess.run(
        [sys.executable, "-c", ASK],
        env={**inherited, "HOME": str(home), "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    assert "secret" not in ended.stdout + ended.stderr
    assert ended.stderr == ""
    return ended.stdout.strip()


def test_a_token_in_the_folder_of_the_user_is_used(tmp_path: Path) -> None:
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").write_text("secret")
    assert asked(tmp_path) == "True token"


def test_a_token_in_the_environment_is_used(tmp_path: Path) -> None:
    assert asked(tmp_path, **TOKEN) == "True token"


def test_no_token_is_made_where_there_is_none(tmp_path: Path) -> None:
    assert asked(tmp_path) == "False None"
    assert list(tmp_path.iterdir()) == []


def test_what_the_user_says_holds(tmp_path: Path) -> None:
    assert asked(tmp_path, **TOKEN, RAY_AUTH_MODE="disabled") == "False disabled"


@pytest.mark.parametrize("kind", ["absent", "empty", "a folder"])
def test_a_file_without_a_token(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray would abort the process."""
    path = tmp_path / "token"
    if kind == "empty":
        path.write_text(" \n")
    elif kind == "a folder":
        path.mkdir()
    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(path))
    with pytest.raises(TokenError, match=f"^RAY_AUTH_TOKEN_PATH={path}: "):
        find_token()
