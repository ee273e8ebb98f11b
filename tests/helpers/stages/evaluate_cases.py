"""One detector's output in every form that `pmam evaluate` reads, and its truth."""

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import packing
import pyarrow as pa
import soundfile as sf

from pipelines.runtime.stage import DONE
from pmam.events.decoding import decode_at
from pmam.events.event import uniform_edges_s
from shards.clip import Clip, Event, escape_key

CLASSES = ("cat", "dog", "Glass, breaking")
HOP_S, FRAMES, RATE = 0.25, 40, 8000
LENGTH_S = HOP_S * FRAMES
CLIPS = tuple(f"Y{n}abc_{n}0.000_{n + 1}0.000" for n in range(6))


def drawn(seed: int = 0) -> tuple[dict[str, list[Event]], dict[str, np.ndarray]]:
    """Events of each clip, and scores that follow them; the last clip has no event."""
    rng = np.random.default_rng(seed)
    truth: dict[str, list[Event]] = {}
    scores = {}
    middle_s = (np.arange(FRAMES) + 0.5) * HOP_S
    for number, clip in enumerate(CLIPS):
        values = np.repeat(rng.random((FRAMES // 4, 3)) * 0.55, 4, axis=0)
        truth[clip] = []
        for label in {number % 3, (number * number + 1) % 3} if number < 5 else ():
            onset_s, length_s = rng.uniform(0, 6), rng.uniform(1, 3)
            event = Event(round(onset_s, 3), round(onset_s + length_s, 3), CLASSES[label])
            truth[clip].append(event)
            values[(middle_s > event.onset_s) & (middle_s < event.offset_s), label] += 0.355
        scores[clip] = np.round(values, 3).astype(np.float32)
    return truth, scores


def write_truth(folder: Path, truth: Mapping[str, list[Event]]) -> Path:
    """A table in DESED's form, and one of lengths beside it."""
    lines = ["filename\tonset\toffset\tevent_label"]
    for clip, events in truth.items():
        lines += [f"{clip}.wav\t{e.onset_s}\t{e.offset_s}\t{e.label}" for e in events]
        lines += [] if events else [f"{clip}.wav\t\t\t"]
    table = folder / "truth.tsv"
    table.write_text("\n".join(lines) + "\n")
    lengths = "".join(f"{clip}.wav\t{LENGTH_S}\n" for clip in truth)
    (folder / "lengths.tsv").write_text(f"filename\tduration\n{lengths}")
    return table


def write_dataset(folder: Path, truth: Mapping[str, list[Event]]) -> str:
    """The same as a packed dataset, of silence."""
    clips = []
    for clip, events in truth.items():
        sf.write(folder / f"{clip}.wav", np.zeros(round(LENGTH_S * RATE)), RATE)
        name = f"{clip}.wav"
        clips.append(Clip(source_id=clip, audio=name, subset="test", events=tuple(events)))
    packing.pack(folder, clips, folder / "dataset", codec="flac")
    return str(folder / "dataset")


def write_score_tables(
    folder: Path, scores: Mapping[str, np.ndarray], separator: str = "\t"
) -> Path:
    """A table of each clip, as sed_scores_eval writes them."""
    folder.mkdir()
    edges_s = uniform_edges_s(FRAMES, HOP_S)
    for clip, values in scores.items():
        quoted = [f'"{name}"' if separator in name else name for name in CLASSES]
        lines = [separator.join(["onset", "offset", *quoted])]
        for onset_s, offset_s, row in zip(edges_s[:-1], edges_s[1:], values, strict=True):
            lines.append(separator.join([f"{onset_s}", f"{offset_s}", *(f"{x:.3f}" for x in row)]))
        (folder / f"{clip}.{'tsv' if separator != ',' else 'csv'}").write_text("\n".join(lines))
    return folder


def write_npz(folder: Path, scores: Mapping[str, np.ndarray]) -> Path:
    """A file of each clip, as `pmam detect --scores npz` writes them."""
    folder.mkdir()
    for clip, values in scores.items():
        np.savez(
            folder / f"{clip}.scores.npz",
            scores=values,
            edges_s=uniform_edges_s(FRAMES, HOP_S),
            classes=np.array(CLASSES),
        )
    return folder


def write_ours(folder: Path, scores: Mapping[str, np.ndarray]) -> Path:
    """What `pmam score` writes, without a detector and its post-processing."""
    from shards.frames.reader import FrameSpec
    from shards.frames.writer import FrameWriter

    (folder / "frames").mkdir(parents=True)
    spec = FrameSpec(kind="scores", width=3, dtype="float32", hop_s=HOP_S)
    with FrameWriter(folder / "frames" / "a.arrow", spec) as writer:
        for clip, values in scores.items():
            writer.add(escape_key(clip), values)
    result = {
        "classes": list(CLASSES),
        "outputs": ["frames/a.arrow"],
        "postprocess": {"median_s": 0},
    }
    record = {"format_version": 2, "fingerprint": "of tests", "result": result}
    (folder / DONE).write_text(json.dumps(record))
    return folder


def write_events(path: Path, scores: Mapping[str, np.ndarray], threshold: float) -> Path:
    """The events above a threshold, as one table."""
    lines = ["event_label\tonset\toffset\tfilename"]
    for clip, values in scores.items():
        for event in decode_at(values, CLASSES, uniform_edges_s(FRAMES, HOP_S), threshold):
            lines.append(f"{event.label}\t{event.onset_s}\t{event.offset_s}\t{clip}.wav")
    path.write_text("\n".join(lines) + "\n")
    return path


def table(path: Path) -> pa.Table:
    """A table of results."""
    import pyarrow.csv as pacsv

    return pacsv.read_csv(path)


def numbers(folder: Path) -> dict[tuple[str, str], float]:
    """By metric and class."""
    rows = csv.DictReader((folder / "metrics.csv").open())
    return {
        (row["metric"], row["class"]): float(row["value"]) if row["value"] else math.nan
        for row in rows
    }
