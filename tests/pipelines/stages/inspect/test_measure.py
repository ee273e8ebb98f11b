"""`pmam inspect` on small datasets: sound, damaged, and with hostile names."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile as sf
from bad_input_cases import flip
from html_cases import Page

from pipelines.cli.main import main
from pipelines.stages.inspect.page import page
from shards.audio.levels import SCHEMA
from shards.clip import Event
from shards.index import IndexRow
from shards.quality.finding import Needs
from shards.quality.report import Inspection, inspect

HOSTILE = '<script>alert("x")</script>'
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "b", "span", "div"),
    *("details", "summary", "ul", "li", "table", "tr", "th", "td", "thead", "tbody", "header"),
    *("main", "button", "script", "kbd", "figure", "figcaption", "svg", "path", "rect"),
}


def read(out: Path) -> dict[str, Any]:
    return json.loads((out / "inspect.json").read_text())  # type: ignore[no-any-return]


def kinds(out: Path) -> set[str]:
    return {finding["kind"] for finding in read(out)["findings"]}


def source_of(folder: Path, **clips: np.ndarray) -> Path:
    """Weakly labelled clips at 8 kHz."""
    (folder / "weak").mkdir(parents=True)
    for name, samples in clips.items():
        sf.write(folder / "weak" / f"{name}.wav", samples, 8000)
    lines = [f"{name}.wav\tdog [b]\n" for name in clips]
    (folder / "weak.tsv").write_text("filename\tevent_labels\n" + "".join(lines))
    return folder


def test_sound_dataset_is_measured_once(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    main(["inspect", str(dataset), "--out", str(out), "--strict"])
    printed = capsys.readouterr().out
    assert "4 clips" in printed
    assert printed.rstrip().endswith(str(out / "inspect.html"))
    (levels,) = (out / "measured" / "levels").iterdir()
    written = levels.stat().st_mtime_ns
    assert kinds(out) == set()
    assert read(out)["distributions"]["rms_db"]["quantiles"]["median"] == pytest.approx(-20, abs=1)

    main(["inspect", str(dataset), "--out", str(out), "--encoder", "mn04"])
    assert kinds(out) == {"rate_low"}
    assert levels.stat().st_mtime_ns == written


def test_what_is_wrong_with_clips(ray_session: None, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 4000)
    loud = np.clip(2 * np.sin(np.arange(4000) / 10), -1, 1)
    clips = {"one": noise, "two": noise, "loud": loud, "none": np.zeros(4000)}
    source = source_of(tmp_path / "source", **clips)
    data, out = tmp_path / "data", tmp_path / "data-inspect"
    main(["pack", str(source), str(data)])
    main(["inspect", str(data)])
    expected = {"duplicate", "clipped", "silent_labelled", "rate_low"}
    assert kinds(out) == expected
    assert 'class="mark"' in (out / "inspect.html").read_text()  # where it is clipped
    text = (out / "inspect.html").read_text()
    assert set(re.findall(r'aria-label="(weak/\w+)"', text)) == {f"weak/{name}" for name in clips}
    assert text.count("data:audio/ogg") == 2 + 1 + 1 + 4  # of each finding all of its clips
    (copies,) = read(out)["duplicates"]
    assert set(copies["clips"]) == {"weak/one", "weak/two"}

    (shard,) = (data / "shards").glob("*.tar")
    whole = shard.read_bytes()
    place = whole.index(b"RIFF") + 2000
    flip(shard, place)
    with pytest.raises(SystemExit) as ended:
        main(["inspect", str(data), "--fresh", "--strict"])
    assert ended.value.code == 1
    (damaged,) = (f for f in read(out)["findings"] if f["kind"] == "damaged")
    assert damaged["count"] == 1
    assert "checksum" in damaged["examples"][0]
    assert "checksum" in (out / "inspect.html").read_text()

    shard.write_bytes(whole)  # restored: looked at again without being told
    main(["inspect", str(data)])
    assert kinds(out) == expected


def test_a_missing_dataset_and_an_unknown_encoder_are_one_line(
    refused: Any, dataset: Path, tmp_path: Path
) -> None:
    assert "no-such" in refused("inspect", tmp_path / "no-such", "--out", tmp_path / "out")
    message = refused("inspect", dataset, "--out", tmp_path / "out", "--encoder", "no")
    assert "small_cnn" in message


def hostile(labels: list[str]) -> Inspection:
    row = IndexRow(
        key="k",
        source_id=f"{HOSTILE}.wav",
        shard="s",
        offset=0,
        size=1,
        codec="wav",
        sample_rate_hz=8000,
        num_samples=8000,
        channels=1,
        checksum="c",
        crc32=0,
        subset=f"strong{HOSTILE}",
        recording=HOSTILE,
        fold=None,
        weak=tuple(labels),
        events=tuple(Event(0.0, 2.0, label) for label in labels),
        meta={},
    )
    table = pa.Table.from_pylist([{"key": "k", "error": HOSTILE}], schema=SCHEMA)
    needs = Needs(encoder="small_cnn", sample_rate_hz=16000, hop_s=0.04)
    return inspect([row], table, name=HOSTILE, licence=HOSTILE, classes=labels[1:], needs=needs)


@pytest.mark.parametrize("labels", [[], [HOSTILE, "犬の声", "", "a&b\"'"]])
def test_page_escapes_and_loads_nothing(labels: list[str]) -> None:
    text = page(hostile(labels))
    shown = Page(text)
    assert shown.tags <= TAGS
    assert shown.sources == []
    assert "<rect " in text
    assert "&lt;script&gt;" in text
    assert not labels or "犬の声" in text


def test_thousands_of_classes_fold() -> None:
    text = page(hostile([f"class {number}" for number in range(3000)]))
    assert "2960 rarer labels" in text
    before_fold = text.split("rarer labels")[0]
    assert len(re.findall("<td>class ", before_fold)) == 40
    assert len(text) < 1_000_000
