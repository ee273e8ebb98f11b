"""Whether recordings open as audio, before any work is done."""

from collections.abc import Sequence

from pipelines.inference.audio_inputs import AudioInput, opened
from pipelines.runtime.errors import USER_ERRORS, PipelineError, is_full
from shards.audio.decoding import probe
from shards.errors import Faults


def check_readable(audio: Sequence[AudioInput], kind: type[PipelineError]) -> None:
    """See that each recording opens as audio.

    Args:
        audio: the recordings.
        kind: of the error.

    Raises:
        PipelineError: of that kind: some do not; it tells of all.
    """
    faults = Faults(kind)
    for each in audio:
        with faults.noted():
            try:
                with opened(each) as file:
                    probe(file, each.name)
            except (*USER_ERRORS, OSError) as error:
                if is_full(error):
                    raise
                raise kind(told_of(each.name, error)) from error
    faults.check()


def told_of(name: str, error: BaseException) -> str:
    """An error of a recording in one line that names it."""
    text = " ".join(str(error).split())
    return text if name in text else f"{name}: {text}"
