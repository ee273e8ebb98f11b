"""The recordings of a run: given, synthesised, or mixed into soundscapes."""

from collections.abc import Callable, Mapping

from cluster.storage.filesystems import absolute
from pipelines.presets.recordings import DemoSettings, demo_recordings
from pipelines.presets.settings import RunSettings
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.stage import fingerprint_of, listing_fingerprint
from pipelines.runtime.urls import join
from pipelines.stages.pack.streams import shard_streams, streams_fingerprint
from pipelines.stages.soundscapes import soundscapes


def prepare(settings: RunSettings, at: Callable[[str], str]) -> tuple[str, Mapping[str, str]]:
    """The folder to pack, and what identifies it.

    Raises:
        PipelineError: neither recordings nor soundscapes were asked for.
    """
    if settings.soundscapes is None:
        if settings.data is None:
            raise PipelineError("no recordings: give --data, a folder of audio and labels")
        if streams := shard_streams(settings.data, settings.pack.source):
            return settings.data, {"source": streams_fingerprint(streams)}
        return absolute(settings.data), {"source": listing_fingerprint(settings.data)}
    scene = settings.soundscapes.scene
    if settings.data is None:
        made = demo_recordings(
            at("recordings"), DemoSettings(sample_rate_hz=scene.sample_rate_hz, seed=scene.seed)
        )
        foreground, background = join(made, "foreground"), join(made, "background")
        inputs = {"recordings": fingerprint_of(made)}
    else:
        foreground, background = absolute(settings.data), None
        inputs = {"recordings": listing_fingerprint(foreground)}
    mixed = soundscapes(
        foreground, background, at("soundscapes"), settings.soundscapes, inputs=inputs
    )
    return mixed, {"soundscapes": fingerprint_of(mixed)}
