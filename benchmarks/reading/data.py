"""Ten-second clips out of real recordings, packed as FLAC and as WAV, the same clips in both."""

from pathlib import Path

import numpy as np
import soundfile as sf
import soxr

from shards.clip import Clip
from shards.dataset import Dataset
from shards.io.store import Store
from shards.manifest import write_dataset
from shards.packing.plan import plan_shards, survey
from shards.packing.writer import write_shard

RATE_HZ, CLIP_S = 32_000, 10
SHARD_BYTES = 256_000_000


def datasets(recordings: Path, folder: Path, clips: int) -> dict[str, Dataset]:
    """The clips in both codecs; made once, and found again in the folder."""
    made = folder / f"clips-{clips}"
    if not (made / "wav" / "dataset.json").exists():
        source = made / "source"
        write_clips(recordings, source, clips)
        for codec in ("flac", "wav"):
            _pack(source, made / codec, codec)
        for path in source.iterdir():
            path.unlink()
    return {codec: Dataset.open(Store.local(made / codec)) for codec in ("flac", "wav")}


def write_clips(recordings: Path, to: Path, clips: int) -> None:
    """All recordings joined, cut to WAV files: clip n begins n hops after the start, in a ring."""
    to.mkdir(parents=True, exist_ok=True)
    files = sorted(p for p in recordings.rglob("*") if p.suffix in (".ogg", ".wav", ".flac"))
    if not files:
        raise SystemExit(f"{recordings}: no recordings; expected ESC-10's audio folder")
    parts = []
    for file in files:
        samples, rate = sf.read(file, dtype="float32", always_2d=True)
        parts.append(soxr.resample(samples.mean(axis=1), rate, RATE_HZ))
    joined = np.concatenate(parts)
    size = RATE_HZ * CLIP_S
    hop = len(joined) // clips
    joined = np.concatenate([joined, joined[:size]])
    for number in range(clips):
        part = joined[number * hop : number * hop + size]
        sf.write(to / f"clip{number:05d}.wav", part, RATE_HZ, subtype="PCM_16")


def _pack(source: Path, to: Path, codec: str) -> None:
    files = sorted(path.name for path in source.iterdir())
    clips = [Clip(source_id=name, audio=name, subset="unlabeled") for name in files]
    surveyed, _ = survey(Store.local(source), clips)
    store = Store.local(to)
    to.mkdir(parents=True, exist_ok=True)
    written = []
    for plan in plan_shards(surveyed, SHARD_BYTES, 0, codec=codec, sample_rate_hz=None):
        scratch = to / "scratch.tar"
        shard = write_shard(Store.local(source), plan, scratch, codec=codec)
        written.append(shard.stored_as(store.publish(plan.name, scratch)))
    write_dataset(
        store,
        (row for shard in written for row in shard.rows),
        name="esc10-joined",
        licence="CC BY 3.0",
        classes=None,
        shards=(shard.entry for shard in written),
    )
