"""The tagger that settings name, with its weights and the names of its outputs."""

from collections.abc import Sequence

import torch

from cluster.storage.urls import absolute
from pipelines.inference.weights import OF_ENCODERS, OURS, weights_file, weights_url
from pipelines.runtime.errors import MissingFileError
from pipelines.runtime.files.urls import store
from pipelines.stages.tag.settings import TagError, TaggerSettings
from pmam.models.published import read_published
from pmam.tagging.classes import class_names
from pmam.tagging.taggers import Tagger, build_tagger


def weights_place(settings: TaggerSettings) -> str:
    """The URL or absolute path of the weights.

    Raises:
        TagError: a checkpoint of ours, which has no tagging head.
    """
    place = weights_url(settings.weights or OF_ENCODERS[settings.encoder].name)
    if place.endswith(OURS):
        raise TagError(
            f"{place}: a checkpoint of pmam has no head for tags; give the published file with its "
            "head, or find a detector's events by `pmam detect`"
        )
    return place


def named_classes(settings: TaggerSettings) -> tuple[str, ...]:
    """The names in the file of classes; none without a file.

    Raises:
        MissingFileError, TagError: no such file, no names, or one twice.
    """
    if settings.classes is None:
        return ()
    parent, _, name = absolute(settings.classes).rpartition("/")
    folder = store(parent or "/")
    if folder.size(name) is None:
        raise MissingFileError(f"{settings.classes}: no such file of class names; check the path")
    try:
        lines = folder.read(name).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise TagError(f"{settings.classes}: not UTF-8; expected a class name a line") from error
    names = tuple(line.strip() for line in lines if line.strip())
    if not names or len(set(names)) < len(names):
        raise TagError(
            f"{settings.classes}: got {len(names)} class names, {len(set(names))} of them "
            "different; expected a name a line, each once"
        )
    return names


def load_tagger(
    encoder: str, place: str, given: Sequence[str] = ()
) -> tuple[Tagger, tuple[str, ...]]:
    """The tagger, on a GPU where there is one, and the names of its outputs.

    Raises:
        FetchError, CheckpointError: no weights.
        InputError: those of another network or head, or names that do not fit.
    """
    tagger = build_tagger(encoder, read_published(weights_file(place)), place)
    names = class_names(tagger.classes, tagger.order, given)
    if torch.cuda.is_available():
        tagger.network.to("cuda")
    return tagger, names


def tag_names(settings: TaggerSettings) -> tuple[str, ...]:
    """The names of the tagger's outputs; raises as `load_tagger`."""
    return load_tagger(settings.encoder, weights_place(settings), named_classes(settings))[1]
