"""The commands tag and classify: AudioSet tags, and events and scenes by the user's words."""

import contextlib
import logging
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from tyro.conf import Positional

from cluster.outputs import check_job_outputs
from pipelines.cli.types import Flag, Flat
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.files.inputs import WEIGHTS, checked
from pipelines.runtime.files.urls import store
from pipelines.runtime.identity import overlaid
from pipelines.runtime.lines import print_result
from pipelines.runtime.tables import print_rows
from pipelines.stages.tag.settings import TaggerSettings
from pmam.tagging.settings import (
    DEFAULT_MODEL,
    PRESETS,
    EventRule,
    SceneRule,
    TagSettings,
    WordSettings,
    words_of,
)

if TYPE_CHECKING:
    from pipelines.stages.tag.results import TagSet

Files = Positional[Annotated[tuple[str, ...], tyro.conf.arg(metavar="FILE...")]]
OnError = Literal["fail", "skip"] | None
log = logging.getLogger("pmam")


def tag(
    files: Files,
    tagger: Annotated[TaggerSettings, Flat] = TaggerSettings(),
    settings: Annotated[TagSettings, Flat] = TagSettings(),
    format: Literal["tsv", "json"] = "tsv",
    output_dir: str | None = None,
    files_from: str | None = None,
    on_error: OnError = None,
    address: str | None = None,
    fresh: Flag = False,
) -> None:
    """Tell AudioSet tags of windows of recordings.

    The tags go to standard output. With --output-dir they are in OUT/tags.tsv or tags.json, and the
    probabilities of all tags in OUT/tags-WINDOW: files of frame scores, one for each shard, from
    which the same command goes on where a killed one was. Status 1 tells that files were skipped.

    Args:
        files: Audio files, folders, patterns ('day*/**.wav'), URLs, or packed datasets.
        tagger: Tagger and weights.
        settings: Windows, and which tags count.
        format: Format of the tags.
        output_dir: Folder or URL that gets tags and frame scores instead of standard output; for
            more than 16 recordings by default one below runs/.
        files_from: Text with a file or URL a line.
        on_error: What to do at an unreadable file: fail, or skip it and go on; by default skip
            where files were found in folders, patterns, lists or datasets.
        address: Address of a Ray cluster, for many files.
        fresh: Delete what is there and start over, instead of keeping it or going on.
    """
    _begin(files, files_from, output_dir, tagger)
    from pipelines.inference.audio_inputs import audio_inputs

    inputs = audio_inputs(files, on_error, files_from)  # says what is wrong, before models load
    from pipelines.stages.tag.place import folder_for, tags_of
    from pipelines.stages.tag.results import tag_json, tag_table

    with folder_for(inputs, output_dir) as folder:
        found = tags_of(
            inputs, folder, tagger, settings, on_error=on_error, address=address, fresh=fresh
        )
        _tell_short([found], settings)
        pieces = (tag_table if format == "tsv" else tag_json)(found, settings)
        if output_dir is None:
            _to_stdout(pieces)
        else:
            store(folder).write(f"tags.{format}", b"".join(pieces))
            print_result(folder)
    _end(found.skipped, folder if output_dir is not None else None)


def classify(
    files: Files,
    events: str | None = None,
    scenes: str | None = None,
    preset: Literal["tmrl-published", "tmrl-published-older"] | None = None,
    tagger: Annotated[TaggerSettings, Flat] = TaggerSettings(),
    settings: Annotated[TagSettings, Flat] = TagSettings(),
    event_rule: EventRule = EventRule(),
    scene_rule: SceneRule = SceneRule(),
    sentences: str = DEFAULT_MODEL,
    labels: str | None = None,
    scene_labels: str | None = None,
    format: Literal["table", "json"] = "table",
    output_dir: str | None = None,
    files_from: str | None = None,
    on_error: OnError = None,
    address: str | None = None,
    fresh: Flag = False,
) -> None:
    """Find events and scenes by your own words, without training (TMRL).

    A tagger tells AudioSet tags of windows, and a sentence model which tags mean your words. With
    --output-dir, OUT gets events.tsv, scenes.tsv, results.json, words.json (which tags mean which
    word) and, for clips of a packed dataset with labels, numbers.json and figures. Other words over
    the same recordings use the same tags again.

    Args:
        files: Audio files, folders, patterns ('day*/**.wav'), URLs, or packed datasets.
        events: Words for events, with commas between: 'baby crying, gun shot'.
        scenes: Words for scenes, with commas between: 'beach, bus, city center'.
        preset: All settings as the published code has them, with what is wrong in it; what else is
            given on the command line counts more.
        tagger: Tagger and weights.
        settings: Windows, and which tags count.
        event_rule: Which tags mean a word.
        scene_rule: How tags become scenes.
        sentences: Sentence model: path of its folder, or its name, which is looked up in Hugging
            Face's cache and else downloaded (HF_HUB_OFFLINE=1: not).
        labels: The dataset's own label for each word of --events, with commas between; by default
            the label of the same letters.
        scene_labels: The dataset's own scene for each word of --scenes; as --labels.
        format: Format on standard output.
        output_dir: Folder or URL that gets all results; for more than 16 recordings tags are kept
            below runs/ by default.
        files_from: Text with a file or URL a line.
        on_error: What to do at an unreadable file: fail, or skip it and go on; by default skip
            where files were found in folders, patterns, lists or datasets.
        address: Address of a Ray cluster, for many files.
        fresh: Delete tags that are there and tag again.
    """
    given = WordSettings(tags=settings, events=event_rule, scenes=scene_rule)
    rules = given if preset is None else overlaid(PRESETS[preset], given)
    of_events = words_of(events, "--events") if events is not None else ()
    of_scenes = words_of(scenes, "--scenes") if scenes is not None else ()
    if not of_events and not of_scenes:
        raise PipelineError("no words: give --events, --scenes or both, with commas between")
    own = _each(labels, "--labels"), _each(scene_labels, "--scene-labels")
    _begin(files, files_from, output_dir, tagger)
    from pipelines.inference.audio_inputs import audio_inputs

    inputs = audio_inputs(files, on_error, files_from)
    from pipelines.stages.tag.place import folder_for, tags_of
    from pipelines.stages.tag.tagger import tag_names
    from pipelines.stages.tag.words import Classifier, Remembering, window_lengths
    from pmam.tagging.sentences import SentenceModel

    # Words that mean nothing show here, before anything is tagged.
    model = Remembering(SentenceModel(sentences))
    classifier = Classifier(model, tag_names(tagger), of_events, of_scenes, rules)
    with folder_for(inputs, output_dir) as folder:
        at = {
            length: tags_of(
                inputs,
                folder,
                tagger,
                replace(rules.tags, window_s=length),
                on_error=on_error,
                address=address,
                fresh=fresh,
            )
            for length in window_lengths(of_events, of_scenes, rules)
        }
        _tell_short(list(at.values()), rules.tags)
        found = list(classifier.classified(at))
    from pipelines.stages.tag import report

    numbers, figures = report.compared(found, of_events, of_scenes, *own)
    if output_dir is None:
        if format == "json":
            _to_stdout([report.results_json(found)])
        else:
            _to_stdout(report.tables(found, of_events, of_scenes))
    else:
        report.write_all(folder, found, classifier.meanings(), numbers, figures, rules)
        print_result(folder)
    _tell(classifier.meanings(), numbers)
    _end(next(iter(at.values())).skipped, folder if output_dir is not None else None)


