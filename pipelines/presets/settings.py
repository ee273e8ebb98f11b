"""What a run is made of: one object that decides all of its numbers."""

from dataclasses import dataclass, field
from typing import Literal

from pipelines.runtime.errors import PipelineError
from pipelines.stages.evaluate.settings import EvaluateSettings
from pipelines.stages.fit.settings import FitSettings
from pipelines.stages.settings import (
    EmbedSettings,
    FinetuneSettings,
    LabelSettings,
    PackSettings,
    PretrainSettings,
    ScoreSettings,
    SoundscapesSettings,
)
from pipelines.stages.tag.settings import WordLabelSettings
from pmam.encoders.settings import EncoderSettings


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """A whole run: everything that decides its numbers."""

    # Folder or URL of your recordings and label tables, or of the sounds that soundscapes are made
    # of; the demo synthesises its own.
    data: str | None = None
    # Packed dataset, instead of recordings.
    dataset: str | None = None
    # Soundscapes that are mixed of the recordings first; by default they are packed as they are.
    soundscapes: SoundscapesSettings | None = None
    # How the recordings become a dataset.
    pack: PackSettings = field(default_factory=PackSettings)
    # Words that label the training clips, instead of people.
    words: WordLabelSettings | None = None
    # Encoder from sound to frame features.
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    # Number of times that prototypes are fitted and a model is pretrained on them; 0 trains on
    # labels alone.
    iterations: int = 2
    # Frame embeddings that prototypes are fitted to.
    embed: EmbedSettings = field(default_factory=EmbedSettings)
    # Layer of the pretrained model that later iterations embed.
    later_layer: str = "context"
    # Start of later iterations: continue with the model of the one before, or anew (as HuBERT).
    later_start: Literal["continue", "anew"] = "continue"
    # Read the encoder's inputs that the first iteration stored, instead of audio; for encoders
    # whose weights are frozen.
    cached_inputs: bool = False
    # Number and kind of prototypes.
    fit: FitSettings = field(default_factory=FitSettings)
    # Posteriors of the prototypes, which pretraining predicts.
    label: LabelSettings = field(default_factory=LabelSettings)
    # Prototypes for the first iteration, as `pmam import` or an earlier run wrote them; with
    # --posteriors.
    prototypes: str | None = None
    # Posteriors of these prototypes, as `pmam import` or an earlier run wrote them.
    posteriors: str | None = None
    # Pretraining of the masked audio model.
    pretrain: PretrainSettings = field(default_factory=PretrainSettings)
    # Fine-tuning before the main one, as PMAM trains the heads alone first; by default none.
    finetune_first: FinetuneSettings | None = None
    # Fine-tuning of the detector on labelled clips.
    finetune: FinetuneSettings = field(default_factory=FinetuneSettings)
    # Also train a detector on the labels alone, for as many steps, to compare with.
    baseline: bool = True
    # Frame scores of the detector.
    score: ScoreSettings = field(default_factory=ScoreSettings)
    # Comparison with strong labels.
    evaluate: EvaluateSettings = field(default_factory=EvaluateSettings)

    def __post_init__(self) -> None:
        if (self.prototypes is None) != (self.posteriors is None):
            raise PipelineError(
                f"prototypes {self.prototypes}, posteriors {self.posteriors}: expected both or "
                "neither; posteriors are those of the prototypes"
            )
        if self.soundscapes is not None and self.soundscapes.shards and self.pack != PackSettings():
            raise PipelineError(
                "soundscapes.shards writes the dataset, which settings of pack do not change; set "
                "those of soundscapes, or soundscapes.shards to false"
            )
        if self.data is not None and self.dataset is not None:
            raise PipelineError(
                f"data {self.data} and dataset {self.dataset}: expected recordings or a packed "
                "dataset, not both"
            )
