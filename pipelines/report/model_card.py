"""A card beside each detector: what it is, what it was trained on, what it is worth, how to use it.

`README.md` with the metadata that model hubs read (YAML between two lines of dashes).
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import yaml

from pipelines.report.comparison import Output, in_percent
from pipelines.report.contents import Arm, RunContents
from pipelines.report.data_card import DataCard
from pipelines.runtime.files.urls import join, store
from pipelines.runtime.words import TITLES, counted
from pmam.events.settings import PostprocessSettings
from pmam.settings import from_json

CARD = "README.md"
MARKUP = str.maketrans({sign: f"\\{sign}" for sign in "\\`*_{}[]<>#|~$"})
# What is known of published weights, by the beginning of the encoder's name.
LICENCES = {
    "mn": "EfficientAT's, trained on AudioSet: MIT",
    "passt": "PaSST's, trained on AudioSet: Apache 2.0",
    "m2d": "M2D's: the licence of its repository, research use",
}


def write_cards(
    run: RunContents, data: DataCard | None, outputs: Mapping[str, Sequence[Output]]
) -> list[str]:
    """Write the card of each detector of a run; returns their URLs."""
    written = []
    for arm in run.arms:
        if arm.finetune in run.done:
            folder = run.place(arm.finetune)
            store(folder).write(CARD, card(run, arm, data, outputs).encode())
            written.append(join(folder, CARD))
    return written


def card(
    run: RunContents, arm: Arm, data: DataCard | None, outputs: Mapping[str, Sequence[Output]]
) -> str:
    """The text of a card.

    Args:
        run: that the detector is of.
        arm: which detector.
        data: the run's dataset; None where it is not there any more.
        outputs: of all detectors that were measured, by subset.
    """
    result = run.done[arm.finetune]["result"]
    postprocess = from_json(PostprocessSettings, result["postprocess"])
    of_arm = {
        subset: output
        for subset, found in outputs.items()
        for output in found
        if output.scored.run is run and output.scored.arm == arm and output.numbers is not None
    }
    meta = yaml.safe_dump(
        _metadata(run, data, of_arm), sort_keys=False, allow_unicode=True, width=100
    )
    classes = data.classes if data else run.done[arm.score]["result"]["classes"]
    parts = [
        f"---\n{meta}---",
        f"# Sound-event detector of {plain(run.name)} ({arm.name})",
        f"It tells where each of {counted(len(classes), 'class', 'classes')} of sounds begins and "
        f"ends in recordings of any length: {', '.join(map(plain, classes))}.",
        "## Use",
        _usage(),
        "## Data",
        _data(run, data, result),
        "## Numbers",
        _numbers(of_arm),
        "## Limits",
        _limits(run, data, of_arm, postprocess),
        "## Licences",
        _licences(run, data),
    ]
    return "\n\n".join(parts) + "\n"


def plain(text: str) -> str:
    """Text in which Markdown finds no markup, in one line."""
    return " ".join(text.split()).translate(MARKUP)


def _metadata(run: RunContents, data: DataCard | None, of_arm: dict[str, Output]) -> dict[str, Any]:
    results = [
        {
            "task": {"type": "audio-classification", "name": "sound event detection"},
            "dataset": {"type": data.name if data else "unknown", "name": f"{subset} clips"},
            "metrics": [
                {
                    "type": metric,
                    "name": title,
                    "value": round(output.numbers.interval(metric).value, 4),
                }
                for metric, title in TITLES.items()
            ],
        }
        for subset, output in of_arm.items()
        if output.numbers is not None
    ]
    return {
        "license": "other",
        "license_name": "see-licences-below",
        "library_name": "pmam",
        "pipeline_tag": "audio-classification",
        "tags": ["audio", "sound-event-detection", "pmam"],
        "model-index": [{"name": run.name, "results": results}],
    }


def _usage() -> str:
    return "\n".join(
        [
            "    pmam detect recording.wav --checkpoint detector.safetensors",
            "",
            "writes a table of events: file, onset and offset in seconds, class, score. The file "
            "`detector.safetensors` is all that is needed; post-processing is stored in it.",
        ]
    )


def _data(run: RunContents, data: DataCard | None, result: dict[str, Any]) -> str:
    encoder = run.settings.encoder.name
    lines = [
        f"Encoder: {plain(encoder)}; fine-tuned for {counted(result['steps'], 'step')} on "
        f"{counted(result['clips'], 'clip')}, kept is the {result['chosen']}."
    ]
    if data is None:
        return "\n".join([*lines, "", "The dataset is not there any more."])
    lines += ["", f"{plain(data.name)}: {data.in_words}.", ""]
    head = ("subset", "clips", "length", "with events", "with weak labels", "events")
    return "\n".join([*lines, *_table(head, data.subsets)])


def _numbers(of_arm: dict[str, Output]) -> str:
    if not of_arm:
        return "It was not measured: there are no test clips with strong labels."
    lines = []
    for subset, output in of_arm.items():
        numbers = output.numbers
        assert numbers is not None
        lines += ["", f"{plain(subset)}, {counted(len(output.scored.rows), 'clip')}:", ""]
        rows = []
        for metric, title in TITLES.items():
            one = numbers.interval(metric)
            between = "" if math.isnan(one.low) else f"{one.low:.3f} to {one.high:.3f}"
            rows.append((title, f"{one.value:.3f}", between))
        lines += [*_table(("metric", "value", f"{in_percent(numbers.level)} interval"), rows), ""]
        per_class = [
            (name, *(f"{numbers.interval(metric, name).value:.3f}" for metric in TITLES))
            for name in output.scored.clips.classes
        ]
        lines += _table(("class", *TITLES.values()), per_class)
    lines += ["", "Intervals are over resamples of the clips' recordings."]
    return "\n".join(lines)


def _limits(
    run: RunContents,
    data: DataCard | None,
    of_arm: dict[str, Output],
    postprocess: PostprocessSettings,
) -> str:
    lines = [
        "- It knows its classes alone; any other sound is either nothing or taken for one of them.",
        "- The numbers hold for recordings like the test clips; for other places, microphones and "
        "levels nothing was measured.",
        f"- Post-processing: {plain(postprocess.in_words)}.",
    ]
    if run.settings.soundscapes is not None:
        lines.append("- Training and test clips are synthetic mixtures, not field recordings.")
    for output in of_arm.values():
        assert output.numbers is not None
        numbers = output.numbers
        found = {n: numbers.interval("event_f1", n).value for n in output.scored.clips.classes}
        weak = [plain(name) for name, value in found.items() if value < 0.2]
        if weak:
            lines.append(f"- Classes with an event F1 below 0.2: {', '.join(weak)}.")
    for finding in data.findings if data else ():
        if finding["severity"] == "serious":
            lines.append(f"- Of the data: {plain(finding['what'])}: {finding['count']}.")
    return "\n".join(lines)


def _licences(run: RunContents, data: DataCard | None) -> str:
    encoder, weights = run.settings.encoder.name, run.settings.encoder.weights
    lines = [f"- Recordings: {plain(data.licence) if data and data.licence else 'not told'}."]
    if weights is None:
        lines.append("- Weights: trained from scratch on these recordings.")
    else:
        known = [text for name, text in LICENCES.items() if encoder.startswith(name)]
        file = plain(PurePosixPath(weights).name)
        said = known[0] if known else "a licence that this card does not know"
        lines.append(f"- Weights that it began from ({file}): {said}.")
    lines.append("- Whether a detector may be passed on depends on both.")
    return "\n".join(lines)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [
        f"| {' | '.join(head)} |",
        f"| {' | '.join('---' for _ in head)} |",
        *(f"| {' | '.join(map(plain, row))} |" for row in rows),
    ]
