"""Damaged tars against `tarfile`: what it finds we find, or say where we stopped.

One in seven of the seeds is the file as it was.
"""

import io
import os
import tarfile
import time
from collections import Counter

import numpy as np
import pytest

from shards.packing.tar_scan import Member, TarError, scan_members

FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
KINDS = (*[tarfile.REGTYPE] * 6, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.GNUTYPE_SPARSE, b"V")
BLOCK = 512
FUZZ_S = float(os.environ.get("PMAM_FUZZ_S", "60"))


def some_tar(random: np.random.Generator) -> bytes:
    buffer = io.BytesIO()
    form = FORMATS[random.integers(3)]
    with tarfile.open(fileobj=buffer, mode="w", format=form, pax_headers={"who": "ä"}) as tar:
        for number in range(random.integers(1, 5)):
            long = "l" * int(random.choice([0, 0, 90, 120])) if form else ""
            info = tarfile.TarInfo(f"{long}é{number}.wav" if form else f"{number}.wav")
            info.type = KINDS[random.integers(len(KINDS))]
            data = random.bytes(int(random.choice([0, 1, 511, 512, 700, 1500])))
            info.size = len(data) if info.type == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def damaged(data: bytes, random: np.random.Generator) -> tuple[bytes, str]:
    """The same with a piece changed, cut, repeated, swapped or dropped."""
    blocks = len(data) // BLOCK
    one, two = (int(n) for n in sorted(random.integers(0, min(blocks, 14), 2)))
    cut = [data[n * BLOCK : (n + 1) * BLOCK] for n in range(blocks)]
    kind = ("none", "flip", "header", "cut", "repeat", "swap", "drop")[random.integers(7)]
    if kind in ("flip", "header"):
        changed = bytearray(data)
        for _ in range(random.integers(1, 4)):
            changed[random.integers(len(data))] ^= 1 << int(random.integers(8))
        if kind == "header":  # with its checksum made good, so that the value counts
            at = one * BLOCK
            changed[at + int(random.choice([124, 130, 134, 135, 156, 345, 482]))] ^= 1
            whole = changed[at : at + 148] + b" " * 8 + changed[at + 156 : at + BLOCK]
            changed[at + 148 : at + 156] = b"%06o\0 " % sum(whole)
        return bytes(changed), kind
    if kind == "cut":
        return data[: random.integers(len(data))], kind
    if kind == "repeat":
        cut[two:two] = cut[one : two + 1]
    if kind == "swap":
        cut[one], cut[two] = cut[two], cut[one]
    if kind == "drop":
        del cut[one]
    return b"".join(cut), kind


def named(name: str, offset: int, size: int) -> Member:
    """A member without the slash at the end of its name, which tarfile drops at times."""
    return Member(name.rstrip("/"), offset, size)


def by_tarfile(data: bytes) -> tuple[list[Member], bool]:
    """Its regular files with names in UTF-8, and whether it came to an end without an error."""
    found: list[Member] = []
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            for info in tar:
                is_utf8 = not any("\udc80" <= letter <= "\udcff" for letter in info.name)
                if info.isreg() and not info.issparse() and is_utf8:
                    found.append(named(info.name, info.offset_data, info.size))
    except (tarfile.TarError, ValueError, OverflowError, OSError):
        return found, False
    return found, True


def compared(seed: int) -> str:
    """What became of one input; asserts that nothing of it was lost in silence."""
    random = np.random.default_rng(seed)
    data, kind = damaged(some_tar(random), random)
    skipped: list[str] = []
    found: list[Member] = []
    error = None
    try:
        for member in scan_members(io.BytesIO(data), "x.tar", lambda n, _: skipped.append(n)):
            found.append(named(*member))
    except TarError as caught:
        error = str(caught)
        assert "\n" not in error and error.startswith("x.tar: ")
    theirs, ended = by_tarfile(data)
    theirs = [member for member in theirs if member.name not in skipped]
    context = (seed, kind, error, found, theirs)
    if error is None:
        # Behind a header that comes twice, tarfile passes over a member at times.
        assert [member for member in found if member in theirs] == theirs, context
        assert found == theirs or kind == "repeat" or not ended, context
        assert all(m.offset + m.size <= len(data) for m in found), context
        return "read"
    # We stopped, and say so: what came before is the same.
    assert found[: len(theirs)] == theirs[: len(found)], context
    return "an error" if kind != "none" else "a sound tar refused"


def fuzz(seeds: range) -> Counter[str]:
    return Counter(map(compared, seeds))


def test_damaged_tars() -> None:
    found = fuzz(range(12_000))
    assert found["a sound tar refused"] == 0
    assert found["read"] > 4000 and found["an error"] > 4000


@pytest.mark.slow
@pytest.mark.timeout(FUZZ_S + 600)
def test_many_damaged_tars() -> None:
    """`PMAM_FUZZ_S=3600 pytest -m slow tests/shards/packing/test_tar_fuzz.py`: for an hour."""
    end_s, seed, found = time.monotonic() + FUZZ_S, int(time.time()) << 20, Counter[str]()
    while time.monotonic() < end_s:
        found.update(fuzz(range(seed, seed + 1000)))
        seed += 1000
    print(f"{found.total()} tars: {dict(found)}")
    assert found["a sound tar refused"] == 0
