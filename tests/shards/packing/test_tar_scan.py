"""The scan finds what `tarfile` finds, leaves out what leads elsewhere, and never stops early."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.packing.tar_scan import Member, TarError, scan_members

FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)


def tar_of(files: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def scan(data: bytes) -> list[Member]:
    return list(scan_members(io.BytesIO(data), "x.tar"))


names = st.text(st.characters(exclude_characters="/\0", exclude_categories=("Cs",)), min_size=1)


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(names.filter(lambda n: n not in (".", "..")), st.binary(max_size=2000)),
    st.sampled_from(FORMATS[1:]),
)
def test_it_finds_what_tarfile_finds(files: dict[str, bytes], form: int) -> None:
    data = tar_of(files, form)
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        expected = [Member(m.name, m.offset_data, m.size) for m in tar]
    assert scan(data) == expected
    assert [data[m.offset : m.offset + m.size] for m in scan(data)] == list(files.values())


@pytest.mark.parametrize("form", FORMATS[1:])
def test_long_and_unicode_names(form: int) -> None:
    name = "Vögel/" + "very/" * 60 + "lärche_1.000.flac"
    [member] = scan(tar_of({name: b"tweet"}, form))
    assert member.name == name


def test_a_name_split_as_ustar_does() -> None:
    name = "d" * 90 + "/" + "n" * 90 + ".flac"
    assert [m.name for m in scan(tar_of({name: b"x"}, tarfile.USTAR_FORMAT))] == [name]


@pytest.mark.parametrize(
    ("name", "kind", "reason"),
    [
        ("link.flac", tarfile.SYMTYPE, "a link"),
        ("hard.flac", tarfile.LNKTYPE, "a link"),
        ("device", tarfile.CHRTYPE, "no regular file"),
        ("pipe", tarfile.FIFOTYPE, "no regular file"),
        ("sparse.wav", tarfile.GNUTYPE_SPARSE, "a sparse file"),
        ("../up.flac", tarfile.REGTYPE, "its name leads out of the tar"),
        ("a/../../up.flac", tarfile.REGTYPE, "its name leads out of the tar"),
        ("/etc/passwd", tarfile.REGTYPE, "its name leads out of the tar"),
        ("bad\udcff.flac", tarfile.REGTYPE, "its name is not UTF-8"),
    ],
)
def test_what_leads_elsewhere_is_left_out_and_told(name: str, kind: bytes, reason: str) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, "/etc/passwd"
        tar.addfile(member)
        after = tarfile.TarInfo("after.flac")
        after.size = 3
        tar.addfile(after, io.BytesIO(b"abc"))
    skipped: list[tuple[str, str]] = []
    found = list(scan_members(buffer, "x.tar", lambda *what: skipped.append(what)))
    assert [m.name for m in found] == ["after.flac"]
    assert skipped == [(name, reason)]


def test_a_directory_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "sub" / "a.txt").write_text("x")
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        tar.add(tmp_path / "in", arcname="in")
    skipped: list[str] = []
    with (tmp_path / "x.tar").open("rb") as file:
        found = list(scan_members(file, "x.tar", lambda name, _: skipped.append(name)))
    assert [m.name for m in found] == ["in/sub/a.txt"]
    assert skipped == []


def test_any_cut_is_an_error() -> None:
    data = tar_of({"a.flac": b"x" * 700, "b" * 200: b"y" * 10})
    end = len(data.rstrip(b"\0"))
    end += -end % 512
    for length in [*range(0, end + 512, 100), end, end + 511]:
        with pytest.raises(TarError, match=r"^x\.tar: (truncated|an empty file)"):
            scan(data[:length])
    assert len(scan(data[: end + 512])) == 2


def test_a_damaged_header_in_the_middle_is_no_end() -> None:
    data = bytearray(tar_of({"a.flac": b"x", "b.flac": b"y"}))
    data[1024] ^= 1
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert tar.getnames() == ["a.flac"]  # in silence
    with pytest.raises(TarError, match="a damaged header at byte 1024"):
        scan(bytes(data))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"not a tar" * 100, "no tar"),
        (gzip.compress(tar_of({"a": b"x"})), "compressed with gzip"),
        (tar_of({"a": b"x"}) + tar_of({"b": b"y"}), "more data after its end marker"),
    ],
)
def test_what_is_no_plain_tar(data: bytes, message: str) -> None:
    with pytest.raises(TarError, match=message):
        scan(data)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_random_damage_is_an_error_or_survived(choose: st.DataObject) -> None:
    data = bytearray(tar_of({"ä" * 120 + ".flac": b"x" * 600, "b.json": b"{}"}))
    for _ in range(choose.draw(st.integers(1, 4))):
        data[choose.draw(st.integers(0, len(data) - 1))] = choose.draw(st.integers(0, 255))
    try:
        for member in scan(bytes(data)):
            assert member.size >= 0
    except TarError as error:
        assert "\n" not in str(error)
