"""What happens when in each soundscape: plans, drawn before any of it is rendered.

A plan is a pure function of the settings, the subset, the clip's number and the recordings, so
that one clip does not depend on how many others are asked for, or on who renders them.
"""

import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shards.audio.decoding import Samples
from shards.audio.trim import parts_of_at_least, trim_by_energy
from shards.soundscapes.recordings import Recording
from shards.soundscapes.scene import (
    Background,
    ForegroundEvent,
    Soundscape,
    SoundscapeError,
    SoundscapeSettings,
)

SPLIT_OF_SUBSET = {  # which recordings a subset's clips are made of
    "strong": "train",
    "weak": "train",
    "unlabeled": "train",
    "synthetic": "train",
    "validation": "validation",
    "test": "test",
}
DRAWS_PER_EVENT = 20  # so often a new event is drawn where one finds no room
SAME_CLASS_GAP_S = 0.2  # closer events of one class could not be told apart (DCASE's collar)
NORMAL_ONSET_SPREAD = 1 / 6  # standard deviation of normal onsets, as a share of the clip


@dataclass(frozen=True, kw_only=True)
class TrimmedRecording:
    """A recording and its usable parts `[start, stop)`, in samples at the soundscapes' rate."""

    recording: Recording
    parts: tuple[tuple[int, int], ...]


def trim_foreground(
    settings: SoundscapeSettings, recording: Recording, read: Callable[[str], Samples]
) -> TrimmedRecording:
    """The parts of a recording that may become events: its active parts.

    Textures are not parted at their short pauses.
    """
    samples = read(recording.name)
    gap_s = settings.texture_min_s if recording.label in settings.textures else 0.25
    parts = trim_by_energy(samples, settings.sample_rate_hz, recording.name, gap_s=gap_s)
    shortest = settings.samples(settings.event_min_s)
    parts = parts_of_at_least(
        parts, shortest, len(samples), recording.name, settings.sample_rate_hz
    )
    return TrimmedRecording(recording=recording, parts=tuple(parts))


def trim_background(
    settings: SoundscapeSettings, recording: Recording, read: Callable[[str], Samples]
) -> TrimmedRecording:
    """One part: all from the first sound to the last (recordings may be padded with zeros)."""
    samples = read(recording.name)
    parts = trim_by_energy(samples, settings.sample_rate_hz, recording.name)
    return TrimmedRecording(recording=recording, parts=((parts[0][0], parts[-1][1]),))


def plan_subsets(
    settings: SoundscapeSettings,
    clips: Mapping[str, int],
    foregrounds: Mapping[str, Sequence[TrimmedRecording]],
    backgrounds: Mapping[str, Sequence[TrimmedRecording]],
) -> list[Soundscape]:
    """The clips of several subsets (`{"strong": 60, ...}`), given the recordings of each split.

    No source recording may be in two splits, as an event or as a background.
    """
    split_of: dict[str, str] = {}
    for split, members in [*foregrounds.items(), *backgrounds.items()]:
        for source in (trimmed.recording.source for trimmed in members):
            if split_of.setdefault(source, split) != split:
                raise SoundscapeError(
                    f"source {source!r}: it is in the splits {split_of[source]!r} and {split!r}; "
                    "put all cuts of a source recording in one split"
                )
    plans = []
    for subset, count in clips.items():
        if subset not in SPLIT_OF_SUBSET or count < 0:
            raise SoundscapeError(
                f"clips: got {subset}={count}; expected a count for some of "
                f"{', '.join(SPLIT_OF_SUBSET)}"
            )
        split = SPLIT_OF_SUBSET[subset]
        plans += plan(
            settings, subset, count, foregrounds.get(split, ()), backgrounds.get(split, ())
        )
    return plans


def plan(
    settings: SoundscapeSettings,
    subset: str,
    count: int,
    foregrounds: Iterable[TrimmedRecording],
    backgrounds: Iterable[TrimmedRecording],
) -> list[Soundscape]:
    """`count` clips of a subset, from the recordings of its split."""
    by_label: dict[str, list[TrimmedRecording]] = defaultdict(list)
    for trimmed in sorted(foregrounds, key=lambda trimmed: trimmed.recording):
        by_label[trimmed.recording.label].append(trimmed)
    ordered = sorted(backgrounds, key=lambda trimmed: trimmed.recording)
    if not by_label and settings.events_max:
        raise SoundscapeError(f"{subset}: no foreground recordings in its split; add some")
    if not ordered and settings.white_noise_share < 1:
        raise SoundscapeError(
            f"{subset}: no background recordings in its split; add some, or set "
            "white_noise_share to 1"
        )
    if unknown := set(settings.textures) - by_label.keys():
        raise SoundscapeError(
            f"{subset}: textures: got {min(unknown)!r}; expected some of {', '.join(by_label)}"
        )
    return [_plan_clip(settings, subset, index, by_label, ordered) for index in range(count)]


