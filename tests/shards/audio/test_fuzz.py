"""Mutated sound files against FFmpeg's own count: never fewer samples in silence, never a crash.

`PMAM_FUZZ_S=3600 pytest -m slow tests/shards/audio/test_fuzz.py` tries for an hour.
"""

import faulthandler
import io
import itertools
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pytest
from sound_mutations import loss, mutated, mutations, originals, ours

from shards.audio import AudioError, measured

FUZZ_S = float(os.environ.get("PMAM_FUZZ_S", "60"))
HANG_S = 60.0
QUICK = 150


def test_mutated_files() -> None:
    found = [
        said for kind, data in itertools.islice(mutations(0), QUICK) if (said := loss(kind, data))
    ]
    assert found == []


def test_decoders_write_no_lines_of_their_own(capfd: pytest.CaptureFixture[str]) -> None:
    """Some of these make libmpg123 tell of damage, without a name."""
    whole = originals()["mp3-1"]
    for number in range(120):
        ours(mutated(whole, np.random.default_rng([9, number])))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_header_that_leads_in_front_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_disk: bool
) -> None:
    """libsndfile seeks there: refused by name, and no exception is left to standard error."""
    ignored: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", ignored.append)
    whole = originals()["aiff-1"]
    sought = 0
    for number in range(60):
        data = mutated(whole, np.random.default_rng([9, number]))
        path = tmp_path / "a.aiff"
        path.write_bytes(data)
        with path.open("rb") if on_disk else io.BytesIO(data) as file:
            watched = _Watched(file)
            try:
                measured(cast(BinaryIO, watched), "clip.x")
            except AudioError as error:
                assert str(error).startswith("clip.x: ")
                sought += watched.refused
            else:
                assert not watched.refused
    assert not ignored
    assert sought > 0


class _Watched:
    """A file that counts the seeks that it refuses."""

    def __init__(self, file: Any) -> None:
        self._file, self.refused = file, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def seek(self, *place: int) -> int:
        try:
            return int(self._file.seek(*place))
        except (ValueError, OSError):
            self.refused += 1
            raise


@pytest.mark.slow
@pytest.mark.timeout(FUZZ_S + 600)
def test_mutated_files_for_long(tmp_path: Path) -> None:
    """What fails is kept in the test's folder; one that hangs ends the test with its place."""
    end_s = time.monotonic() + FUZZ_S
    tried: Counter[str] = Counter()
    failed: dict[str, str] = {}
    for kind, data in mutations(int(time.time())):
        if time.monotonic() > end_s:
            break
        path = tmp_path / f"{tried.total()}.{kind}"
        path.write_bytes(data)
        faulthandler.dump_traceback_later(HANG_S, exit=True)
        try:
            said = loss(kind, data)
        except Exception as error:  # any crash is a finding
            said = f"{type(error).__name__} {error}"
        faulthandler.cancel_dump_traceback_later()
        tried[kind] += 1
        if said is None:
            path.unlink()
        else:
            failed[str(path)] = said
    print(f"tried {tried.total()}: {dict(tried)}")
    assert not failed, f"{len(failed)} of {tried.total()} ({dict(tried)}): {failed}"
