"""Soundscapes rendered by a worker: as files, or straight into a shard."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pipelines.runtime.files.urls import store
from pipelines.runtime.workers.parallel_map import ShardResult, ShardTask
from pipelines.stages.settings import SoundscapesSettings
from shards.audio.encoding import encode
from shards.audio.sound import AudioInfo
from shards.clip import Clip, Event
from shards.packing.writer import write_made_shard
from shards.soundscapes import cross_folds
from shards.soundscapes.render import RecordingReader, render, render_clip
from shards.soundscapes.scene import Soundscape


class Renderer:
    """Renders one part of the clips, as files or as one shard."""

    def __init__(self, folders: Mapping[str, str], out: str, settings: SoundscapesSettings) -> None:
        self.out, self.settings = store(out), settings
        stores = {name: store(url) for name, url in folders.items()}
        self.read = RecordingReader(stores, settings.scene.sample_rate_hz)

    def __call__(self, task: ShardTask) -> ShardResult:
        """The result of a part of the soundscapes, under their file names or that of a shard."""
        soundscapes = [Soundscape.from_json(line) for line in task["soundscapes"]]
        if not self.settings.shards:
            for scene in soundscapes:
                self.out.write(self._file(scene), render_clip(scene, self.read, self._codec))
            return {"outputs": [self._file(scene) for scene in soundscapes]}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "shard.tar"
            shard = write_made_shard(task["output"], map(self._made, soundscapes), path)
            name = self.out.publish(task["output"], path)
        return {"outputs": [name], "written": shard.stored_as(name).to_json()}

    @property
    def _codec(self) -> Literal["flac", "wav"]:
        return self.settings.codec

    def _file(self, scene: Soundscape) -> str:
        folder = "" if scene.fold is not None else f"{scene.subset}/"
        return f"{folder}{scene.id}.{self._codec}"

    def _made(self, scene: Soundscape) -> tuple[Clip, bytes, AudioInfo]:
        """A clip that is in no file: its audio goes from memory into the tar."""
        samples = render(scene, self.read)
        info = AudioInfo(
            codec=self._codec,
            sample_rate_hz=scene.sample_rate_hz,
            num_samples=len(samples),
            channels=1,
        )
        audio = encode(samples, scene.sample_rate_hz, self._codec)
        return _clip(scene, self._file(scene)), audio, info


def _clip(scene: Soundscape, file: str) -> Clip:
    return to_clip(scene, file) if scene.fold is None else cross_folds.to_clip(scene, file)


def to_clip(scene: Soundscape, file: str) -> Clip:
    """A soundscape with the labels that its subset has."""
    strong = tuple(Event(*event) for event in scene.strong())
    labels = tuple(sorted({event.label for event in strong}))
    return Clip(
        source_id=f"{scene.subset}/{scene.id}",
        audio=file,
        subset=scene.subset,
        recording=None,
        fold=None,
        weak=labels if scene.subset == "weak" else None,
        events=None if scene.subset in ("weak", "unlabeled") else strong,
        meta={},
    )
