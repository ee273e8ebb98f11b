"""weak-figures: where a network looks in single clips, and what it rebuilds of them."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from pipelines.pages.render import rendered
from pipelines.runtime.declared import CheckpointUrl, DatasetUrl, Work, stage_function
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.files.urls import open_dataset, read_checkpoint
from pipelines.runtime.stage import Stage
from pipelines.runtime.words import counted, listed
from pipelines.stages.weak_labels.folds import labels_of
from pipelines.stages.weak_labels.plots import ClipView, attention_figure, reconstruction_figure
from pipelines.stages.weak_labels.scores import outputs
from pipelines.training.examples import CropReader
from pmam.models.checkpoint import CheckpointError, unpack
from pmam.weak_labels.detector import WeakDetector
from pmam.weak_labels.networks import WeakOutput
from shards.dataset import Dataset
from shards.index import IndexRow
from shards.loading.array_reader import CODEC, ArrayReader
from shards.loading.examples import AudioReader, ClipReader, Example

# Raised by whoever changes what the stage computes.
ALGORITHM_VERSION = 1

FOUND = 0.3  # probability from which a class that is not in a clip is drawn too
MOST_CLASSES = 8


@dataclass(frozen=True, kw_only=True)
class FigureSettings:
    """Which clips are drawn."""

    # Ids of the clips to draw, as in their source, or their keys.
    clips: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.clips:
            raise PipelineError("no clips: name those to draw, --clips ID ID ...")


def load_weak(checkpoint: str) -> WeakDetector:
    """The network at a URL.

    Raises:
        CheckpointError: it is none, or another kind of model.
    """
    model = unpack(read_checkpoint(checkpoint), checkpoint)
    if not isinstance(model, WeakDetector):
        raise CheckpointError(
            f"{checkpoint}: a {type(model).__name__}, expected a network for weak labels, as "
            "`pmam train-weak` writes it"
        )
    return model.to("cuda" if torch.cuda.is_available() else "cpu")


@stage_function(ALGORITHM_VERSION)
def weak_figures(
    dataset: DatasetUrl,
    out: str,
    settings: FigureSettings,
    *,
    checkpoint: CheckpointUrl,
    name: str = "weak_figures",
    fresh: bool = False,
) -> Work:
    """Draw clips; returns the URL of the stage: two pictures a clip, and a page of all.

    Args:
        dataset: where the clips are.
        out: the folder of the figures.
        settings: which clips.
        checkpoint: the network.
        name: of the stage.
        fresh: start over.
    """

    def work(stage: Stage) -> dict[str, Any]:
        model, packed = load_weak(checkpoint), open_dataset(dataset)
        places, rows = _chosen(dataset, packed, settings.clips)
        longest_s = max(row.duration_s for row in rows)
        frames = max(1, round(longest_s / model.settings.hop_s))
        reader = _reader(packed, rows, model)
        clips = CropReader(model.encoder, frames * model.settings.hop_s, reader, seed=0)
        pictures = []
        for examples, inputs, said in outputs(model, clips, places):
            for place, example in enumerate(examples):
                view = view_of(model, clips, example, place, inputs, said)
                for kind, figure in drawn(view).items():
                    data = png(figure)
                    file = f"{example.row.key}-{kind}.png"
                    stage.store.write(file, data)
                    pictures.append({"source": data_url(data), "title": f"{view.title}: {kind}"})
        page = rendered("weak_figures.html", title=f"Clips as {checkpoint} sees", pictures=pictures)
        stage.store.write("figures.html", page.encode())
        return {"clips": len(rows)}

    return Work(do=work, settings=settings, summary=_summary)


def _chosen(url: str, dataset: Dataset, wanted: Sequence[str]) -> tuple[list[int], list[IndexRow]]:
    ids = dataset.table["source_id"].to_pylist()
    keys = dataset.table["key"].to_pylist()
    place_of = {name: place for names in (keys, ids) for place, name in enumerate(names)}
    unknown = [name for name in wanted if name not in place_of]
    if unknown:
        raise PipelineError(f"{url}: no clip {listed(unknown)}; expected ids such as {listed(ids)}")
    places = [place_of[name] for name in wanted]
    return places, dataset.rows_at(np.array(places, np.int64))


def _reader(dataset: Dataset, rows: Sequence[IndexRow], model: WeakDetector) -> ClipReader:
    arrays = {row.codec == CODEC for row in rows}
    if len(arrays) > 1:
        raise PipelineError("clips of audio and of spectrograms: draw them one after the other")
    if arrays == {True}:
        return ArrayReader(dataset, model.settings.hop_s)
    return AudioReader(dataset, model.encoder.sample_rate_hz)


def view_of(
    model: WeakDetector,
    clips: CropReader,
    example: Example,
    place: int,
    inputs: torch.Tensor,
    said: WeakOutput,
) -> ClipView:
    """What is to be drawn of one clip of a batch."""
    row, length = example.row, clips.span(example).frames
    labels = labels_of(row)
    scores = said.clips[place]
    order = scores.argsort(descending=True).tolist()
    wanted = [n for n in order if model.classes[n] in labels or float(scores[n]) >= FOUND]
    kept = (wanted or order[:1])[:MOST_CLASSES]
    strongest = next((n for n, c in enumerate(kept) if model.classes[c] in labels), 0)

    def array(values: torch.Tensor) -> Any:
        return values.float().cpu().numpy()

    maps = said.maps
    return ClipView(
        title=row.source_id,
        hop_s=model.encoder.hop_s,
        inputs=array(inputs[place, :length]),
        classes=tuple(model.classes[n] for n in kept),
        probabilities=array(scores[kept]),
        frames=array(said.frames[place, :length, kept]),
        events=row.events,
        labels=labels,
        strongest=strongest,
        mel=None if maps is None else array(maps.mel[place, kept[strongest], :length]),
        time=None if maps is None else array(maps.time[place, kept, :length]),
        cells=array(said.cells[place, kept[strongest], :length]),
        reconstruction=(
            None if said.reconstruction is None else array(said.reconstruction[place, :length])
        ),
    )


def drawn(view: ClipView) -> dict[str, Figure]:
    """The figures of a clip by kind."""
    found = {"attention": attention_figure(view)}
    if view.reconstruction is not None:
        found["reconstruction"] = reconstruction_figure(view)
    return found


def png(figure: Figure) -> bytes:
    """A figure as a file, the same bytes each time."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()


def data_url(data: bytes) -> str:
    """A picture inside a page."""
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def _summary(result: Mapping[str, Any]) -> str:
    return f"drew {counted(result['clips'], 'clip')}"
