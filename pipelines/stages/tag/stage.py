"""tag: the probabilities of a tagger's classes for windows of recordings, as frame files."""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.inference.audio_inputs import AudioInput, OnError, opened
from pipelines.inference.readable import told_of
from pipelines.inference.weights import weights_fingerprint
from pipelines.runtime.declared import Work, stage_function
from pipelines.runtime.errors import USER_ERRORS, is_full
from pipelines.runtime.files.urls import dataset_fingerprint, open_dataset, store
from pipelines.runtime.identity import at_defaults, digest
from pipelines.runtime.stage import Stage
from pipelines.runtime.words import counted
from pipelines.runtime.workers.parallel_map import ShardResult, ShardTask, run_shards
from pipelines.runtime.workers.pool import Pool
from pipelines.runtime.workers.progress import bar
from pipelines.stages.tag.settings import TagError, TagStageSettings
from pipelines.stages.tag.tagger import load_tagger
from pmam.tagging.recording import grid_of, window_probabilities
from pmam.tagging.settings import TagSettings
from pmam.tagging.windows import PUBLISHED_RATE_HZ
from shards.audio.decoding import blocks, probe
from shards.audio.errors import AudioError
from shards.frames.reader import FrameSpec
from shards.frames.writer import FrameWriter

# Raised by whoever changes what the stage computes.
ALGORITHM_VERSION = 1

FRAMES = "frames"
IN_PROCESS = 16  # recordings; more are a Ray job, whose start takes as long as a few do
FILES_TOGETHER = 64  # in one file of frames
BLOCK_S = 10.0  # of decoding
GPUS_PER_WORKER = 0.25
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Tagged:
    """A recording that was tagged.

    Args:
        name: what results call it.
        url: where its bytes are: a file, or a packed dataset.
        key: of the clip, in a packed dataset.
        end_s: its length.
        frames: its key in the files of frames.
    """

    name: str
    url: str
    key: str | None
    end_s: float
    frames: str


class TagWorker:
    """Writes the tags of some recordings to one file of frames, and a list of them beside it.

    Args:
        out: URL of the folder that gets `frames/`.
        encoder, weights, classes: of the tagger.
        settings: windows and noise.
        on_error: what to do at a recording that cannot be read.
    """

    def __init__(
        self,
        out: str,
        encoder: str,
        weights: str,
        classes: Sequence[str],
        settings: TagSettings,
        on_error: OnError,
        tell: Callable[[int, str], None] = lambda more, note: None,
    ) -> None:
        self.out = store(out)
        self.tagger, self.names = load_tagger(encoder, weights, classes)
        self.settings, self.on_error, self.tell = settings, on_error, tell
        # Published windows are counted at another rate than that of the samples.
        stretch = PUBLISHED_RATE_HZ / self.tagger.rate_hz if settings.published_windows else 1.0
        self.spec = FrameSpec(
            kind="scores",
            width=len(self.names),
            dtype="float32",
            hop_s=settings.hop_s * stretch,
            columns=self.names,
        )

    def __call__(self, task: ShardTask) -> ShardResult:
        """`{"output": name, "audio": [...]}` to what was written, and counts."""
        recordings: list[Tagged] = []
        skipped: list[tuple[str, str]] = []
        windows = short = 0
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "frames.arrow"
            with FrameWriter(path, self.spec) as writer:
                for given in task["audio"]:
                    audio = AudioInput(**given)
                    frames = audio.name if audio.key is None or task["mixed"] else audio.key
                    try:
                        recording, count = self._tag(audio, frames, writer)
                    except (*USER_ERRORS, OSError) as error:
                        if is_full(error):
                            raise
                        told = told_of(audio.name, error)
                        if self.on_error == "fail":
                            raise TagError(told) from error
                        skipped.append((audio.name, told))
                    else:
                        recordings.append(recording)
                        windows += count
                        short += recording.end_s < self.settings.window_s
                    self.tell(1, "")
            names = [self.out.publish(task["output"], path)] if recordings else []
        lists = task["output"].removesuffix(".arrow") + ".recordings.json"
        self.out.write(lists, json.dumps([asdict(each) for each in recordings]).encode())
        return {
            "outputs": [*names, lists],
            "recordings": len(recordings),
            "windows": windows,
            "short": short,
            "skipped": skipped,
            "rate_hz": self.tagger.rate_hz,
        }

    def _tag(self, audio: AudioInput, frames: str, writer: FrameWriter) -> tuple[Tagged, int]:
        """Tag one recording of any length, in bounded memory."""
        with opened(audio) as handle:
            info = probe(handle, audio.name)

            def samples() -> Iterator[Floats]:
                handle.seek(0)
                rate_hz = self.tagger.rate_hz
                return blocks(handle, audio.name, sample_rate_hz=rate_hz, block_s=BLOCK_S)

            found = window_probabilities(self.tagger, samples, self.settings)
            count = writer.add_blocks(frames, ((block, None) for block in found))
        if not count:
            raise AudioError(f"{audio.name}: got no window to tag; leave it out")
        end_s = info.num_samples / info.sample_rate_hz
        tagged = Tagged(name=audio.name, url=audio.url, key=audio.key, end_s=end_s, frames=frames)
        return tagged, count


