"""Small packed datasets for tests: noise recordings, and the steps of packing in one call."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile as sf

from shards.audio.channel_choice import Channel
from shards.clip import Clip
from shards.dataset import Dataset
from shards.io.store import Store
from shards.manifest import write_dataset
from shards.packing.plan import Codec, OnError, plan_shards, survey
from shards.packing.writer import WrittenShard, write_shard


def write_noise(
    path: Path,
    *,
    seed: int = 0,
    seconds: float = 0.25,
    rate: int = 8000,
    channels: int = 1,
    subtype: str = "PCM_16",
) -> np.ndarray:
    """A recording of noise; returned as `(samples, channels)`."""
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, (round(seconds * rate), channels))
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, samples, rate, subtype=subtype)
    return samples


def noise_clips(folder: Path, count: int) -> list[Clip]:
    """Recordings of differing length in a folder, as weakly labelled clips."""
    clips = []
    for number in range(count):
        name = f"noise_{number}.5.flac"  # a dot, as in AudioSet's names
        write_noise(folder / name, seed=number, seconds=0.2 + 0.05 * (number % 4))
        clips.append(
            Clip(source_id=name, audio=name, subset="weak", weak=("noise",), meta={"n": number})
        )
    return clips


def pack(
    source: Path,
    clips: Iterable[Clip],
    to: Path,
    *,
    target_bytes: int = 20_000,
    seed: int = 0,
    codec: Codec = "keep",
    sample_rate_hz: int | None = None,
    channel: Channel = "mean",
    on_error: OnError = "fail",
) -> tuple[Dataset, list[WrittenShard]]:
    """Survey, plan, write and publish, one shard after the other."""
    clips = list(clips)
    surveyed, _ = survey(Store.local(source), clips, on_error=on_error)
    form = {"codec": codec, "sample_rate_hz": sample_rate_hz}
    store = Store.local(to)
    written = []
    to.mkdir(parents=True, exist_ok=True)
    for plan in plan_shards(surveyed, target_bytes, seed, **form):
        scratch = to / "scratch.tar"
        shard = write_shard(
            Store.local(source), plan, scratch, channel=channel, on_error=on_error, **form
        )
        written.append(shard.stored_as(store.publish(plan.name, scratch)))
    labels = {label for clip in clips for label in clip.weak or ()}
    labels |= {event.label for clip in clips for event in clip.events or ()}
    write_dataset(
        store,
        (row for shard in written for row in shard.rows),
        name="noise",
        licence="CC0",
        classes=sorted(labels),
        shards=(shard.entry for shard in written),
    )
    return Dataset.open(store), written


def files(folder: Path) -> dict[str, bytes]:
    """Every file under a folder, by relative name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