def attention(
    files: Files,
    output_dir: str,
    weights: str = "m2d_vit_base-80x608p16x16-221006-mr7",
    start_s: float = 0.0,
    block: int = -1,
) -> None:
    """Draw where M2D looks in recordings: the attention that each patch of the log-mel gets.

    A picture a recording, OUT/0001-NAME.png, of the first window from --start-s on.

    Args:
        files: Audio files, folders, patterns ('day*/**.wav'), URLs, or packed datasets.
        output_dir: Folder or URL of the pictures.
        weights: Weights of M2D, with or without a head: name, path or URL.
        start_s: Second of the recordings at which the window begins.
        block: Block of the transformer whose attention is drawn, from 0 on; -1 is the last.
    """
    if start_s < 0:
        raise PipelineError(f"--start-s {start_s:g}: expected 0 or more")
    _begin(files, None, output_dir, TaggerSettings(encoder="m2d", weights=weights))
    from pathlib import PurePosixPath

    from pipelines.inference.audio_inputs import audio_inputs

    inputs = audio_inputs(files)
    from pipelines.stages.tag.attention import attention_figure, load_m2d
    from pipelines.stages.tag.report import png

    model, place = load_m2d(weights), store(output_dir)
    for number, audio in enumerate(inputs.audio, 1):
        name = f"{number:04d}-{PurePosixPath(audio.name).stem}.png"
        place.write(name, png(attention_figure(model, audio, start_s, block)))
    print_result(output_dir)


def _begin(
    files: Sequence[str], files_from: str | None, output_dir: str | None, tagger: TaggerSettings
) -> None:
    """Refuse early what needs no model to be refused."""
    if not files and files_from is None:
        raise PipelineError("no files: give audio files, folders, URLs or packed datasets")
    check_job_outputs((output_dir,) if output_dir else ())
    checked((WEIGHTS, tagger.weights))


def _each(text: str | None, option: str) -> tuple[str, ...]:
    """Names with commas between, one for each word; the same one may come twice."""
    names = tuple(part.strip() for part in text.split(",")) if text is not None else ()
    if not all(names):
        raise PipelineError(f"{option} {text!r}: got an empty name; expected one for each word")
    return names


def _to_stdout(pieces: Iterable[bytes]) -> None:
    sys.stdout.flush()
    binary = getattr(sys.stdout, "buffer", None)
    for piece in pieces:
        if binary is None:
            sys.stdout.write(piece.decode())
        else:
            binary.write(piece)
    sys.stdout.flush()


def _tell_short(found: Sequence["TagSet"], settings: TagSettings) -> None:
    for each in found:
        if each.short:
            log.warning(
                "%d of %d recordings are shorter than a window of %g s: they are tagged whole, "
                "repeated up to %g s where they are shorter than that",
                *(each.short, len(each.recordings), each.grid.window_s, settings.least_s),
            )


def _tell(meanings: Sequence[dict[str, Any]], numbers: dict[str, Any]) -> None:
    """Which tags mean which word, and the numbers; to people, so not on standard output."""
    from pipelines.stages.tag.report import number_rows, scene_rows
    from pipelines.stages.tag.words import told_meanings

    for line in told_meanings(meanings):
        log.info("%s", line)
    if not numbers:
        return
    head, rows = number_rows(numbers)
    with contextlib.redirect_stdout(sys.stderr):
        if rows:
            print_rows("against the dataset's labels (95 % intervals over clips)", head, rows)
        if shares := scene_rows(numbers):
            print_rows("clips whose scene is among", ("", "share"), shares)


def _end(skipped: Sequence[tuple[str, str]], folder: str | None) -> None:
    """Warn of what was left out, list it in the folder, and end with status 1."""
    if folder is not None:
        from pipelines.stages.tag.report import write_skipped

        write_skipped(folder, skipped)
    for _, reason in skipped:
        log.warning("skipped %s", reason)
    if skipped:
        raise SystemExit(1)
