"""Post-processing of systems as a file: what one evaluation used, or chose, another applies."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from cluster.storage.filesystems import filesystem
from pipelines.runtime.errors import PipelineError
from pipelines.stages.evaluate.outputs import FrameOutput, Output
from pmam.errors import InputError
from pmam.events.settings import PostprocessSettings
from pmam.settings import SettingsError, from_json, to_json
from shards.io.store import Store

FILE = "postprocess.json"


def as_file(used: Mapping[str, PostprocessSettings]) -> bytes:
    """The post-processing of systems, by name, in their order."""
    text = {name: to_json(settings) for name, settings in used.items()}
    return json.dumps(text, indent=1, ensure_ascii=False).encode()


def stored(url: str) -> dict[str, PostprocessSettings]:
    """The post-processing of systems that a file holds, by name.

    Raises:
        PipelineError: it is no such file.
    """
    _, path = filesystem(url)
    parent, _, name = path.rpartition("/")
    data = Store(filesystem(url)[0], parent or "/").read(name)
    try:
        told = json.loads(data)
        found = {name: from_json(PostprocessSettings, one) for name, one in told.items()}
    except (ValueError, TypeError, AttributeError, SettingsError, InputError) as error:
        raise PipelineError(
            f"{url}: no post-processing of systems ({error}); expected {FILE} as `pmam evaluate "
            "--choose.metric ...` writes it"
        ) from error
    return found


def with_stored(outputs: Sequence[Output], url: str) -> list[Output]:
    """Outputs with the post-processing of a file in place of their own, one after the other.

    Raises:
        PipelineError: it is no such file, or of another number of systems with frame scores.
    """
    found = stored(url)
    of_frames = [output for output in outputs if isinstance(output, FrameOutput)]
    if len(found) != len(of_frames):
        raise PipelineError(
            f"{url}: the post-processing of {len(found)} systems ({', '.join(found)}), and "
            f"frame scores of {len(of_frames)}; expected as many, in the same order"
        )
    of_system = dict(zip((output.name for output in of_frames), found.values(), strict=True))
    return [
        replace(output, postprocess=of_system[output.name])
        if isinstance(output, FrameOutput)
        else output
        for output in outputs
    ]
