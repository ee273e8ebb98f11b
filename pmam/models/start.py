"""What training starts from: a checkpoint's model as a backbone, or as a detector that goes on."""

from pmam.encoders.base import FrameEncoder
from pmam.models.backbone import Backbone
from pmam.models.checkpoint import CheckpointError, Model
from pmam.models.detector import DetectorModel
from pmam.models.settings import ContextSettings, DetectorSettings, ModelSettings
from pmam.weak_labels.detector import WeakDetector


def start_backbone(model: Model, context: ContextSettings, name: str) -> Backbone:
    """The backbone to train on: a trained model's own, or a new context over an encoder.

    `name` is what errors call the model's checkpoint.

    Raises:
        CheckpointError: a trained model whose context network has another size than asked, or one
            without a backbone.
    """
    if isinstance(model, WeakDetector):
        raise CheckpointError(
            f"{name}: a network for weak labels ({model.settings.model}), which has no backbone to "
            "train on; expected an encoder, a pretrained model or a detector of `pmam finetune`"
        )
    if isinstance(model, FrameEncoder):
        backbone = Backbone(ModelSettings(encoder=model.settings, context=context))
        backbone.encoder.load_state_dict(model.state_dict())
        return backbone
    if model.backbone.settings.context != context:
        raise CheckpointError(
            f"{name}: has {model.backbone.settings.context}, asked for {context}; "
            "give the same settings of the context network to both stages"
        )
    return model.backbone


def start_detector(
    model: Model,
    context: ContextSettings,
    classes: tuple[str, ...],
    reading: DetectorSettings,
    name: str,
) -> DetectorModel:
    """The detector to train on: as `start_backbone`, with the heads of a detector that goes on.

    A detector of other classes, or of the same in another order, gets new heads.
    """
    detector = DetectorModel(start_backbone(model, context, name), classes, reading)
    if isinstance(model, DetectorModel) and model.classes == classes:
        detector.load_state_dict(model.state_dict())
    return detector
