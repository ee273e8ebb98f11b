"""A run's dataset whose training clips are labelled by words, not by people (TMRL's way)."""

import logging
from dataclasses import replace

from pipelines.inference.audio_inputs import AudioInput
from pipelines.presets.settings import RunSettings
from pipelines.runtime.declared import is_told_only
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.files.run_folder import RunFolder
from pipelines.runtime.files.urls import join, open_dataset, store
from pipelines.runtime.stage import DONE, read_record
from pipelines.stages.reindex.edit import reindex_labels
from pipelines.stages.reindex.settings import NewDataset
from pipelines.stages.tag.settings import TaggerSettings, WordLabelSettings
from pipelines.stages.tag.stage import tag
from pipelines.stages.tag.tagger import named_classes, tag_names, weights_place
from pipelines.stages.tag.word_labels import (
    LABELS,
    MAPPING,
    word_classes,
    word_classifier,
    word_labels,
)
from pipelines.stages.tag.words import told_meanings, window_lengths
from pmam.tagging.settings import WordSettings
from shards.clip import TRAINING_SUBSETS
from shards.editing.settings import RelabelSettings

log = logging.getLogger("pmam")


def word_labelled(settings: RunSettings, dataset: str, folder: RunFolder) -> str:
    """The dataset with its training clips labelled by words; its URL.

    All training clips are tagged, and listed with what the words say of them, whatever labels they
    have; other clips keep those of their labels that are classes.
    """
    words = settings.words
    assert words is not None
    rules = WordSettings(tags=words.tags, events=words.rule)
    lengths = window_lengths(words.words(), (), rules)
    packed = None if is_told_only() else open_dataset(dataset)
    known = () if packed is None else packed.manifest.classes or ()
    classes = word_classes(words, known)
    tagger = _tagger(settings, words)
    audio = [
        AudioInput(name=row.source_id, url=dataset, key=row.key)
        for row in (packed.rows if packed is not None else ())
        if row.subset in TRAINING_SUBSETS
    ]
    if packed is not None and not audio:
        raise PipelineError(
            f"{dataset}: no training clips to label; expected {', '.join(TRAINING_SUBSETS)}"
        )
    place = folder.at("word-labels")
    if packed is not None and read_record(store(place["out"]), DONE) is None:
        # What words and models there are shows here, not after hours of tagging.
        for line in told_meanings(word_classifier(words, tag_names(tagger)).meanings()):
            log.info("%s", line)
    tags = [
        tag(
            audio,
            settings=replace(words.tags, window_s=length),
            encoder=tagger.encoder,
            weights="" if packed is None else weights_place(tagger),
            classes=() if packed is None else named_classes(tagger),
            **folder.at(f"tags-{length:g}"),
        )
        for length in lengths
    ]
    listed = word_labels(tags, settings=words, classes=classes, **place)
    rule = RelabelSettings(
        others="keep", unmapped="drop", subset=words.kind, classes=tuple(classes.values())
    )
    return reindex_labels(
        dataset,
        rule=rule,
        settings=NewDataset(),
        tables=(join(listed, LABELS),),
        mapping=join(listed, MAPPING),
        **folder.at("relabel", "dataset-words"),
    )


def check_words(settings: RunSettings) -> None:
    """Refuse words that cannot label what is trained on, before anything is tagged.

    Raises:
        PipelineError: no words, or a batch of clips that the words leave none of.
    """
    words = settings.words
    if words is None:
        return
    word_classes(words, ())
    tunings = {"finetune_first": settings.finetune_first, "finetune": settings.finetune}
    for name, tuning in tunings.items():
        if tuning is not None and set(tuning.training.batch) != {words.kind}:
            told = ", ".join(f"{n} {subset}" for subset, n in tuning.training.batch.items())
            raise PipelineError(
                f"{name}.training.batch of {told}: words make all training clips {words.kind} "
                f"ones; expected a number of these alone"
            )


def _tagger(settings: RunSettings, words: WordLabelSettings) -> TaggerSettings:
    """The tagger, with the encoder's weights where it is the same network and names none."""
    tagger = words.tagger
    if tagger.weights is None and tagger.encoder == settings.encoder.name:
        return replace(tagger, weights=settings.encoder.weights)
    return tagger
