"""run: the whole story, from recordings to a scored detector. Read this file first.

    source --pack--> shards + index --embed--> sampled frame embeddings --fit--> prototypes
        prototypes --label--> frame posteriors --pretrain--> encoder
        (encoder --embed--> ... again, `iterations` times)
    encoder + few labels --finetune--> detector --score--> frame scores --evaluate--> numbers

Every arrow is a stage that owns a folder of the run. A stage whose inputs, settings and algorithm
version are unchanged is skipped; one that was killed goes on from what is whole.
"""

from dataclasses import dataclass, replace
from typing import Any

from cluster.session import session
from cluster.storage.filesystems import absolute
from pipelines.presets.settings import RunSettings
from pipelines.presets.source import prepare
from pipelines.runtime.redo import begin_redo, end_redo, from_stage, go_on
from pipelines.runtime.urls import join
from pipelines.stages.embed import ENCODER, EmbedSettings, embed
from pipelines.stages.evaluate.stage import evaluate, has_truth
from pipelines.stages.finetune import CHECKPOINT as DETECTOR
from pipelines.stages.finetune import finetune, labels_alone
from pipelines.stages.fit.stage import fit
from pipelines.stages.label import label
from pipelines.stages.pack.stage import pack
from pipelines.stages.pretrain import CHECKPOINT as PRETRAINED
from pipelines.stages.pretrain import pretrain
from pipelines.stages.score import score

FOLDERS = {"pack": "dataset"}  # of stages that are not named as their folder is


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """Where the detector is, and what it is worth."""

    detector: str
    numbers: dict[str, Any]  # by subset, metric: value and values per class
    baseline: dict[str, Any] | None


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
    if redo is None:
        go_on(out)
    else:
        again = from_stage(stages(settings), redo)
        begin_redo(out, again[0], {stage: FOLDERS.get(stage, stage) for stage in again})

    def at(stage: str) -> str:
        return join(out, stage)

    with session(address):
        dataset = settings.dataset
        if dataset is None:
            source, inputs = prepare(settings, at)
            dataset = pack(source, at(FOLDERS["pack"]), settings.pack, inputs=inputs)

        # Iteration 1 embeds with the encoder as it comes; later ones with what was pretrained.
        first = embed(
            dataset, at("embed-1"), _first(settings), encoder=settings.encoder, name="embed-1"
        )
        encoder = start = join(first, ENCODER)
        cached = first if settings.cached_inputs else None
        before = None  # the posteriors of the iteration before
        for n in range(1, settings.iterations + 1):
            layer = settings.embed.layer if n == 1 else settings.later_layer
            embeddings = first
            if n > 1:
                embeddings = embed(
                    dataset,
                    at(f"embed-{n}"),
                    replace(settings.embed, layer=layer),
                    model=start,
                    cached_inputs=cached,
                    name=f"embed-{n}",
                )
            prototypes, posteriors = settings.prototypes, settings.posteriors
            if n > 1 or prototypes is None or posteriors is None:
                prototypes = fit(
                    dataset,
                    embeddings,
                    at(f"fit-{n}"),
                    settings.fit,
                    before=before,
                    name=f"fit-{n}",
                )
                posteriors = label(
                    dataset,
                    at(f"label-{n}"),
                    replace(settings.label, layer=layer),
                    checkpoint=start,
                    prototypes=prototypes,
                    cached_inputs=cached,
                    name=f"label-{n}",
                )
            before = posteriors
            model = pretrain(
                dataset,
                at(f"pretrain-{n}"),
                settings.pretrain,
                posteriors=posteriors,
                prototypes=prototypes,
                start=start if settings.later_start == "continue" else encoder,
                cached_inputs=cached,
                name=f"pretrain-{n}",
            )
            start = join(model, PRETRAINED)

        def detector_from(checkpoint: str, arm: str) -> tuple[str, dict[str, Any]]:
            for stage, tuning in (
                (f"finetune-first{arm}", settings.finetune_first),
                (f"finetune{arm}", settings.finetune),
            ):
                if tuning is not None:
                    tuned = finetune(
                        dataset,
                        at(stage),
                        labels_alone(tuning) if arm else tuning,
                        start=checkpoint,
                        cached_inputs=cached,
                        name=stage,
                    )
                    checkpoint = join(tuned, DETECTOR)
            if not has_truth(dataset, settings.evaluate):
                return checkpoint, {}
            scores = score(
                dataset,
                at(f"score{arm}"),
                settings.score,
                checkpoint=checkpoint,
                name=f"score{arm}",
            )
            numbers = evaluate(
                dataset, scores, at(f"evaluate{arm}"), settings.evaluate, name=f"evaluate{arm}"
            )
            return checkpoint, numbers

        detector, numbers = detector_from(start, "")
        baseline = None
        if settings.baseline and settings.iterations > 0:
            _, baseline = detector_from(encoder, "-supervised")
    end_redo(out)
    return RunResult(detector=f"{detector}.safetensors", numbers=numbers, baseline=baseline)


def stages(settings: RunSettings) -> list[str]:
    """The names of the stages of a run, in their order."""
    names = []
    if settings.dataset is None:
        if settings.soundscapes is not None:
            names += ["recordings"] * (settings.data is None) + ["soundscapes"]
        names.append("pack")
    names.append("embed-1")
    for n in range(1, settings.iterations + 1):
        names += [f"embed-{n}"] * (n > 1)
        if n > 1 or settings.prototypes is None:
            names += [f"fit-{n}", f"label-{n}"]
        names.append(f"pretrain-{n}")
    arms = ["", *["-supervised"] * (settings.baseline and settings.iterations > 0)]
    for arm in arms:
        names += [f"finetune-first{arm}"] * (settings.finetune_first is not None)
        names += [f"finetune{arm}", f"score{arm}", f"evaluate{arm}"]
    return names


def _first(settings: RunSettings) -> EmbedSettings:
    """What the first stage embeds: nothing, where nobody would read it."""
    fits = settings.iterations > 0 and settings.prototypes is None
    return settings.embed if fits or settings.cached_inputs else replace(settings.embed, subsets=())
