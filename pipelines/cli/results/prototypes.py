"""What each prototype of a fit is: as table, JSON, and a page to see and hear."""

import json
import logging
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from tyro.conf import FlagCreatePairsOff, Positional

from cluster.storage.urls import absolute
from pipelines.runtime.errors import PipelineError
from pipelines.runtime.files.inputs import DATASET, PROTOTYPES, STAGE, WEIGHTS, checked
from pipelines.runtime.files.urls import join, open_dataset, read_prototypes, store
from pipelines.runtime.lines import print_result
from pipelines.runtime.tables import output
from pipelines.runtime.workers.reach import joined
from pipelines.stages.prototypes.settings import SegmentSettings
from pipelines.stages.tag.settings import TaggerSettings
from pmam.tagging.settings import DEFAULT_MODEL, EventRule, words_of

if TYPE_CHECKING:
    from pipelines.stages.prototypes.survey import Survey

JSON, PAGE, SURVEY = "prototypes.json", "prototypes.html", "survey"
log = logging.getLogger("pmam")


def prototypes(
    fit: Positional[Annotated[str, tyro.conf.arg(metavar="FIT")]],
    dataset: str,
    out: str,
    posteriors: str | None = None,
    embeddings: str | None = None,
    settings: Annotated[SegmentSettings, tyro.conf.arg(name="")] = SegmentSettings(),
    sounds: int = 5,
    page_mb: float = 20.0,
    words: str | None = None,
    tagger: TaggerSettings = TaggerSettings(),
    sentences: str = DEFAULT_MODEL,
    address: str | None = None,
    fresh: FlagCreatePairsOff[bool] = False,
) -> None:
    """Tell what each prototype is: how often it occurs, which labels it has, how it sounds.

    Writes OUT/prototypes.json, and OUT/prototypes.html: one file that holds the spectrogram and the
    sound of segments of each prototype, those with its greatest mean posterior. Where clips have
    labels, both tell how prototypes and labels overlap: the normalised mutual information (1: one
    tells the other, 0: nothing), and the purity (the share of frames whose class is the one most
    frequent in their prototype).

    Posteriors are those that `pmam label` wrote, or are computed from --embeddings.

    Args:
        fit: Folder of the prototypes, as `pmam fit` wrote it.
        dataset: Folder of the dataset that was labelled, or of other labels over its audio.
        out: Folder of the page and of prototypes.json.
        posteriors: Folder of the posteriors, by `pmam label`; by default RUN/label-1 of RUN/fit-1.
        embeddings: Folder of embeddings to compute posteriors from instead.
        settings: Which segments stand for a prototype.
        sounds: Number of segments of each prototype that can be heard in the page, of the
            --segments that are listed.
        page_mb: Largest size of the page; sounds beyond it are left out, the last of each prototype
            first.
        words: Words to name prototypes by, with commas between: 'dog, rain, car horn'. A tagger
            listens to the segments, and each prototype gets its three nearest words.
        tagger: Tagger that listens.
        sentences: Sentence model that tells which tags mean a word: path of its folder, or name.
        address: Address of a Ray cluster; by default Ray runs on this machine.
        fresh: Read all posteriors again.
    """
    if posteriors and embeddings:
        raise PipelineError("--posteriors and --embeddings: expected one of them")
    if sounds < 0 or page_mb <= 0:
        raise PipelineError(
            f"--sounds {sounds} --page-mb {page_mb}: expected 0 or more, and above 0"
        )
    fit, dataset = absolute(fit), absolute(dataset)
    listening = words_of(words, "--words") if words is not None else ()
    checked((WEIGHTS, tagger.weights if listening else None))
    # Without an address, Ray starts where there is something to read, and not before.
    reads = checked((PROTOTYPES, fit), (DATASET, dataset), (STAGE, posteriors), (STAGE, embeddings))
    with joined(address, reads=reads, writes=(out,)):
        from pipelines.stages.prototypes.survey import survey, survey_of

        url = survey(
            fit,
            dataset,
            join(absolute(out), SURVEY),
            settings,
            posteriors=posteriors,
            embeddings=embeddings,
            fresh=fresh,
        )
    surveyed = survey_of(url, settings)
    named = _named(dataset, surveyed, listening, tagger, sentences) if listening else {}
    found = _found(fit, dataset, absolute(out), surveyed, (sounds, page_mb), named)
    _print(found)
    print_result(join(absolute(out), PAGE))


