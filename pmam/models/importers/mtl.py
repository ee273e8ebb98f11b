"""Checkpoints of the MTL repository as networks for weak labels."""

from collections.abc import Mapping

from torch import Tensor

from pmam.encoders.passt.state_dict_names import without_wrapper
from pmam.errors import InputError
from pmam.models.checkpoint import CheckpointError, load_strictly
from pmam.weak_labels.detector import WeakDetector
from pmam.weak_labels.published_names import DCASE2018_CLASSES, family_of, ours, shape_of

POOLED = ("gmp", "gap", "gwrp")


def import_mtl(
    published: Mapping[str, Tensor],
    name: str,
    *,
    model: str | None = None,
    classes: tuple[str, ...] = (),
) -> WeakDetector:
    """The network with a file's weights; how its inputs are standardised, no file tells.

    Args:
        published: tensors by name.
        name: what errors call the file.
        model: gmp, gap or gwrp, whose files are the same; the others are recognised.
        classes: in the order of the outputs; by default those of DCASE 2018 task 2, if 41.

    Raises:
        CheckpointError: it is another model, none, or does not fit.
    """
    tensors = dict(without_wrapper(published))
    family = family_of(tensors)
    if family is None:
        raise CheckpointError(f"{name}: no network of the MTL repository; check the file")
    fitting = POOLED if family == "pooled" else (family,)
    chosen = model or (None if family == "pooled" else family)
    if chosen is None:
        raise CheckpointError(
            f"{name}: could be any of {', '.join(POOLED)}, which differ in nothing that is "
            "stored; say which, --model gmp"
        )
    if chosen not in fitting:
        raise CheckpointError(
            f"{name}: got a network of the kind {' or '.join(fitting)}, asked for {chosen}; leave "
            "--model out, or give the right file"
        )
    try:
        settings, outputs = shape_of(tensors, chosen)
    except (KeyError, InputError) as error:
        raise CheckpointError(f"{name}: no whole {chosen} network ({error})") from error
    named = classes or DCASE2018_CLASSES
    if len(named) != outputs:
        raise CheckpointError(
            f"{name}: {outputs} outputs and {len(named)} classes; name them in order, "
            f"--classes A B C ... (by default the {len(DCASE2018_CLASSES)} of DCASE 2018 task 2)"
        )
    made = WeakDetector(settings, named)
    load_strictly(made.network, ours(tensors), name)
    return made.eval()
