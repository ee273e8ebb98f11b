"""A path finds its file by the rules that people use, or the candidates are told."""

import pytest

from shards.errors import SourceError
from shards.sources._matching import Files, rows_by_file

AUDIO = [
    "weak/a.wav",
    "weak/sub/c.FLAC",
    "weak/day1/b.wav",
    "weak/day2/b.wav",
    "weak/Yx_1.000_2.500.wav",
    "weak/Vo\u0308gel.wav",
]


def files(table: str = "weak.tsv", root: str = "/data/set") -> Files:
    return Files(AUDIO, "weak", root=root, table=table, others={"test", "strong"})


@pytest.mark.parametrize(
    "name",
    [
        *("a.wav", "a", "a.mp3", "./a.wav", "weak/a.wav", "./weak/a.wav", "weak\\a.wav"),
        *(".\\weak\\a.wav", "set/weak/a.wav", "data/set/weak/a.wav", "/data/set/weak/a.wav"),
        *("C:\\Users\\me\\weak\\a.wav", "/home/me/clips/a.wav", "file:///data/set/weak/a.wav"),
        *("s3://bucket/set/weak/a.wav", "/weak/a.wav"),
    ],
)
def test_every_way_to_name_a_file(name: str) -> None:
    assert files().find(name) == "weak/a.wav"


def test_names_relative_to_the_table() -> None:
    below = files("metadata/tables/weak.tsv")
    for name in ("../../weak/a.wav", "..\\..\\weak\\a.wav"):
        assert below.find(name) == "weak/a.wav"
    assert below.find("../../../weak/a.wav") is None
    assert Files(["sub/a.wav"], "", table="sub/t.tsv").find("a.wav") == "sub/a.wav"


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("sub\\c.wav", "weak/sub/c.FLAC"),
        ("c", "weak/sub/c.FLAC"),
        ("day2/b", "weak/day2/b.wav"),
        ("Yx_1.000_2.500", "weak/Yx_1.000_2.500.wav"),
        ("V\u00f6gel.wav", "weak/Vo\u0308gel.wav"),
        ("12:30.wav", None),
        ("test/a.wav", None),  # another subset's, and not the file of this one
        ("/old/test/a.wav", None),
        ("/data/set/a.wav", None),  # in the root, where it is not
        ("sub/a.wav", None),
        ("A.wav", None),
        ("", None),
        (".", None),
    ],
)
def test_what_is_found_and_what_is_not(name: str, file: str | None) -> None:
    assert files().find(name) == file


def test_several_that_fit_are_told() -> None:
    with pytest.raises(SourceError, match=r"b\.wav: names both weak/day1/b\.wav and weak/day2/b"):
        files().find("b.wav")
    twice = Files(["weak/weak/a.wav", "weak/a.wav"], "weak")
    with pytest.raises(SourceError, match=r"names both weak/a\.wav and weak/weak/a\.wav"):
        twice.find("weak/a.wav")
    spelled = Files(["V\u00f6.wav", "Vo\u0308.wav"], "")
    with pytest.raises(SourceError, match="names both"):
        spelled.find("V\u00f6")


def test_all_names_that_fit_several_or_none_are_told_at_once() -> None:
    rows = [{"filename": name} for name in ("b", "a", "", "b.wav", "gone", "weak/a.wav")]
    with pytest.raises(SourceError, match=r"t: 3 rows are wrong: .*; .*got no filename.*; "):
        rows_by_file(rows, files(), "t")
    found, missing = rows_by_file(
        [row for row in rows if row["filename"] in ("a", "gone")], files()
    )
    assert (list(found), missing) == (["weak/a.wav"], ["gone"])
