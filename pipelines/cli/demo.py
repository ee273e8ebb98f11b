"""The command demo: everything at work on synthetic sounds, and events to look at.

It compares nothing: what pretraining is worth is measured on real recordings, and README says
where.
"""

from dataclasses import replace

from tyro.conf import FlagCreatePairsOff

from pipelines.cli.run import RunArguments, execute
from pipelines.presets import PRESETS
from pipelines.runtime.files.urls import join, open_dataset
from pipelines.runtime.tables import print_rows

SHOWN = "test"  # clips that no training has seen


def demo(
    out: str | None = None,
    seed: int = 0,
    fresh: FlagCreatePairsOff[bool] = False,
) -> None:
    """Make a small set of soundscapes and run everything on it: minutes on two cores.

    At its end it shows the events that the detector finds in a recording, beside the true ones;
    its report has prototypes, which were found without labels, to see and hear.

    Args:
        out: Folder of the run; by default one named after the settings, below runs/.
        seed: Random seed of the sounds.
        fresh: Delete all that the run's folder holds, and start over.
    """
    settings = PRESETS["demo"]()
    if settings.soundscapes is not None:
        scene = replace(settings.soundscapes.scene, seed=seed)
        settings = replace(settings, soundscapes=replace(settings.soundscapes, scene=scene))
    run = execute("demo", settings, RunArguments(out=out, fresh=fresh))
    if run is not None:
        show_events(run)


def show_events(run: str) -> None:
    """What the detector of a run finds in the test clip with most events, and what is in it."""
    from pipelines.inference.audio_inputs import AudioInput
    from pipelines.inference.layers import load_detector
    from pipelines.stages.detect import detect_file
    from shards.annotations.event import SoundEvent

    dataset = open_dataset(join(run, "dataset"))
    rows = sorted(dataset.select([SHOWN]), key=lambda row: (-len(row.events or ()), row.source_id))
    if not rows:
        return
    row = rows[0]
    detector = load_detector(join(run, "finetune/detector"))
    recording = AudioInput(name=row.source_id, url=join(run, "dataset"), key=row.key)
    found = detect_file(detector, recording)
    true = [
        SoundEvent(onset_s=e.onset_s, offset_s=e.offset_s, label=e.label) for e in row.events or ()
    ]
    lines = [("true", event) for event in true] + [("found", event) for event in found.events]
    lines.sort(key=lambda line: (line[1].label, line[1].onset_s))
    print_rows(
        f"events in {row.source_id}, a test clip",
        ("event", "true or found", "from s", "to s", "score"),
        [
            (
                event.label,
                kind,
                f"{event.onset_s:.2f}",
                f"{event.offset_s:.2f}",
                "" if event.score is None else f"{event.score:.2f}",
            )
            for kind, event in lines
        ],
    )
