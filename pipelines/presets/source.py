"""The dataset of a run: packed from recordings that are given, synthesised, or mixed."""

import logging
from functools import partial

from cluster.storage.urls import absolute
from pipelines.presets.settings import RunSettings
from pipelines.runtime.declared import is_told_only
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.files.run_folder import RunFolder
from pipelines.runtime.identity import digest
from pipelines.runtime.stage import fingerprint_of, listing_fingerprint, record_of
from pipelines.stages.pack.stage import pack
from pipelines.stages.soundscapes.stage import soundscapes
from shards.soundscapes.demo_sounds import write_demo_recordings

DEMO_SOUNDS = 1  # raised by whoever changes the demo's own recordings
log = logging.getLogger("pmam")


def packed(settings: RunSettings, folder: RunFolder) -> str:
    """The recordings of a run as a dataset; its URL.

    Raises:
        PipelineError: neither recordings nor soundscapes were asked for.
    """
    if settings.soundscapes is not None:
        if settings.soundscapes.shards:
            return _mixed(settings, folder, "dataset")
        mixed = _mixed(settings, folder, "soundscapes")
        inputs = {"soundscapes": partial(fingerprint_of, mixed)}
    elif settings.data is not None:
        mixed, inputs = settings.data, None
    else:
        raise PipelineError("no recordings: give --data, a folder of audio and labels")
    url = pack(mixed, settings=settings.pack, inputs=inputs, **folder.at("pack", "dataset"))
    if settings.soundscapes is None and not is_told_only():
        for note in record_of(url)["result"]["notes"]:
            log.info("%s", note)
    return url


def _mixed(settings: RunSettings, folder: RunFolder, below: str) -> str:
    """Soundscapes of recordings of events and backgrounds, in a folder of the run."""
    assert settings.soundscapes is not None
    if settings.data is not None:
        foreground = absolute(settings.data)
        return soundscapes(
            foreground,
            None,
            settings=settings.soundscapes,
            inputs={"recordings": partial(listing_fingerprint, foreground)},
            **folder.at("soundscapes", below),
        )
    scene = settings.soundscapes.scene
    return soundscapes(
        None,
        None,
        settings=settings.soundscapes,
        inputs={"recordings": lambda: digest([DEMO_SOUNDS, scene.seed, scene.sample_rate_hz])},
        synthesise=lambda into: write_demo_recordings(into, scene.seed, scene.sample_rate_hz),
        **folder.at("soundscapes", below),
    )
