"""The command checkpoint: what a model is, published ones as ours, and ours as ONNX."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from tyro.conf import Positional

from cluster.outputs import check_job_outputs
from cluster.storage.urls import absolute
from pipelines.cli.kinds import command_of_kinds
from pipelines.cli.types import Flag
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.files.inputs import CHECKPOINT, WEIGHTS, checked
from pipelines.runtime.files.inputs import FILE as INPUT_FILE
from pipelines.runtime.files.urls import read_checkpoint, store, write_checkpoint
from pipelines.runtime.lines import print_line, print_result
from pmam.events.settings import PostprocessOverrides
from pmam.models.settings import DetectorSettings

if TYPE_CHECKING:
    from pmam.models.checkpoint import Checkpoint, Model

OURS = ".safetensors"
ONNX = ".onnx"
File = Positional[Annotated[str, tyro.conf.arg(metavar="FILE")]]


def show(file: File) -> None:
    """Tell what a checkpoint is: kind, encoder, classes, size, checksums; whether it fits.

    Args:
        file: Path or URL of a checkpoint (.safetensors), of a file that others published (.pt),
            or of a folder of prototypes; or the name mn04, mn10 or passt-s.
    """

    from pipelines.stages.checkpoint.describe import described

    facts = described(file)
    width = max(map(len, facts))
    for name, fact in facts.items():
        print_line(f"{name:<{width}}  {fact}")


def convert(
    file: File,
    out: Positional[Annotated[str, tyro.conf.arg(metavar="OUT")]],
    kind: Literal["encoder", "masked", "detector", "weak_detector"] | None = None,
    encoder: str | None = None,
    model: str | None = None,
    standardised_by: str | None = None,
    classes: tuple[str, ...] = (),
    detector: DetectorSettings = DetectorSettings(),
    chosen: str | None = None,
    postprocess: PostprocessOverrides = PostprocessOverrides(),
    fresh: Flag = False,
) -> None:
    """Make a checkpoint of ours of a file that others published, or of another one of ours.

    Knows PaSST, EfficientAT (mn04, mn10), PMAM's and MAT-SED's models of any stage, and the five
    networks of MTL, with or without the prefix `module.`, with LoRA merged or beside.
    OUT.safetensors serves as --start, --checkpoint or --encoder.weights. An older checkpoint of
    ours, in two files, becomes one file.

    Args:
        file: Path or URL of the file, or the name mn04, mn10 or passt-s.
        out: Name of the checkpoint: OUT.safetensors is written.
        kind: Kind of model to make of it; by default the kind that it is.
        encoder: Ours that takes the weights; by default passt, mn04 or mn10.
        model: Network of a file of MTL that does not tell it: gmp, gap or gwrp.
        standardised_by: Checkpoint of `pmam train-weak` whose means and scales of log-mel a network
            of MTL takes, since its own are in no file.
        classes: Classes of a detector, in the order of its outputs; by default DESED's ten, or the
            41 of DCASE 2018 task 2.
        detector: How a detector is read.
        chosen: File postprocess.json of `pmam evaluate --choose.metric ...`, whose windows, boxes
            and thresholds a detector gets.
        postprocess: How a detector's scores become events, other than by default or as chosen.
        fresh: Replace OUT.
    """
    check_job_outputs((out,))
    parent, _, stem = absolute(out).removesuffix(OURS).rpartition("/")
    target = store(parent or "/")
    if target.size(f"{stem}{OURS}") is not None and not fresh:
        raise PipelineError(f"{out}: is there already; give another name, or --fresh")
    checked((WEIGHTS, file))
    from pipelines.inference.weights import weights_file
    from pipelines.stages.checkpoint.describe import is_ours
    from pmam.models.checkpoint import unpack
    from pmam.models.importers.detect_format import import_published
    from pmam.models.published import read_published

    if is_ours(file):
        given = (kind, encoder, model, standardised_by, classes, detector)
        if given != (None, None, None, None, (), DetectorSettings()):
            raise PipelineError(
                f"{file}: tells itself what it is; --kind, --encoder, --model, --standardised-by, "
                "--classes and --detector are for files that others published: leave them out"
            )
        found = unpack(read_checkpoint(file), file)
    else:
        found = import_published(
            read_published(weights_file(file)),
            file,
            kind=kind,
            encoder=encoder,
            classes=classes,
            reading=detector,
            model=model,
        )
        _standardise(found, standardised_by, file)
    _postprocess(found, chosen, postprocess, file)
    write_checkpoint(target, stem, _packed(found))
    print_result(f"{parent}/{stem}{OURS}")


def _standardise(model: "Model", other: str | None, file: str) -> None:
    """Give a network for weak labels the means and scales of another one's inputs.

    Raises:
        PipelineError: none is named where one is needed, one where none is, or it does not fit.
    """
    from pmam.models.checkpoint import unpack
    from pmam.weak_labels.detector import WeakDetector

    if not isinstance(model, WeakDetector):
        if other is not None:
            raise PipelineError(f"{file}: no network of MTL; leave --standardised-by out")
        return
    if other is None:
        raise PipelineError(
            f"{file}: does not tell how its inputs were standardised; give --standardised-by a "
            "checkpoint of `pmam train-weak` on the same log-mel"
        )
    source = unpack(read_checkpoint(other), other)
    if not isinstance(source, WeakDetector) or source.settings.mels != model.settings.mels:
        raise PipelineError(
            f"{other}: expected a network for weak labels with {model.settings.mels} mel bands, as "
            "`pmam train-weak` writes it"
        )
    model.front_end.calibration.load_state_dict(source.front_end.calibration.state_dict())


def _postprocess(
    model: "Model", chosen: str | None, given: PostprocessOverrides, file: str
) -> None:
    """Give a detector other post-processing.

    Raises:
        PipelineError: it is no detector, or what was chosen is that of several systems.
        InputError: it has not the classes that are named.
    """
    from pipelines.stages.evaluate.postprocess_file import stored
    from pmam.models.detector import FrameDetector

    if chosen is None and given == PostprocessOverrides():
        return
    if not isinstance(model, FrameDetector):
        raise PipelineError(
            f"{file}: no detector, which alone has --chosen and --postprocess: leave them out"
        )
    found = model.postprocess
    if chosen is not None:
        checked((INPUT_FILE, chosen))
        of_systems = stored(chosen)
        if len(of_systems) != 1:
            raise PipelineError(
                f"{chosen}: the post-processing of {len(of_systems)} systems "
                f"({', '.join(of_systems)}); expected that of one: choose for this detector's "
                "scores alone"
            )
        found = next(iter(of_systems.values()))
    found = given.applied(found)
    found.check(model.classes)
    model.postprocess = found


def _packed(model: "Model") -> "Checkpoint":
    from pmam.models.checkpoint import pack_detector, pack_encoder, pack_masked, pack_weak
    from pmam.models.detector import DetectorModel
    from pmam.models.masked_audio_model import MaskedAudioModel
    from pmam.weak_labels.detector import WeakDetector

    if isinstance(model, WeakDetector):
        return pack_weak(model)
    if isinstance(model, DetectorModel):
        return pack_detector(model)
    return pack_masked(model) if isinstance(model, MaskedAudioModel) else pack_encoder(model)


def export(
    file: Positional[Annotated[str, tyro.conf.arg(metavar="DETECTOR")]],
    out: Positional[Annotated[str, tyro.conf.arg(metavar="OUT")]],
    window_s: float = 10.0,
    overlap_s: float = 2.0,
    fresh: Flag = False,
) -> None:
    """Write a detector as ONNX, with its spectrogram inside: samples in, probabilities out.

    Takes any number of windows of one length at a time, and tells in its metadata classes, rate,
    hop and post-processing. Needs the extra onnx. What is written is held to the detector first:
    ONNX Runtime must give its probabilities, to 1e-4.

    Args:
        file: Path or URL of a detector (.safetensors).
        out: Path or URL of the file to write (.onnx).
        window_s: Length of the windows that it takes, in seconds.
        overlap_s: Overlap of neighbouring windows in seconds, told in the metadata.
        fresh: Replace OUT.
    """
    check_job_outputs((out,))
    parent, _, name = absolute(out).rpartition("/")
    target = store(parent or "/")
    if not name.endswith(ONNX):
        raise PipelineError(f"{out}: expected a name that ends in {ONNX}")
    if target.size(name) is not None and not fresh:
        raise PipelineError(f"{out}: is there already; give another name, or --fresh")
    checked((CHECKPOINT, file))
    from pipelines.inference.layers import load_detector
    from pmam.models.onnx_export import export_onnx

    detector = load_detector(file).cpu()
    found = export_onnx(detector, window_s=window_s, overlap_s=overlap_s)
    target.write(name, found.model)
    facts = {**found.metadata, "largest difference": f"{found.difference:.1g}"}
    for fact, value in facts.items():
        print_line(f"{fact:<{max(map(len, facts))}}  {value}")
    print_result(f"{parent}/{name}")


KINDS: dict[str, Callable[..., Any]] = {"show": show, "convert": convert, "export": export}


checkpoint = command_of_kinds(
    "pmam checkpoint",
    "Show what a checkpoint is, convert one that others published, or export one as ONNX.",
    KINDS,
)
