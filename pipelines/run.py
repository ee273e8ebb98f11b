"""run: the whole story, from recordings to a scored detector. Read this file first.

    source --pack--> shards + index --embed--> sampled frame embeddings --fit--> prototypes
        prototypes --label--> frame posteriors --pretrain--> encoder
        (encoder --embed--> ... again, `iterations` times)
    encoder + few labels --finetune--> detector --score--> frame scores --evaluate--> numbers

Every arrow is a stage that owns a folder of the run. A stage whose inputs, settings and algorithm
version are unchanged is skipped; one that was killed goes on from what is whole.
"""

import logging
from dataclasses import dataclass, replace
from typing import Any

from cluster.session import lazy_session
from cluster.storage.urls import absolute
from pipelines.inference.sample_rate_check import noting_once
from pipelines.presets.settings import RunSettings
from pipelines.presets.source import packed
from pipelines.presets.validate import check_classes, long_crops
from pipelines.presets.word_labels import word_labelled
from pipelines.runtime.declared import is_told_only, told_only
from pipelines.runtime.files.run_folder import RunFolder
from pipelines.runtime.files.urls import join, open_dataset
from pipelines.runtime.redo import from_stage, redoing
from pipelines.stages.embed import ENCODER, embed
from pipelines.stages.evaluate.stage import evaluate, has_truth, results_of
from pipelines.stages.finetune import CHECKPOINT as DETECTOR
from pipelines.stages.finetune import finetune, labels_alone
from pipelines.stages.fit.stage import fit
from pipelines.stages.label import label
from pipelines.stages.pretrain import CHECKPOINT as PRETRAINED
from pipelines.stages.pretrain import pretrain
from pipelines.stages.score import score
from pipelines.stages.settings import EmbedSettings
from pmam.objectives.settings import AuxiliarySettings

