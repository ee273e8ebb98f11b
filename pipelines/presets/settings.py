"""What a run is made of: one object that decides all of its numbers."""

from dataclasses import dataclass, field
from typing import Literal

from pipelines.stages.embed import EmbedSettings
from pipelines.stages.evaluate.stage import EvaluateSettings
from pipelines.stages.finetune import FinetuneSettings
from pipelines.stages.fit.settings import FitSettings
from pipelines.stages.label import LabelSettings
from pipelines.stages.pack.stage import PackSettings
from pipelines.stages.pretrain import PretrainSettings
from pipelines.stages.score import ScoreSettings
from pipelines.stages.soundscapes import SoundscapesSettings
from pmam.encoders.settings import EncoderSettings


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """A whole run: everything that decides its numbers."""

    # Where the recordings are: raw audio to pack, or what soundscapes are made of; None: the
    # demo synthesises its own.
    data: str | None = None
    # A dataset that is packed already, instead of recordings.
    dataset: str | None = None
    # Make soundscapes out of the recordings first; None: pack the recordings as they are.
    soundscapes: SoundscapesSettings | None = None
    pack: PackSettings = field(default_factory=PackSettings)
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    # How often prototypes are fitted and a model is pretrained on them; 0: labels alone.
    iterations: int = 2
    embed: EmbedSettings = field(default_factory=EmbedSettings)
    # The layer of the pretrained model that later iterations embed.
    later_layer: str = "context"
    # A later iteration goes on with the model of the one before, or starts anew (as HuBERT).
    later_start: Literal["continue", "anew"] = "continue"
    # Training reads the encoder's inputs that the first iteration stored, instead of audio:
    # for encoders whose own weights are frozen.
    cached_inputs: bool = False
    fit: FitSettings = field(default_factory=FitSettings)
    label: LabelSettings = field(default_factory=LabelSettings)
    # Prototypes and posteriors for the first iteration, instead of fitting and labelling: what
    # `pmam import` wrote, or an earlier run. Both or neither.
    prototypes: str | None = None
    posteriors: str | None = None
    pretrain: PretrainSettings = field(default_factory=PretrainSettings)
    # First fine-tune in this way: PMAM trains the heads alone before all. None: in one stage.
    finetune_first: FinetuneSettings | None = None
    finetune: FinetuneSettings = field(default_factory=FinetuneSettings)
    # Also train a detector on the labels alone, for as many steps, and set it beside.
    baseline: bool = True
    score: ScoreSettings = field(default_factory=ScoreSettings)
    evaluate: EvaluateSettings = field(default_factory=EvaluateSettings)

    def __post_init__(self) -> None:
        if (self.prototypes is None) != (self.posteriors is None):
            raise ValueError(
                f"prototypes {self.prototypes}, posteriors {self.posteriors}: expected both or "
                "neither; posteriors are those of the prototypes"
            )
        if self.data is not None and self.dataset is not None:
            raise ValueError(
                f"data {self.data} and dataset {self.dataset}: expected recordings or a packed "
                "dataset, not both"
            )
