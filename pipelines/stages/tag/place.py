"""Where tags go: to a folder that is kept, or to one that goes with the command."""

import contextlib
import tempfile
from collections.abc import Iterator

from cluster.storage.urls import absolute
from pipelines.inference.audio_inputs import Inputs, OnError
from pipelines.inference.readable import check_readable
from pipelines.runtime.files.urls import join
from pipelines.runtime.identity import digest
from pipelines.runtime.workers.reach import joined
from pipelines.stages.tag.results import TagSet
from pipelines.stages.tag.settings import TagError, TaggerSettings
from pipelines.stages.tag.stage import IN_PROCESS, tag
from pipelines.stages.tag.tagger import named_classes, weights_place
from pmam.tagging.settings import TagSettings


@contextlib.contextmanager
def folder_for(inputs: Inputs, output_dir: str | None) -> Iterator[str]:
    """The folder named; without a name a temporary one, and for many recordings one in `runs/`."""
    if output_dir is not None:
        yield absolute(output_dir)
    elif len(inputs.audio) > IN_PROCESS:  # work that nobody wants to lose
        names = sorted(f"{each.url}\0{each.key or ''}" for each in inputs.audio)
        yield absolute(f"runs/tags-{digest(names)[:10]}")
    else:
        with tempfile.TemporaryDirectory(prefix="pmam-tags-") as folder:
            yield folder


def tags_of(
    inputs: Inputs,
    folder: str,
    tagger: TaggerSettings,
    settings: TagSettings,
    *,
    on_error: OnError | None = None,
    address: str | None = None,
    fresh: bool = False,
) -> TagSet:
    """The tags of recordings, in `<folder>/tags-<length of the windows>`; done once."""
    if on_error is None:
        on_error = "skip" if inputs.found else "fail"
    if on_error == "fail" and len(inputs.audio) > 1:
        check_readable(inputs.audio, TagError)
    weights, classes = weights_place(tagger), named_classes(tagger)
    out = join(folder, f"tags-{settings.window_s:g}")
    reads = (weights, *dict.fromkeys(each.url for each in inputs.audio))
    with joined(address, reads=reads, writes=(out,)):
        url = tag(
            inputs.audio,
            out,
            settings,
            encoder=tagger.encoder,
            weights=weights,
            classes=classes,
            on_error=on_error,
            fresh=fresh,
        )
    return TagSet(url)
