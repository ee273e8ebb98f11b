"""run: the whole story, from recordings to a scored detector. Read this file first.

    source --pack--> shards + index --embed--> sampled frame embeddings --fit--> prototypes
        prototypes --label--> frame posteriors --pretrain--> encoder
        (encoder --embed--> ... again, `iterations` times)
    encoder + few labels --finetune--> detector --score--> frame scores --evaluate--> numbers

Every arrow is a stage that owns a folder of the run. A stage whose inputs, settings and code are
unchanged is skipped; one that was killed goes on from what is whole.
"""

from dataclasses import dataclass, replace
from typing import Any

from cluster.session import session
from cluster.storage import absolute
from pipelines.embed import ENCODER, embed
from pipelines.evaluate import evaluate, has_truth
from pipelines.finetune import CHECKPOINT as DETECTOR
from pipelines.finetune import FinetuneSettings, finetune, labels_alone
from pipelines.fit import fit
from pipelines.label import label
from pipelines.pack import pack
from pipelines.presets import RunSettings
from pipelines.pretrain import CHECKPOINT as PRETRAINED
from pipelines.pretrain import pretrain
from pipelines.score import score
from pipelines.source import prepare
from pipelines.urls import join


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """Where the detector is, and what it is worth."""

    detector: str
    numbers: dict[str, Any]  # by subset, metric: value and values per class
    baseline: dict[str, Any] | None


def run(settings: RunSettings, out: str, *, address: str | None = None) -> RunResult:
    """Run all stages in the folder `out`; what is done already is kept."""
    out = absolute(out)

    def at(stage: str) -> str:
        return join(out, stage)

    with session(address):
        source, inputs = prepare(settings, at)
        dataset = pack(source, at("dataset"), settings.pack, inputs=inputs)

        # Iteration 1 embeds with the encoder as it comes; later ones with what was pretrained.
        first = embed(
            dataset, at("embed-1"), settings.embed, encoder=settings.encoder, name="embed-1"
        )
        encoder = start = join(first, ENCODER)
        cached = first if settings.cached_inputs else None
        for n in range(1, settings.iterations + 1):
            layer = settings.embed.layer if n == 1 else settings.later_layer
            embedding = replace(settings.embed, layer=layer)
            embeddings = first
            if n > 1:
                embeddings = embed(
                    dataset,
                    at(f"embed-{n}"),
                    embedding,
                    model=start,
                    cached_inputs=cached,
                    name=f"embed-{n}",
                )
            prototypes = fit(dataset, embeddings, at(f"fit-{n}"), settings.fit, name=f"fit-{n}")
            posteriors = label(
                dataset,
                at(f"label-{n}"),
                replace(settings.label, layer=layer),
                checkpoint=start,
                prototypes=prototypes,
                cached_inputs=cached,
                name=f"label-{n}",
            )
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

        def detector_from(
            checkpoint: str, tuning: FinetuneSettings, arm: str
        ) -> tuple[str, dict[str, Any]]:
            tuned = finetune(
                dataset,
                at(f"finetune{arm}"),
                tuning,
                start=checkpoint,
                cached_inputs=cached,
                name=f"finetune{arm}",
            )
            found = join(tuned, DETECTOR)
            if not has_truth(dataset, settings.evaluate):
                return found, {}
            scores = score(
                dataset, at(f"score{arm}"), settings.score, checkpoint=found, name=f"score{arm}"
            )
            numbers = evaluate(
                dataset, scores, at(f"evaluate{arm}"), settings.evaluate, name=f"evaluate{arm}"
            )
            return found, numbers

        detector, numbers = detector_from(start, settings.finetune, "")
        baseline = None
        if settings.baseline and settings.iterations > 0:
            _, baseline = detector_from(encoder, labels_alone(settings.finetune), "-supervised")
    return RunResult(detector=f"{detector}.safetensors", numbers=numbers, baseline=baseline)