log = logging.getLogger("pmam")


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """Where the detector is, and what it is worth."""

    detector: str
    numbers: dict[str, Any]  # by subset, metric: value and values per class
    baseline: dict[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class Encoders:
    """What a detector starts from."""

    plain: str  # checkpoint of the encoder as it came, calibrated
    pretrained: str  # checkpoint after the last iteration; without iterations the plain one
    cached_inputs: str | None  # what training reads instead of audio
    # Of the last iteration: what it predicts.
    prototypes: str | None = None
    posteriors: str | None = None


def run(
    settings: RunSettings, out: str, *, address: str | None = None, redo: str | None = None
) -> RunResult:
    """Run all stages in the folder `out`; what is done already is kept.

    Args:
        settings: of the run.
        out: the run's folder.
        address: of a Ray cluster; None: this machine.
        redo: a stage that is done again, with all behind it; the old ones are set aside. A run
            that was killed in this goes on with it.

    Raises:
        PipelineError: settings that do not fit, or a stage to redo that the run does not have.
    """
    out = absolute(out)
    folders = stage_folders(settings)
    again = [] if redo is None else from_stage(list(folders), redo)
    first, behind = again[0] if again else None, [folders[stage] for stage in again]
    with redoing(out, first, behind), lazy_session(address), noting_once():
        return story(settings, out)


def stages(settings: RunSettings) -> list[str]:
    """The names of the stages of a run, in their order; nothing is done."""
    return list(stage_folders(settings))


def stage_folders(settings: RunSettings) -> dict[str, str]:
    """The folder in the run of each stage, by its name, in the order of the story."""
    with told_only() as told:
        story(settings, "run")
    return {name: url.rpartition("/")[2] for name, url in told.items()}


def story(settings: RunSettings, out: str) -> RunResult:
    """All stages of a run, each after those that it reads from."""
    folder = RunFolder(out)
    dataset = settings.dataset or packed(settings, folder)
    if settings.words is not None:
        dataset = word_labelled(settings, dataset, folder)
    if not is_told_only():
        packed_set = open_dataset(dataset)
        check_classes(settings, packed_set.manifest.classes or ())
        for note in long_crops(settings, packed_set.rows):
            log.warning("%s", note)
    encoders = pretrained(settings, dataset, folder)
    detector, numbers = tuned(settings, dataset, folder, encoders.pretrained, encoders)
    baseline = None
    if settings.baseline and settings.iterations > 0:
        _, baseline = tuned(settings, dataset, folder, encoders.plain, encoders, alone=True)
    return RunResult(detector=f"{detector}.safetensors", numbers=numbers, baseline=baseline)


def pretrained(settings: RunSettings, dataset: str, folder: RunFolder) -> Encoders:
    """The encoder, pretrained `iterations` times on prototypes of what it heard before."""
    # Iteration 1 embeds with the encoder as it comes; later ones with what was pretrained.
    first = embed(
        dataset, settings=_first(settings), encoder=settings.encoder, **folder.at("embed-1")
    )
    plain = start = join(first, ENCODER)
    cached = first if settings.cached_inputs else None
    before = prototypes = None  # the posteriors of the iteration before
    for n in range(1, settings.iterations + 1):
        layer = settings.embed.layer if n == 1 else settings.later_layer
        embeddings = first
        if n > 1:
            embeddings = embed(
                dataset,
                settings=replace(settings.embed, layer=layer),
                model=start,
                cached_inputs=cached,
                **folder.at(f"embed-{n}"),
            )
        prototypes, posteriors = settings.prototypes, settings.posteriors
        if n > 1 or prototypes is None or posteriors is None:
            prototypes = fit(
                dataset, embeddings, settings=settings.fit, before=before, **folder.at(f"fit-{n}")
            )
            posteriors = label(
                dataset,
                settings=replace(settings.label, layer=layer),
                checkpoint=start,
                prototypes=prototypes,
                cached_inputs=cached,
                **folder.at(f"label-{n}"),
            )
        before = posteriors
        model = pretrain(
            dataset,
            settings=settings.pretrain,
            posteriors=posteriors,
            prototypes=prototypes,
            start=start if settings.later_start == "continue" else plain,
            cached_inputs=cached,
            **folder.at(f"pretrain-{n}"),
        )
        start = join(model, PRETRAINED)
    return Encoders(
        plain=plain,
        pretrained=start,
        cached_inputs=cached,
        prototypes=prototypes,
        posteriors=before,
    )


def tuned(
    settings: RunSettings,
    dataset: str,
    folder: RunFolder,
    start: str,
    encoders: Encoders,
    *,
    alone: bool = False,
) -> tuple[str, dict[str, Any]]:
    """A detector that starts from a checkpoint, and its numbers; on labels alone if so wished."""
    arm = "-supervised" if alone else ""
    steps = {"finetune-first": settings.finetune_first, "finetune": settings.finetune}
    for name, tuning in steps.items():
        if tuning is not None:
            tuning = labels_alone(tuning) if alone else tuning
            if encoders.prototypes is None:  # no iteration: labels alone
                tuning = replace(tuning, auxiliary=AuxiliarySettings())
            predicts = tuning.auxiliary.weight > 0
            model = finetune(
                dataset,
                settings=tuning,
                start=start,
                cached_inputs=encoders.cached_inputs,
                posteriors=encoders.posteriors if predicts else None,
                prototypes=encoders.prototypes if predicts else None,
                **folder.at(name + arm),
            )
            start = join(model, DETECTOR)
    if not is_told_only() and not has_truth(dataset, settings.evaluate):
        return start, {}
    scores = score(dataset, settings=settings.score, checkpoint=start, **folder.at(f"score{arm}"))
    found = evaluate(dataset, scores, settings=settings.evaluate, **folder.at(f"evaluate{arm}"))
    return start, {} if is_told_only() else results_of(found)


def _first(settings: RunSettings) -> EmbedSettings:
    """What the first stage embeds: nothing, where nobody would read it."""
    fits = settings.iterations > 0 and settings.prototypes is None
    return settings.embed if fits or settings.cached_inputs else replace(settings.embed, subsets=())