@stage_function(ALGORITHM_VERSION)
def tag(
    audio: Sequence[AudioInput],
    out: str,
    settings: TagSettings,
    *,
    encoder: str,
    weights: str,
    classes: tuple[str, ...] = (),
    on_error: OnError = "fail",
    name: str = "tag",
    fresh: bool = False,
) -> Work:
    """Tag windows of recordings; returns the URL of their probabilities.

    A few recordings are done in this process, many as a Ray Data job over shards.

    Args:
        audio: the recordings.
        out: the folder of the probabilities.
        settings: windows and noise; how many tags count makes no difference here.
        encoder, weights: of the tagger, by name and by URL.
        classes: names of its outputs, where they are not AudioSet's.
        on_error: at a recording that cannot be read, end with an error; or list it as skipped.
        name: of the stage.
        fresh: start over.
    """
    plain = at_defaults(settings, "top", "threshold")

    def work(stage: Stage) -> dict[str, Any]:
        # A tagger that cannot be used, or not so, shows here, before workers start.
        tagger, names = load_tagger(encoder, weights, classes)
        tagger.check_window(max(settings.window_s, settings.least_s))
        tasks = tasks_of(audio)
        arguments = {
            "out": stage.url,
            "encoder": encoder,
            "weights": weights,
            "classes": classes,
            "settings": plain,
            "on_error": on_error,
        }
        if len(audio) <= IN_PROCESS:
            results = _here(stage, tasks, arguments, len(audio))
        else:
            results = run_shards(
                stage,
                tasks,
                TagWorker,
                arguments,
                weights={each: len(task["audio"]) for each, task in tasks.items()},
                unit="recordings",
                pool=Pool(gpus=GPUS_PER_WORKER),
            )
        written = [output for result in results for output in result["outputs"]]
        return {
            **{n: sum(r[n] for r in results) for n in ("recordings", "windows", "short")},
            "skipped": [each for result in results for each in result["skipped"]],
            "outputs": [each for each in written if each.endswith(".arrow")],
            "lists": [each for each in written if each.endswith(".json")],
            "classes": list(names),
            "rate_hz": tagger.rate_hz,
            "grid": asdict(grid_of(settings, tagger.rate_hz)),
        }

    inputs = {"weights": weights_fingerprint(weights), "recordings": _fingerprint(audio)}
    if classes:
        inputs["classes"] = digest(list(classes))
    identity = TagStageSettings(encoder=encoder, tags=plain)
    return Work(do=work, settings=identity, inputs=inputs, summary=_summary)


def _here(
    stage: Stage, tasks: Mapping[str, ShardTask], arguments: Mapping[str, Any], total: int
) -> list[ShardResult]:
    with bar(f"{stage.name} (recordings)", total) as advance:
        worker = TagWorker(**arguments, tell=advance)
        return [worker(task) for task in tasks.values()]


def tasks_of(audio: Sequence[AudioInput]) -> dict[str, ShardTask]:
    """Recordings by the file of frames that they go to: one for a shard, or for some files."""
    shards: dict[str, dict[str, str]] = {}  # by dataset and key
    for url in dict.fromkeys(each.url for each in audio if each.key is not None):
        shards[url] = {row.key: row.shard for row in open_dataset(url).rows}
    together: dict[tuple[str, str], list[AudioInput]] = {}
    files = 0
    for each in audio:
        if each.key is not None:
            place = (each.url, shards[each.url][each.key])
        else:
            place = ("", f"{files // FILES_TOGETHER:06d}")
            files += 1
        together.setdefault(place, []).append(each)
    mixed = len({url for url, _ in together}) > 1  # keys of several datasets may be the same
    return {
        f"{number:06d}": {
            "output": f"{FRAMES}/{number:06d}.arrow",
            "audio": [asdict(each) for each in together[place]],
            "mixed": mixed,
        }
        for number, place in enumerate(sorted(together))
    }


def _fingerprint(audio: Sequence[AudioInput]) -> str:
    """What identifies recordings: of files their names, sizes and times of change."""
    told: list[Any] = []
    datasets: dict[str, str] = {}
    for each in audio:
        if each.key is not None:
            if each.url not in datasets:
                datasets[each.url] = dataset_fingerprint(each.url)
            told.append([datasets[each.url], each.key])
            continue
        place = store(each.url)
        info = place.filesystem.get_file_info(place.root)
        told.append([each.name, info.size, info.mtime_ns])
    return digest(told)


def _summary(result: Mapping[str, Any]) -> str:
    skipped = f", {len(result['skipped'])} skipped" if result["skipped"] else ""
    recordings = counted(result["recordings"], "recording")
    return f"tagged {counted(result['windows'], 'window')} of {recordings}{skipped}"
