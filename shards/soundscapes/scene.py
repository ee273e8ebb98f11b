"""What a soundscape is: the settings that it is drawn by, and the plan of one clip."""

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Literal

from shards.errors import ShardsError


class SoundscapeError(ShardsError, ValueError):
    """Settings or recordings that no soundscape can be made of."""


@dataclass(frozen=True, kw_only=True)
class SoundscapeSettings:
    """How soundscapes are drawn; ranges are uniform and hold both ends.

    The signal-to-noise ratio of an event is its RMS over the background's RMS in its span.
    `textures` names the classes of continuous sounds, such as rain: their events are random cuts of
    `texture_min_s` or more. Events of one class never overlap each other, whatever `overlap`
    says of different classes. A clip so full that an event finds no room gets fewer events.
    """

    # Length of a soundscape.
    duration_s: float = 10.0
    # Sample rate of the soundscapes.
    sample_rate_hz: int = 32_000
    # Smallest number of events in a soundscape.
    events_min: int = 1
    # Largest number of events in a soundscape.
    events_max: int = 4
    # Shortest event.
    event_min_s: float = 0.25
    # Longest event; longer recordings are cut.
    event_max_s: float = 5.0
    # Shortest event of a texture, a class of continuous sounds.
    texture_min_s: float = 1.0
    # Textures: classes of continuous sounds such as rain, whose events are random cuts.
    textures: tuple[str, ...] = ()
    # Lowest signal-to-noise ratio of an event against the background.
    snr_min_db: float = 0.0
    # Highest signal-to-noise ratio of an event against the background.
    snr_max_db: float = 15.0
    # Lowest level of the background.
    background_min_dbfs: float = -45.0
    # Highest level of the background.
    background_max_dbfs: float = -33.0
    # Share of soundscapes whose background is white noise.
    white_noise_share: float = 0.25
    # Let events of different classes overlap.
    overlap: bool = True
    # Distribution of the onsets in a soundscape.
    onsets: Literal["uniform", "normal"] = "uniform"
    # Random seed of the soundscapes.
    seed: int = 0

    def __post_init__(self) -> None:
        ranges = (
            ("events", self.events_min, self.events_max),
            ("event_s", self.event_min_s, self.event_max_s),
            ("texture_min_s and event_max_s", self.texture_min_s, self.event_max_s),
            ("event_max_s and duration_s", self.event_max_s, self.duration_s),
            ("snr_db", self.snr_min_db, self.snr_max_db),
            ("background_dbfs", self.background_min_dbfs, self.background_max_dbfs),
            ("background_max_dbfs and full scale", self.background_max_dbfs, 0.0),
        )
        for name, low, high in ranges:
            if not (math.isfinite(low) and math.isfinite(high) and low <= high):
                raise SoundscapeError(
                    f"{name}: got {low} and {high}; expected the first <= the second"
                )
        positive = {
            "sample_rate_hz": self.sample_rate_hz,
            "event_min_s": self.event_min_s,
            "texture_min_s": self.texture_min_s,
        }
        for name, value in positive.items():
            if value <= 0:
                raise SoundscapeError(f"{name}: got {value}; expected more than 0")
        if self.events_min < 0 or self.seed < 0:
            raise SoundscapeError(
                f"events_min, seed: got {self.events_min}, {self.seed}; expected 0 or more"
            )
        if not 0 <= self.white_noise_share <= 1:
            raise SoundscapeError(
                f"white_noise_share: got {self.white_noise_share}; expected 0 to 1"
            )
        if self.onsets not in ("uniform", "normal"):
            raise SoundscapeError(f"onsets: got {self.onsets!r}; expected 'uniform' or 'normal'")

    def samples(self, seconds: float) -> int:
        """Seconds as samples of a soundscape."""
        return round(seconds * self.sample_rate_hz)


@dataclass(frozen=True, kw_only=True)
class ForegroundEvent:
    """A part of a recording, and where it sounds in the clip; counts are samples."""

    label: str
    recording: str
    source: str
    start_sample: int
    num_samples: int
    onset_sample: int
    snr_db: float


@dataclass(frozen=True, kw_only=True)
class Background:
    """White noise from a seed where `recording` is None, else a part of a recording.

    A part shorter than the clip goes round and round, from `offset_sample` on.
    """

    level_dbfs: float
    noise_seed: int
    recording: str | None = None
    source: str | None = None
    start_sample: int = 0
    num_samples: int = 0
    offset_sample: int = 0


@dataclass(frozen=True, kw_only=True)
class Soundscape:
    """The plan of one clip."""

    id: str
    subset: str
    sample_rate_hz: int
    num_samples: int
    background: Background
    events: tuple[ForegroundEvent, ...]
    fold: int | None = None  # of a cross-validation

    def strong(self) -> list[tuple[float, float, str]]:
        """`(onset_s, offset_s, label)` of every event, by onset."""
        rate = self.sample_rate_hz
        return sorted(
            (
                event.onset_sample / rate,
                (event.onset_sample + event.num_samples) / rate,
                event.label,
            )
            for event in self.events
        )

    def to_json(self) -> str:
        """The plan as one line of JSON."""
        values = dataclasses.asdict(self)
        if self.fold is None:  # as plans were written before there were folds
            del values["fold"]
        return json.dumps(values)

    @classmethod
    def from_json(cls, line: str) -> "Soundscape":
        """The plan that `to_json` wrote."""
        fields = json.loads(line)
        background = Background(**fields.pop("background"))
        events = tuple(ForegroundEvent(**event) for event in fields.pop("events"))
        return cls(background=background, events=events, **fields)
