"""A detector without any label: words name what a tagger hears in the training clips.

    python benchmarks/esc10_words.py --data ESC10 --weights mn04_as_mAP_432.pt --cache CACHE \
        --sentences all-MiniLM-L6-v2

Data as in `esc10_low_label.py`; the words are the names of its eight classes. "words" are the
tagger's own scores of windows of 4 s (TMRL, no training). "weak" and "strong" distil them, as
`pmam run --preset words` does, into a detector over the same frozen encoder: labels of whole
clips, or events with the windows' times, of tags from a probability on. "shuffled" has the labels
of other clips. "labels" is the same network trained on that many strong clips, by people, with
the same augmentation (`esc10_regime.py`). Numbers are of test clips; widths of medians are chosen
on validation clips. The mean of the seeds, and the least and largest of them.

Result of 2026-11-29, all-MiniLM-L6-v2, three seeds of the same network on the same clips; it was
stopped before the other arms:

                   frame AP            PSDS1               PSDS2
    words          .340                .001                .166
    weak from 0.1  .468 [.466 .471]    .108 [.105 .114]    .210 [.200 .218]
    weak from 0.3  .416 [.388 .455]    .055 [.025 .085]    .183 [.144 .220]

Labels of 20 strong clips by people: frame AP .637, PSDS1 .251, PSDS2 .371 (`esc10_regime.py`, other
subsets). "Rooster" is heard in 736 of 1 410 clips: this model finds "Bird" and "Goat" near it.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from low_label import regime
from low_label.command import parser, workbench
from low_label.places import VERSIONS
from low_label.scoring import NUMBERS, choose_widths, evaluation_set, smoothed
from low_label.words import Words, labels_of
from low_label.workbench import Workbench

from pipelines.inference.layers import load_detector
from pipelines.runtime.files.urls import join
from pipelines.stages import finetune as finetuning
from pipelines.stages.settings import FinetuneSettings
from pipelines.stages.tag import stage as tagging
from pipelines.stages.tag import word_labels as wording
from pipelines.stages.tag.settings import WordLabelSettings
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.registry import METRICS

EVENTS = (
    "dog bark, rooster, baby cry, person sneeze, clock tick, helicopter, chainsaw, fire crackling"
)
BATCH = 16
Numbers = dict[str, float]


def main() -> None:
    """All arms, seed after seed."""
    options = parser(__doc__.splitlines()[0], "folder of features and finished work", seeds=3)
    options.add_argument("--sentences", required=True, help="sentence model: folder or name")
    options.add_argument("--steps", type=int, default=240, help="of each training")
    arguments = options.parse_args()
    VERSIONS.update(tags=tagging.ALGORITHM_VERSION, words=wording.ALGORITHM_VERSION)
    words = WordLabelSettings(events=EVENTS, sentences=arguments.sentences)
    with workbench(arguments) as bench:
        made = {
            f"{kind} from {threshold:g}": Words(
                bench.data, bench.places, arguments.weights, labels_of(words, kind, threshold)
            )
            for kind in ("weak", "strong")
            for threshold in (0.1, 0.3, 0.5)
        }
        tell("words", [told(bench, made["weak from 0.1"].heard)])
        for name, each in made.items():
            runs = [distilled(bench, each, arguments.steps, n) for n in range(arguments.seeds)]
            tell(name, runs)
        runs = [
            distilled(bench, made["weak from 0.3"], arguments.steps, n, is_shuffled=True)
            for n in range(arguments.seeds)
        ]
        tell("weak, shuffled", runs)
        for strong in (20, 60):
            arm = regime.ARMS[regime.BASELINE]
            arm = replace(arm, finetune={strong: arm.finetune[regime.STRONG]})
            runs = [bench.tested(arm, strong, 0, n)["numbers"] for n in range(arguments.seeds)]
            tell(f"labels, {strong} clips", runs)


def distilled(
    bench: Workbench, words: Words, steps: int, seed: int, *, is_shuffled: bool = False
) -> Numbers:
    """The numbers of a detector that is trained on what words say, or on what they do not."""
    dataset = words.dataset(seed if is_shuffled else None)
    detector = trained(bench, dataset, words.settings.kind, steps, seed)
    return told(bench, partial(evaluation_set, detector, data=bench.data))


def trained(bench: Workbench, dataset: str, kind: str, steps: int, seed: int) -> Any:
    """A detector fine-tuned on a dataset's clips of one kind, over the frozen encoder."""
    base = regime.AUGMENTED.training
    training = replace(
        base,
        batch={kind: BATCH},
        optimizer=replace(base.optimizer, steps=min(steps, bench.most_steps or steps)),
        crop_s=min(base.crop_s, bench.data.duration_s),
        checkpoint_every=steps,
        seed=seed,
    )
    settings: FinetuneSettings = replace(regime.AUGMENTED, training=training)
    place = bench.places.at("finetune", settings, dataset, bench.data.encoder)
    stage = finetuning.finetune(
        dataset,
        settings=settings,
        start=bench.data.encoder,
        cached_inputs=bench.data.inputs,
        **place,
    )
    return load_detector(join(stage, finetuning.CHECKPOINT))


def told(bench: Workbench, scores: Callable[[Any], EvaluationSet]) -> Numbers:
    """The numbers of test clips; widths of medians are those that are best on validation clips."""
    data = bench.data
    widths_s = choose_widths(scores(data.clips["validation"]), data)
    raw = scores(data.clips["test"])
    smooth = smoothed(raw, widths_s, data)
    return {n: METRICS[n](raw if n == "frame_ap" else smooth).value for n in NUMBERS}


def tell(name: str, found: list[Numbers]) -> None:
    """One line of the table."""
    cells = []
    for number in NUMBERS:
        values = [each[number] for each in found]
        span = f" [{min(values):.3f} {max(values):.3f}]" if len(values) > 1 else " " * 14
        cells.append(f"{number} {np.mean(values):.3f}{span}")
    print(f"{name:18}" + "  ".join(cells), flush=True)


if __name__ == "__main__":
    main()
