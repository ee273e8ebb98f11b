"""Names of a folder that are not UTF-8: one of them hides no other recording."""

import os
from pathlib import Path

import pytest

from pipelines.inference.audio_inputs import OnError, audio_inputs


@pytest.mark.parametrize("on_error", [None, "skip"])
def test_by_default_they_stay_in_the_list_to_be_skipped_and_counted(
    tmp_path: Path, on_error: OnError | None
) -> None:
    (tmp_path / "a.wav").write_bytes(b"")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/v\xf6gel.wav")).write_bytes(b"")
    inputs = audio_inputs([str(tmp_path)], on_error)
    assert inputs.found
    assert len(inputs.audio) == 2
    with pytest.raises(Exception, match="not UTF-8"):
        audio_inputs([str(tmp_path)], "fail")
