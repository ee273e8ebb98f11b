"""Which clip and class of an output goes with which of the truth, and what is lacking."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipelines.runtime.errors import PipelineError
from pipelines.runtime.words import counted, listed
from pipelines.stages.evaluate.clip_names import ClipNames
from pipelines.stages.evaluate.outputs import EventOutput, Output
from pipelines.stages.evaluate.truth import Truth
from shards.quality.class_names import spelling_key

OnMissing = Literal["error", "zero", "drop"]


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """One output beside the truth.

    Args:
        clips: by the truth's clip, what the output calls it; None where it has none.
        columns: by the truth's class, its column in the output; None where it has none.
        clips_without_truth, classes_without_truth: what the output has beside.
    """

    clips: dict[str, str | None]
    columns: dict[str, int | None]
    clips_without_truth: tuple[str, ...]
    classes_without_truth: tuple[str, ...]

    @property
    def clips_without_output(self) -> list[str]:
        """Clips of the truth that the output lacks."""
        return [clip for clip, found in self.clips.items() if found is None]

    @property
    def classes_without_output(self) -> list[str]:
        """Classes of the truth that the output lacks."""
        return [name for name, found in self.columns.items() if found is None]

    @property
    def counts(self) -> dict[str, int]:
        """How many there are of all that is lacking."""
        return {
            "clips": len(self.clips),
            "clips_without_output": len(self.clips_without_output),
            "clips_without_truth": len(self.clips_without_truth),
            "classes_without_output": len(self.classes_without_output),
            "classes_without_truth": len(self.classes_without_truth),
        }


def pair(truth: Truth, output: Output, chosen: Sequence[str]) -> Pairing:
    """Put an output beside the truth.

    Clips that are known elsewhere, as in other subsets, are not counted as lacking truth; nor are
    classes where those to evaluate are `chosen`.

    Raises:
        PipelineError: two names of the output are of one clip.
    """
    names = ClipNames([*truth.events, *truth.elsewhere])
    clips: dict[str, str | None] = dict.fromkeys(truth.events)
    beside = []
    for name in output.clips:
        clip = names.find(name)
        if clip is None:
            beside.append(name)
        elif clip in clips:
            if (other := clips[clip]) is not None:
                raise PipelineError(
                    f"{output.name}: {other!r} and {name!r} are both of the clip {clip!r}; "
                    "expected each once"
                )
            clips[clip] = name
    columns: dict[str, int | None] = {
        name: output.classes.index(name) if name in output.classes else None
        for name in truth.classes
    }
    others = [name for name in output.classes if name not in columns]
    return Pairing(
        clips=clips,
        columns=columns,
        clips_without_truth=tuple(beside),
        classes_without_truth=() if chosen else tuple(others),
    )


def check(pairing: Pairing, truth: Truth, output: Output, on_missing: OnMissing) -> list[str]:
    """What is lacking, a line each.

    Tables of events name neither clips nor classes in which nothing was detected: these lack
    nothing.

    Raises:
        PipelineError: something is lacking and that is an error; or nothing is left.
    """
    lines = []
    events = isinstance(output, EventOutput)
    total = counted(len(pairing.clips), "clip")
    if found := pairing.clips_without_output:
        what = "without detections" if events else "without scores"
        lines.append((not events, f"{len(found)} of {total} {what} ({listed(found)})"))
    if pairing.clips_without_truth:
        found = list(pairing.clips_without_truth)
        lines.append((True, f"{counted(len(found), 'clip')} without truth ({listed(found)})"))
    if found := pairing.classes_without_output:
        what = "without detections" if events else "without scores"
        near = _near(found, output.classes)
        classes = counted(len(truth.classes), "class", "classes")
        lines.append((not events, f"{len(found)} of {classes} {what} ({listed(found)}){near}"))
    if pairing.classes_without_truth:
        found = list(pairing.classes_without_truth)
        near = _near(found, truth.classes)
        several = counted(len(found), "class", "classes")
        lines.append((True, f"{several} without truth ({listed(found)}){near}"))
    told = [line for _, line in lines]
    wrong = [line for is_wrong, line in lines if is_wrong]
    if wrong and on_missing == "error":
        raise PipelineError(
            f"{output.name} and the truth ({truth.subset}) do not hold the same: "
            f"{'; '.join(wrong)}; expected the same clips and classes: correct the names, or give "
            "--on-missing zero (lacking scores: nothing detected) or drop (left out)"
        )
    if not events and len(pairing.clips_without_output) == len(pairing.clips):
        raise PipelineError(
            f"{output.name}: none of its {counted(len(output.clips), 'clip')} (such as "
            f"{listed(list(output.clips), 2)}) is one of the truth's {len(pairing.clips)} (such as "
            f"{listed(list(pairing.clips), 2)}); expected their names"
        )
    return told


def _near(names: Sequence[str], others: Sequence[str]) -> str:
    """Names that another one equals but for its spelling."""
    by_key = {spelling_key(other): other for other in others}
    found = [(name, by_key[key]) for name in names if (key := spelling_key(name)) in by_key]
    if not found:
        return ""
    return "; nearly equal: " + ", ".join(f"{name!r} and {other!r}" for name, other in found[:3])
