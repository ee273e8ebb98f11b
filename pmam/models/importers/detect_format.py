"""What a published file holds, by the names in it, and how it becomes a model of ours."""

from collections.abc import Mapping
from typing import Literal, get_args

from torch import Tensor

from pmam.encoders.base import FrameEncoder
from pmam.encoders.m2d.encoder import encoder_for
from pmam.encoders.m2d.state_dict_names import FINE_TUNED, encoder_tensors
from pmam.encoders.passt.state_dict_names import without_wrapper
from pmam.encoders.registry import build_encoder
from pmam.encoders.settings import EncoderSettings
from pmam.models.checkpoint import CheckpointError
from pmam.models.detector import PLAIN, DetectorModel
from pmam.models.importers.mtl import import_mtl
from pmam.models.importers.transformer4sed import import_backbone, import_detector, import_masked
from pmam.models.masked_audio_model import MaskedAudioModel
from pmam.models.published import load_published
from pmam.models.settings import DetectorSettings
from pmam.weak_labels.detector import WeakDetector
from pmam.weak_labels.published_names import MARKS as MTL_MARKS

Family = Literal["passt", "efficientat", "transformer4sed", "m2d", "mtl"]
Kind = Literal["encoder", "masked", "detector", "weak_detector"]
# A name that each family's files hold, and that of no other; PaSST has no `pos_embed` any more.
MARKS: tuple[tuple[str, Family], ...] = (
    ("decoder.encoder_blocks.0.attn.pos_bias_u", "transformer4sed"),
    ("freq_new_pos_embed", "passt"),
    ("pos_embed", "m2d"),
    (f"{FINE_TUNED}pos_embed", "m2d"),
    ("blocks.0.attn.qkv.weight", "passt"),
    ("features.0.0.weight", "efficientat"),
    *((mark, "mtl") for mark in MTL_MARKS),
)
MASKED_HEAD = "mlm_mlp.2.bias"
# Channels of EfficientAT's hidden layer, and our encoder of that width.
WIDTHS = {512: "mn04", 1280: "mn10"}
# DESED's classes in the order of PMAM's and MAT-SED's outputs.
DESED_CLASSES = (
    "Alarm_bell_ringing",
    "Blender",
    "Cat",
    "Dishes",
    "Dog",
    "Electric_shaver_toothbrush",
    "Frying",
    "Running_water",
    "Speech",
    "Vacuum_cleaner",
)


def family_of(published: Mapping[str, Tensor], name: str) -> Family:
    """Whose file this is; `name` stands in errors.

    Raises:
        CheckpointError: nobody's that we know.
    """
    names = without_wrapper(published)
    for mark, family in MARKS:
        if mark in names or mark in published:
            return family
    shown = ", ".join(sorted(names)[:3])
    raise CheckpointError(
        f"{name}: {len(names)} tensors ({shown} ...) of no model that we know; expected a "
        "checkpoint of PaSST, M2D or EfficientAT, of PMAM or MAT-SED with Transformer-XL, or of MTL"
    )


def kind_of(published: Mapping[str, Tensor], name: str) -> Kind:
    """Whether a file of PMAM or MAT-SED was pretrained or fine-tuned; others are encoders.

    Fine-tuning leaves the masked head behind. Files of pretraining hold a classifier too, one
    that was never trained.

    Raises:
        CheckpointError: as `family_of`.
    """
    family = family_of(published, name)
    if family != "transformer4sed":
        return "weak_detector" if family == "mtl" else "encoder"
    return "masked" if MASKED_HEAD in without_wrapper(published) else "detector"


def import_published(
    published: Mapping[str, Tensor],
    name: str,
    *,
    kind: Kind | None = None,
    encoder: str | None = None,
    classes: tuple[str, ...] = (),
    reading: DetectorSettings = PLAIN,
    model: str | None = None,
) -> FrameEncoder | MaskedAudioModel | DetectorModel | WeakDetector:
    """A model of ours with the weights of a published file.

    Args:
        published: its tensors by name.
        name: what errors call it.
        kind: what it is to become; by default what it is.
        encoder: ours that takes it; by default the one of its family that it fits.
        classes: of a detector, in the order of its outputs; by default DESED's, if it has ten.
        reading: how a detector reads its backbone.
        model: which network for weak labels, where a file does not tell.

    Raises:
        CheckpointError: it cannot become that, or does not fit; lists what is missing, unexpected
            or of another shape.
    """
    family = family_of(published, name)
    wanted = kind or kind_of(published, name)
    if wanted not in get_args(Kind):
        raise CheckpointError(f"kind {wanted!r}: expected one of {', '.join(get_args(Kind))}")
    if (family == "mtl") != (wanted == "weak_detector"):
        raise CheckpointError(f"{name}: a file of {family}, which cannot become a {wanted}")
    if family == "mtl":
        return import_mtl(published, name, model=model, classes=classes)
    if family == "transformer4sed":
        if wanted == "masked":
            return import_masked(published, name)
        if wanted == "detector":
            return import_detector(
                published, classes or default_classes(published, name), name, reading
            )
        return import_backbone(published, name).encoder
    if wanted != "encoder":
        raise CheckpointError(
            f"{name}: a file of {family}, which is an encoder; it cannot become a {wanted}"
        )
    settings = EncoderSettings(name=encoder or encoder_name(published, family, name))
    made = build_encoder(settings)
    tensors = published if family == "m2d" else without_wrapper(published)
    load_published(made, dict(tensors), name)
    return made.eval()


def encoder_name(published: Mapping[str, Tensor], family: Family, name: str) -> str:
    """Which of our encoders a file of PaSST, M2D or EfficientAT is for.

    Raises:
        CheckpointError: none has its size.
    """
    if family == "passt":
        return "passt"
    if family == "m2d":
        found = encoder_for(encoder_tensors(published))
        if found is None:
            raise CheckpointError(f"{name}: an M2D of an input size that none of our encoders has")
        return found
    bias = without_wrapper(published).get("classifier.2.bias")
    width = None if bias is None else len(bias)
    if width not in WIDTHS:
        raise CheckpointError(
            f"{name}: an EfficientAT of hidden width {width}; expected one of "
            f"{', '.join(f'{w} ({n})' for w, n in WIDTHS.items())}"
        )
    return WIDTHS[width]


def default_classes(published: Mapping[str, Tensor], name: str) -> tuple[str, ...]:
    """DESED's, for a detector of ten outputs.

    Raises:
        CheckpointError: it has another number of them.
    """
    bias = without_wrapper(published).get("classifier.bias")
    if bias is None or len(bias) != len(DESED_CLASSES):
        got = "no classifier" if bias is None else f"a classifier of {len(bias)} outputs"
        raise CheckpointError(
            f"{name}: {got}; name its classes in order, --classes A B C ... (by default the "
            f"{len(DESED_CLASSES)} of DESED)"
        )
    return DESED_CLASSES
