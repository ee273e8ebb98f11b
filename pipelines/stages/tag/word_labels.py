"""word-labels: tables that give training clips the labels that words say of them (TMRL)."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.runtime.declared import Work, stage_function
from pipelines.runtime.stage import Stage, fingerprint_of, listing_fingerprint
from pipelines.runtime.words import counted
from pipelines.stages.tag.results import TagSet
from pipelines.stages.tag.settings import TagError, WordLabelSettings
from pipelines.stages.tag.words import Classified, Classifier, Remembering
from pmam.tagging import sentences
from pmam.tagging.sentences import plain
from pmam.tagging.settings import WordSettings
from shards.annotations.delimited import line

# Raised by whoever changes what the stage computes.
ALGORITHM_VERSION = 1
LABELS, MAPPING = "labels.tsv", "classes.tsv"  # files of the stage


@dataclass(frozen=True, kw_only=True)
class _Identity:
    words: WordLabelSettings
    classes: dict[str, str]


@stage_function(ALGORITHM_VERSION)
def word_labels(
    tags: Sequence[str],
    out: str,
    settings: WordLabelSettings,
    *,
    classes: Mapping[str, str],
    name: str = "word-labels",
    fresh: bool = False,
) -> Work:
    """Write what words say of tagged clips as a table of labels; returns the URL of its folder.

    A clip in which no word is heard is listed as one without events.

    Args:
        tags: URLs of the stage `tag`, one for each length of windows.
        out: the folder of the tables.
        settings: words, and the rules by which tags mean them.
        classes: of each word, what its label is called.
        name: of the stage.
        fresh: start over.

    Raises:
        TagError: no tag means a word, or no word is heard in any clip.
    """

    def work(stage: Stage) -> dict[str, Any]:
        found = [TagSet(url) for url in tags]
        at = {each.grid.window_s: each for each in found}
        classifier = word_classifier(settings, found[0].names)
        clips, rows = Counter[str](), list[tuple[str, ...]]()
        total = silent = 0
        for each in classifier.classified(at):
            heard = dict.fromkeys(classes[event.event.label] for event in each.events)
            clips.update(heard.keys())
            total, silent = total + 1, silent + (not heard)
            rows += _rows(each, heard, classes, settings.kind)
        if silent == total:
            raise TagError(
                f"none of the words {', '.join(classes)} is heard in any of {total} clips; use "
                "others, or lower --words.tags.threshold"
            )
        head: tuple[str, ...] = ("filename", "onset", "offset", "event_label")
        if settings.kind == "weak":
            head = ("filename", "event_labels")
        stage.store.write(LABELS, _table(head, rows))
        stage.store.write(MAPPING, _table(("old", "new"), ((c, c) for c in classes.values())))
        return {
            "clips": total,
            "silent": silent,
            "clips_of": {each: clips[each] for each in classes.values()},
            "meanings": classifier.meanings(),
        }

    inputs = {f"tags {number}": fingerprint_of(url) for number, url in enumerate(tags)}
    if Path(settings.sentences).expanduser().is_dir():
        inputs["sentences"] = listing_fingerprint(str(Path(settings.sentences).expanduser()))
    identity = _Identity(words=settings, classes=dict(classes))
    return Work(do=work, settings=identity, inputs=inputs, summary=_summary)


def word_classifier(settings: WordLabelSettings, names: tuple[str, ...]) -> Classifier:
    """The words against the names of a tagger's tags.

    Raises:
        TagError: no tag means a word.
        InputError: the sentence model is not there.
    """
    model = Remembering(sentences.SentenceModel(settings.sentences))
    rules = WordSettings(tags=settings.tags, events=settings.rule)
    return Classifier(model, names, settings.words(), (), rules)


def word_classes(settings: WordLabelSettings, known: Sequence[str]) -> dict[str, str]:
    """What the label of each word is called: as asked for, as the dataset's own, or as the word.

    Args:
        settings: the words, and labels for them.
        known: the dataset's classes.

    Raises:
        TagError: not as many labels as words, or one label for two words.
    """
    words, by_letters = settings.words(), {plain(name): name for name in known}
    names = [by_letters.get(plain(word), word) for word in words]
    if settings.labels is not None:
        names = [part.strip() for part in settings.labels.split(",")]
    if len(names) != len(words) or not all(names):
        raise TagError(
            f"--words.labels {settings.labels!r}: got {len(names)} labels for {len(words)} words; "
            "expected one for each"
        )
    if doubled := [name for name, count in Counter(names).items() if count > 1]:
        raise TagError(
            f"--words.labels: {', '.join(map(repr, doubled))} is the label of several words; "
            "expected one of its own for each"
        )
    return dict(zip(words, names, strict=True))


def _rows(
    found: Classified, heard: Iterable[str], classes: Mapping[str, str], kind: str
) -> Iterator[tuple[str, ...]]:
    """The rows of a clip; a single one with empty cells where no word is heard."""
    clip = found.recording.name
    if kind == "weak":
        yield clip, ",".join(heard)
        return
    if not found.events:
        yield clip, "", "", ""
    for each in found.events:
        event = each.event
        yield clip, f"{event.onset_s:.6f}", f"{event.offset_s:.6f}", classes[event.label]


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> bytes:
    return "".join(line(row, "\t") for row in (head, *rows)).encode()


def _summary(result: Mapping[str, Any]) -> str:
    heard = result["clips"] - result["silent"]
    each = ", ".join(f"{name} in {count}" for name, count in result["clips_of"].items())
    return f"heard words in {heard} of {counted(result['clips'], 'clip')}: {each}"
