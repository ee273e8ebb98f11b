"""What was found in a file, or why nothing could be."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from shards.annotations.event import AnnotatedFile, Columns, SoundEvent

SCORED = Columns(("score",))  # what every detected event has beside times and label
BY_CHANNEL = Columns(("score", "channel"))  # and where each channel is listened to
DIGITS = 4  # of scores that are written


@dataclass(frozen=True, kw_only=True)
class FileEvents:
    """What was found in a file; `error` says why nothing could be, for a file that is left out.

    The score of an event is the highest smoothed frame probability inside it, or a box's
    confidence: at any threshold below it, some of the event, or the whole box, would still be
    found. `low_rate_hz` is the file's rate where that is less than the model has learnt from.
    `warning` is a line to tell of a file that was read. `channels` counts those that were listened
    to one by one.
    """

    file: str
    events: tuple[SoundEvent, ...] = ()
    duration_s: float | None = None
    sample_rate_hz: int | None = None
    error: str | None = None
    low_rate_hz: int | None = None
    warning: str | None = None
    channels: int = 1

    def annotated(self) -> AnnotatedFile:
        """As it is written, scores with four digits."""
        return AnnotatedFile(
            file=self.file,
            events=tuple(
                replace(event, score=None if event.score is None else round(event.score, DIGITS))
                for event in self.events
            ),
            duration_s=self.duration_s,
            sample_rate_hz=self.sample_rate_hz,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values; an event is a list of onset, offset, label, score and channel."""
        events = [[e.onset_s, e.offset_s, e.label, e.score, e.channel] for e in self.events]
        return {**asdict(replace(self, events=())), "events": events}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "FileEvents":
        """What `to_json` gave."""
        events = tuple(
            SoundEvent(
                onset_s=onset_s,
                offset_s=offset_s,
                label=label,
                score=score,
                channel=channel[0] if channel else None,  # journals of before have none
            )
            for onset_s, offset_s, label, score, *channel in values["events"]
        )
        return cls(**{**values, "events": events})
