"""Soundscapes from plans: rendering, label tables, and a folder in DESED's layout.

After Scaper (Salamon et al., WASPAA 2017) and the synthetic part of DESED (Turpault et al., 2019).
"""

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from shards.audio.decoding import AudioError, Samples, decode
from shards.audio.encoding import encode
from shards.io.store import Store
from shards.soundscapes.scene import Background, ForegroundEvent, Soundscape

FADE_S = 0.01  # at both ends of an event, against clicks
CROSSFADE_S = 0.05  # where a background goes round
PEAK = 0.99  # louder clips are turned down to it as a whole
QUIETEST_SPAN_DB = -20.0  # a background's pause counts as no quieter than this, against its RMS
CACHE_BYTES = 256 << 20

Mix = npt.NDArray[np.float64]


class RecordingReader:
    """Recordings by name, decoded and resampled once; the least recently used make room.

    A name's first part says which folder it is in: `{"foreground": store, ...}`.
    """

    def __init__(
        self, folders: Mapping[str, Store], sample_rate_hz: int, cache_bytes: int = CACHE_BYTES
    ) -> None:
        self.folders = dict(folders)
        self.sample_rate_hz = sample_rate_hz
        self.cache_bytes = cache_bytes
        self._kept: OrderedDict[str, Samples] = OrderedDict()
        self._kept_bytes = 0

    def __call__(self, name: str) -> Samples:
        """The recording as float32 mono `(samples,)`."""
        if name in self._kept:
            self._kept.move_to_end(name)
            return self._kept[name]
        folder, _, below = name.partition("/")
        store = self.folders[folder]
        samples = decode(store.read(below), store.path(below), sample_rate_hz=self.sample_rate_hz)
        self._kept[name] = samples
        self._kept_bytes += samples.nbytes
        while self._kept_bytes > self.cache_bytes:
            self._kept_bytes -= self._kept.popitem(last=False)[1].nbytes
        return samples


def render_clip(
    soundscape: Soundscape,
    read: Callable[[str], Samples],
    codec: Literal["flac", "wav"] = "flac",
) -> bytes:
    """A clip as a 16-bit file, the same bytes for the same plan and recordings."""
    return encode(render(soundscape, read), soundscape.sample_rate_hz, codec)


def render(soundscape: Soundscape, read: Callable[[str], Samples]) -> Samples:
    """The clip `(samples,)`: background plus events, turned down where it would clip."""
    background, events = render_parts(soundscape, read)
    mix = background
    for event, samples in zip(soundscape.events, events, strict=True):
        mix[event.onset_sample : event.onset_sample + event.num_samples] += samples
    peak = np.abs(mix).max()
    scaled: Samples = (mix * min(1.0, PEAK / peak)).astype(np.float32)
    return scaled


def render_parts(soundscape: Soundscape, read: Callable[[str], Samples]) -> tuple[Mix, list[Mix]]:
    """`(background (samples,), events)`, each event `(its samples,)` at its level in the mix."""
    background = _background(soundscape, read)
    overall = _rms(background)
    events = []
    for event in soundscape.events:
        samples = _event(event, read, soundscape.sample_rate_hz)
        span = background[event.onset_sample : event.onset_sample + event.num_samples]
        # a pause in the background must not make the event in it inaudible
        noise = max(_rms(span), overall * _gain(QUIETEST_SPAN_DB))
        events.append(samples * (noise * _gain(event.snr_db) / _rms(samples)))
    return background, events