def _plan_clip(
    settings: SoundscapeSettings,
    subset: str,
    index: int,
    by_label: dict[str, list[TrimmedRecording]],
    backgrounds: Sequence[TrimmedRecording],
) -> Soundscape:
    rng = np.random.default_rng([settings.seed, zlib.crc32(subset.encode()), index])
    background = _draw_background(rng, settings, backgrounds)
    events: list[ForegroundEvent] = []
    for _ in range(int(rng.integers(settings.events_min, settings.events_max, endpoint=True))):
        for _ in range(DRAWS_PER_EVENT):
            if event := _draw_event(rng, settings, by_label, events):
                events.append(event)
                break
    return Soundscape(
        id=f"{subset}-{index:06d}",
        subset=subset,
        sample_rate_hz=settings.sample_rate_hz,
        num_samples=settings.samples(settings.duration_s),
        background=background,
        events=tuple(sorted(events, key=lambda event: (event.onset_sample, event.label))),
    )


def _draw_background(
    rng: np.random.Generator,
    settings: SoundscapeSettings,
    backgrounds: Sequence[TrimmedRecording],
) -> Background:
    level = float(rng.uniform(settings.background_min_dbfs, settings.background_max_dbfs))
    noise_seed = int(rng.integers(1 << 32))
    if rng.random() < settings.white_noise_share:
        return Background(level_dbfs=level, noise_seed=noise_seed)
    chosen = backgrounds[int(rng.integers(len(backgrounds)))]
    ((start, stop),) = chosen.parts
    spare = stop - start - settings.samples(settings.duration_s)
    return Background(
        level_dbfs=level,
        noise_seed=noise_seed,
        recording=chosen.recording.name,
        source=chosen.recording.source,
        start_sample=start,
        num_samples=stop - start,
        offset_sample=int(rng.integers(spare + 1 if spare >= 0 else stop - start)),
    )


def _draw_event(
    rng: np.random.Generator,
    settings: SoundscapeSettings,
    by_label: dict[str, list[TrimmedRecording]],
    others: Sequence[ForegroundEvent],
) -> ForegroundEvent | None:
    """A random event, or None where it has no room beside the others."""
    label = list(by_label)[rng.integers(len(by_label))]
    chosen = by_label[label][rng.integers(len(by_label[label]))]
    start, length = _cut(rng, settings, label, chosen.parts[rng.integers(len(chosen.parts))])
    snr_db = float(rng.uniform(settings.snr_min_db, settings.snr_max_db))
    taken = [
        _span(other, settings.samples(SAME_CLASS_GAP_S) if other.label == label else 0)
        for other in others
        if other.label == label or not settings.overlap
    ]
    free = free_onsets(settings.samples(settings.duration_s), length, taken)
    if not free:
        return None
    return ForegroundEvent(
        label=label,
        recording=chosen.recording.name,
        source=chosen.recording.source,
        start_sample=start,
        num_samples=length,
        onset_sample=_draw_onset(rng, settings, free),
        snr_db=snr_db,
    )


def _cut(
    rng: np.random.Generator, settings: SoundscapeSettings, label: str, part: tuple[int, int]
) -> tuple[int, int]:
    """`(start, length)`: the whole part, or a random cut of a texture or of one too long."""
    start, whole = part[0], part[1] - part[0]
    longest = settings.samples(settings.event_max_s)
    if label not in settings.textures and whole <= longest:
        return start, whole
    shortest = min(whole, settings.samples(settings.texture_min_s))
    length = int(rng.integers(shortest, min(whole, longest), endpoint=True))
    return start + int(rng.integers(whole - length, endpoint=True)), length


def _span(event: ForegroundEvent, gap: int) -> tuple[int, int]:
    return event.onset_sample - gap, event.onset_sample + event.num_samples + gap


def free_onsets(total: int, length: int, taken: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The onsets `[low, high)` at which `length` samples fit into `total` beside taken spans."""
    free = []
    low = 0
    for start, stop in [*sorted(taken), (total, total)]:
        last = min(start, total) - length
        if last >= low:
            free.append((low, last + 1))
        low = max(low, stop)
    return free


def _draw_onset(
    rng: np.random.Generator, settings: SoundscapeSettings, free: Sequence[tuple[int, int]]
) -> int:
    """An onset from the settings' distribution, restricted to the free intervals."""
    from scipy.special import ndtr, ndtri  # slow to load: settings need not wait for it

    bounds = np.array(free, dtype=np.float64)  # (intervals, 2)
    if settings.onsets == "normal":
        centre = settings.samples(settings.duration_s) / 2
        spread = settings.samples(settings.duration_s) * NORMAL_ONSET_SPREAD
        shares = ndtr((bounds - centre) / spread)
    else:
        shares = bounds
    widths = shares[:, 1] - shares[:, 0]
    chosen = int(rng.choice(len(free), p=widths / widths.sum()))
    point = rng.uniform(shares[chosen, 0], shares[chosen, 1])
    if settings.onsets == "normal":
        point = centre + spread * ndtri(point)
    low, high = free[chosen]
    return int(np.clip(np.floor(point), low, high - 1))
