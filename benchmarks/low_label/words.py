"""Labels that words say of training clips, as the product makes them, and shuffled ones."""

import csv
import io
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from low_label.data import Clips, Data
from low_label.labels import table_text
from low_label.places import Places

from pipelines.inference.audio_inputs import AudioInput
from pipelines.runtime.files.urls import join
from pipelines.stages.reindex.edit import reindex_labels
from pipelines.stages.reindex.settings import NewDataset
from pipelines.stages.tag.results import TagSet
from pipelines.stages.tag.settings import WordLabelSettings
from pipelines.stages.tag.stage import tag
from pipelines.stages.tag.word_labels import LABELS, MAPPING, word_classes, word_labels
from pipelines.stages.tag.words import Classifier, Remembering
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.tagging.sentences import SentenceModel
from pmam.tagging.settings import WordSettings
from shards.editing.settings import RelabelSettings
from shards.index import IndexRow


@dataclass(frozen=True)
class Words:
    """One choice of words and rules over the clips of a benchmark.

    Args:
        data: the soundscapes.
        places: of what is made.
        weights: of the tagger, mn04 with its head.
        settings: the words.
    """

    data: Data
    places: Places
    weights: Path
    settings: WordLabelSettings

    def dataset(self, seed: int | None = None) -> str:
        """All training clips with the words' labels; with a seed, each with another clip's."""
        rows = [
            *self.data.clips["strong"].rows,
            *self.data.clips["weak"].rows,
            *self.data.unlabelled_rows,
        ]
        classes = word_classes(self.settings, self.data.classes)
        tags = self.tags(rows)
        place = self.places.at("words", self.settings, tags)
        listed = word_labels([tags], settings=self.settings, classes=classes, **place)
        table, mapping = join(listed, LABELS), join(listed, MAPPING)
        if seed is not None:
            table = self.places.tables({"labels": _shuffled(Path(table), seed)})["labels"]
        rule = RelabelSettings(
            others="keep", unmapped="drop", subset=self.settings.kind, classes=self.data.classes
        )
        return reindex_labels(
            self.data.truth,
            rule=rule,
            settings=NewDataset(),
            tables=(table,),
            mapping=mapping,
            **self.places.at("dataset", rule, self.data.truth, table),
        )

    def tags(self, rows: list[IndexRow]) -> str:
        """The stage that tagged clips."""
        audio = [AudioInput(name=r.source_id, url=self.data.truth, key=r.key) for r in rows]
        keys = [row.key for row in rows]
        place = self.places.at("tags", self.settings.tags, self.data.truth, keys)
        return tag(
            audio, settings=self.settings.tags, encoder="mn04", weights=str(self.weights), **place
        )

    def heard(self, clips: Clips) -> EvaluationSet:
        """The words' own scores of clips, without any training: those of the windows as frames."""
        found = TagSet(self.tags(clips.rows))
        rules = WordSettings(tags=self.settings.tags, events=self.settings.rule)
        model = Remembering(SentenceModel(self.settings.sentences))
        classes = word_classes(self.settings, self.data.classes)
        classifier = Classifier(model, found.names, tuple(classes), (), rules)
        words = {name: word for word, name in classes.items()}
        frames = clips.inputs.shape[1]
        middles_s = (np.arange(frames) + 0.5) * self.data.hop_s
        keys = {row.source_id: row.key for row in clips.rows}
        scores = {}
        for each in classifier.classified({found.grid.window_s: found}):
            columns = []
            for name in self.data.classes:
                word = each.words[words[name]]
                ends_s = [
                    word.grid.cell_s(k, each.recording.end_s)[1] for k in range(len(word.heard))
                ]
                window = np.searchsorted(ends_s, middles_s, side="right")
                columns.append(word.heard[np.minimum(window, len(ends_s) - 1)])
            scores[keys[each.recording.name]] = np.stack(columns, axis=1)
        return EvaluationSet(
            scores={key: scores[key] for key in clips.keys},
            hop_s=self.data.hop_s,
            ground_truth=dict(zip(clips.keys, clips.events, strict=True)),
            durations_s=dict.fromkeys(clips.keys, self.data.duration_s),
            classes=self.data.classes,
        )


def _shuffled(table: Path, seed: int) -> str:
    """The table with the labels of each clip given to another one."""
    head, *rows = csv.reader(io.StringIO(table.read_text()), delimiter="\t")
    clips = list(dict.fromkeys(row[0] for row in rows))
    order = np.random.default_rng(seed).permutation(len(clips))
    other = {clip: clips[n] for clip, n in zip(clips, order, strict=True)}
    return table_text(head, [(other[row[0]], *row[1:]) for row in rows])


def labels_of(settings: WordLabelSettings, kind: str, threshold: float) -> WordLabelSettings:
    """The same words as labels of a kind, of tags from a probability on."""
    tags = replace(settings.tags, threshold=threshold)
    return replace(settings, kind=kind, tags=tags)  # type: ignore[arg-type]
