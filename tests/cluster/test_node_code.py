"""What nodes run is compared by versions and by the bytes of the code."""

import sys
from pathlib import Path

import pytest

from cluster import node_code
from cluster.node_code import OtherCodeError, check_here, differences, report, told


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "somewhere" / "mine"
    (folder / "inner" / "__pycache__").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "inner" / "a.py").write_text("x = 1\n")
    monkeypatch.syspath_prepend(folder.parent)
    report.cache_clear()
    return folder


def fresh() -> dict[str, str]:
    report.cache_clear()
    return dict(report(("mine",), ("numpy", "no-such-package")))


def test_the_same_code_is_the_same(package: Path) -> None:
    before = fresh()
    (package / "inner" / "__pycache__" / "a.pyc").write_bytes(b"x")
    (package / "note.txt").write_text("x")
    assert differences(before, fresh()) == []
    assert before["no-such-package"] == "none"
    assert before["Python"] == ".".join(map(str, sys.version_info[:3]))


@pytest.mark.parametrize("change", ["byte", "name", "more", "page"])
def test_other_code_is_seen(package: Path, change: str) -> None:
    before = fresh()
    if change == "byte":
        (package / "inner" / "a.py").write_text("x = 2\n")
    elif change == "name":
        (package / "inner" / "a.py").rename(package / "inner" / "b.py")
    elif change == "more":
        (package / "c.py").write_text("")
    else:
        (package / "page.html").write_text("")
    assert differences(before, fresh()) == ["has other code of mine"]


def test_differences_are_told_in_words() -> None:
    here = {"Python": "3.11.7", "numpy": "2.3.5", "code of pmam": "a", "ray": "2.60.0"}
    there = {"Python": "3.12.1", "numpy": "2.3.5", "code of pmam": "none"}
    wrong = differences(here, there)
    assert wrong == [
        "has Python 3.12.1 instead of 3.11.7",
        "has no code of pmam",
        "has ray none instead of 2.60.0",
    ]
    assert told(wrong * 2).endswith("instead of 3.11.7 and 2 more")


def test_a_node_that_joined_late(
    package: Path, monkeypatch: pytest.MonkeyPatch, ray_session: None
) -> None:
    expected = fresh()
    check_here(expected, ("mine",), ("numpy", "no-such-package"))
    with pytest.raises(OtherCodeError, match=r"^node \S+ joined .*has numpy 1 instead of") as said:
        monkeypatch.setattr(node_code, "report", lambda *_: {**expected, "numpy": "1"})
        check_here(expected, ("mine",), ("numpy", "no-such-package"))
    assert "the same command goes on" in str(said.value)