def _named(
    dataset_url: str,
    surveyed: "Survey",
    words: tuple[str, ...],
    tagger: TaggerSettings,
    sentences: str,
) -> dict[int, list[dict[str, Any]]]:
    """The nearest words of each prototype, by its number."""
    from pipelines.stages.prototypes.labels import rows_of
    from pipelines.stages.tag.segments import SegmentWords
    from pmam.tagging.sentences import SentenceModel

    dataset, best = open_dataset(dataset_url), surveyed.top.best()
    rows = {row.key: row for row in rows_of(dataset, {s.key for of in best for s in of})}
    naming = SegmentWords(dataset, tagger, SentenceModel(sentences), words, EventRule())
    return {
        z: naming.nearest([(rows[s.key], s.start_s, s.stop_s) for s in of])
        for z, of in enumerate(best)
    }


def _found(
    fit: str,
    dataset_url: str,
    out: str,
    surveyed: "Survey",
    bounds: tuple[int, float],
    named: dict[int, list[dict[str, Any]]],
) -> dict[str, Any]:
    from pipelines.stages.prototypes.excerpts import excerpts
    from pipelines.stages.prototypes.labels import rows_of
    from pipelines.stages.prototypes.page import page
    from pipelines.stages.prototypes.report import described
    from pmam.prototypes.usage import Segment

    dataset = open_dataset(dataset_url)
    keys = {segment.key for segments in surveyed.top.best() for segment in segments}
    rows = {row.key: row for row in rows_of(dataset, keys)}
    urls = {"fit": fit, "dataset": dataset_url}
    found = urls | described(surveyed, read_prototypes(fit), rows)
    for of in found["of_prototypes"] if named else ():
        of["words"] = named[of["prototype"]]
    text = json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False)
    store(out).write(JSON, text.encode())

    fields = Segment.__dataclass_fields__
    top = [
        [Segment(**{name: s[name] for name in fields}) for s in of["segments"]]
        for of in found["of_prototypes"]
    ]
    sounds, page_mb = bounds
    room = int(page_mb * 1e6) - len(text)
    cut = excerpts(dataset, top, sounds, room)
    html = page(found, dataset.manifest.name, cut).encode()
    store(out).write(PAGE, html)
    if cut.left_out:
        log.warning("page: %d sounds left out, --page-mb %g holds no more", cut.left_out, page_mb)
    for reason in dict.fromkeys(cut.failed.values()):
        log.warning("page: %s", reason)
    log.info("page: %.1f MB, %d segments to hear", len(html) / 1e6, len(cut.made))
    return found


def _print(found: dict[str, Any]) -> None:
    from rich.table import Table

    from pipelines.stages.prototypes.report import level_of, share_text, words_text

    console, level = output(), level_of(found)
    table = Table(
        title=f"{found['prototypes']} prototypes ({found['kind']}), {found['frames']} frames of "
        f"{found['clips']} clips",
        title_justify="left",
    )
    for name in ("prototype", "frames", "share", "mean post.", "max post."):
        table.add_column(name, justify="right")
    table.add_column("tags of its clips" if level == "weak" else "labels")
    words = any("words" in of for of in found["of_prototypes"])
    if words:
        table.add_column("nearest words")
    for of in found["of_prototypes"]:
        greatest = of["mean_max_posterior"]
        table.add_row(
            str(of["prototype"]),
            str(of["frames"]),
            f"{of['share']:.2%}",
            f"{of['mean_posterior']:.4f}",
            "-" if greatest is None else f"{greatest:.3f}",
            share_text(of["labels"].get(level, []), 2).replace("[", r"\["),
            *((words_text(of["words"]).replace("[", r"\["),) if words else ()),
        )
    console.print(table)
    console.print(
        f"in use {found['in_use']} of {found['prototypes']}, mean maximal posterior "
        f"{found['mean_max_posterior']:.3f}, mean entropy {found['mean_entropy']:.3f} of at most "
        f"{found['greatest_entropy']:.3f} nats"
    )
    for name, overlap in found["overlap"].items():
        _print_overlap(console, name, overlap, classes=name == level)
    if not found["overlap"]:
        console.print("no labels to compare with: the clips have none")


def _print_overlap(console: Any, name: str, overlap: dict[str, Any], *, classes: bool) -> None:
    from rich.table import Table

    what = {"strong": "events", "weak": "tags of whole clips"}[name]
    active = overlap["mutual_information_active"]
    console.print(
        f"normalised mutual information with {what}: "
        f"{'-' if active is None else f'{active:.3f}'} where any sounds, "
        f"{overlap['mutual_information']:.3f} in all {overlap['frames']} labelled frames; "
        f"purity {overlap['purity']:.3f}"
    )
    if not classes:
        return
    table = Table(title=f"classes ({what})", title_justify="left")
    table.add_column("class")
    for column in (
        "frames",
        "prototype",
        "share of the class's frames",
        "share of the prototype's frames",
    ):
        table.add_column(column, justify="right")
    for of in overlap["classes"]:
        table.add_row(
            of["label"].replace("[", r"\["),
            str(of["frames"]),
            str(of["cluster"]),
            f"{of['recall']:.1%}",
            f"{of['precision']:.1%}",
        )
    console.print(table)