def tables(soundscapes: Iterable[Soundscape], suffix: str = ".flac") -> dict[str, bytes]:
    """The label files of a folder in DESED's layout, by name; times to the millisecond.

    `metadata/<subset>.tsv` is what training may read: for `weak` the labels of a clip, for
    `unlabeled` file names alone, for other subsets every event (a clip without events has one
    row with empty fields). `truth/<subset>.tsv` has the events of weak and unlabelled clips, to
    measure pseudo labels by. `recipes/<subset>.jsonl` has the plans.
    """
    by_subset: dict[str, list[Soundscape]] = defaultdict(list)
    for soundscape in soundscapes:
        by_subset[soundscape.subset].append(soundscape)
    files = {}
    for subset, clips in by_subset.items():
        strong = _strong_table(clips, suffix)
        if subset == "weak":
            files[f"metadata/{subset}.tsv"] = _weak_table(clips, suffix)
        elif subset == "unlabeled":
            files[f"metadata/{subset}.tsv"] = _table(["filename"], [[c.id + suffix] for c in clips])
        else:
            files[f"metadata/{subset}.tsv"] = strong
        if subset in ("weak", "unlabeled"):
            files[f"truth/{subset}.tsv"] = strong
        files[f"recipes/{subset}.jsonl"] = "".join(f"{c.to_json()}\n" for c in clips).encode()
    return files


def _background(soundscape: Soundscape, read: Callable[[str], Samples]) -> Mix:
    """`(samples,)` at the planned level."""
    plan = soundscape.background
    if plan.recording is None:
        samples = np.random.default_rng(plan.noise_seed).standard_normal(soundscape.num_samples)
    else:
        samples = _recorded(plan, plan.recording, read, soundscape)
    return samples * (_gain(plan.level_dbfs) / _rms(samples))


def _recorded(
    plan: Background, name: str, read: Callable[[str], Samples], soundscape: Soundscape
) -> Mix:
    """The planned part of a recording, long enough for the clip."""
    part = _part(read, name, plan.start_sample, plan.num_samples)
    if len(part) < soundscape.num_samples:
        part = _loop(part, round(CROSSFADE_S * soundscape.sample_rate_hz))
    first = plan.offset_sample % len(part)
    rounds = -(-(first + soundscape.num_samples) // len(part))
    return np.tile(part, rounds)[first : first + soundscape.num_samples]


def _loop(part: Mix, crossfade: int) -> Mix:
    """The part with its end faded into its start at equal power, to be repeated without a seam."""
    crossfade = min(crossfade, len(part) // 2)
    angle = np.linspace(0, np.pi / 2, crossfade)
    loop = part[: len(part) - crossfade].copy()
    loop[:crossfade] = part[:crossfade] * np.sin(angle) + part[-crossfade:] * np.cos(angle)
    return loop


def _event(event: ForegroundEvent, read: Callable[[str], Samples], sample_rate_hz: int) -> Mix:
    """The planned part of a recording `(samples,)`, its ends faded."""
    samples = _part(read, event.recording, event.start_sample, event.num_samples)
    fade = min(round(FADE_S * sample_rate_hz), len(samples) // 2)
    ramp = np.sin(np.linspace(0, np.pi / 2, fade)) ** 2
    samples[:fade] *= ramp
    samples[len(samples) - fade :] *= ramp[::-1]
    return samples


def _part(read: Callable[[str], Samples], name: str, start: int, count: int) -> Mix:
    """A copy of `count` samples of a recording; it must have them, and must sound."""
    part = read(name)[start : start + count].astype(np.float64)
    if len(part) < count or not part.any():
        raise AudioError(
            f"{name}: no sound in the samples {start} to {start + count} that the plan asks "
            "for; plan again: the recording has changed"
        )
    return part


def _rms(samples: Mix) -> float:
    return float(np.sqrt(np.mean(np.square(samples))))


def _gain(level_db: float) -> float:
    return float(10 ** (level_db / 20))


def _strong_table(clips: Iterable[Soundscape], suffix: str) -> bytes:
    rows = []
    for clip in clips:
        events = [[f"{on:.3f}", f"{off:.3f}", label] for on, off, label in clip.strong()]
        rows += [[clip.id + suffix, *event] for event in events or [["", "", ""]]]
    return _table(["filename", "onset", "offset", "event_label"], rows)


def _weak_table(clips: Iterable[Soundscape], suffix: str) -> bytes:
    rows = [
        [clip.id + suffix, ",".join(sorted({event.label for event in clip.events}))]
        for clip in clips
    ]
    return _table(["filename", "event_labels"], rows)


def _table(columns: list[str], rows: Iterable[list[str]]) -> bytes:
    return "".join("\t".join(row) + "\n" for row in [columns, *rows]).encode()
