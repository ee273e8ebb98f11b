"""The page of prototypes: what it embeds, how large it becomes, and text that would break it."""

import base64
import io
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import prototype_cases as cases
import pytest
from bad_input_cases import flip
from html_cases import Page

from pipelines.pages.sound import spectrogram
from pipelines.stages.prototypes.excerpts import Excerpts, excerpts
from pipelines.stages.prototypes.page import page
from pmam.prototypes.usage import Segment
from shards.audio.decoding import decode
from shards.dataset import Dataset

HOSTILE = '<script>alert("$x_$")</script>'
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "h1", "h2", "h3", "p", "br", "b", "span"),
    *("div", "details", "summary", "table", "tr", "th", "td", "img", "figure", "figcaption"),
    *("audio", "caption", "header", "main", "section", "button", "script", "thead", "tbody", "kbd"),
}
EVERYTHING = 10**9


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return cases.write_dataset(tmp_path_factory.mktemp("page"))


def segment(dataset: Dataset, name: str, start_s: float, stop_s: float) -> Segment:
    key = next(row.key for row in dataset.rows if row.source_id == name)
    return Segment(key=key, start_s=start_s, stop_s=stop_s, mean_posterior=1, max_posterior=1)


def data_of(url: str) -> bytes:
    return base64.b64decode(url.partition(",")[2])


def heard(url: str) -> np.ndarray:
    return decode(data_of(url), "excerpt")


def test_excerpts_are_the_sound_of_their_segments(dataset: Dataset) -> None:
    """The tone from 0.52 to 1.48 s, with a quarter of a second of noise on each side."""
    tone = segment(dataset, "s1", 0.5, 1.5)
    end = segment(dataset, "s1", 2.0, 3.0)
    cut = excerpts(dataset, [[tone, end]], 5, EVERYTHING)
    assert cut.left_out == 0
    assert cut.failed == {}
    first, second = cut.made[0, 0], cut.made[0, 1]
    assert (first.start_s, first.stop_s) == (0.25, 1.75)
    assert (second.start_s, second.stop_s) == (1.75, 3.0)
    samples = heard(first.sound)
    assert len(samples) == pytest.approx(1.5 * 16000, abs=20)
    samples = np.pad(samples, (0, 30))[:24000]
    rms = [float(np.sqrt(np.mean(part**2))) for part in np.split(samples, 30)]  # 50 ms each
    assert min(rms[6:24]) > 5 * max(rms[:5] + rms[25:])
    assert np.abs(samples).max() == pytest.approx(0.7, abs=0.05)  # Opus loses a little
    assert np.abs(heard(second.sound)).max() < 0.7  # noise at -40 dB, 20 dB louder
    shade = matplotlib.image.imread(io.BytesIO(data_of(first.picture))).sum(axis=2)
    assert shade.shape == (64, 151)
    row = int(shade[:, 75].argmax())
    assert 64 - row == pytest.approx(65 * np.log(1 + 1000 / 700) / np.log(1 + 8000 / 700), abs=2)
    assert shade[row, 30:120].min() > shade[row, :20].max()


def test_silence_and_very_short_excerpts_have_a_picture() -> None:
    for samples in (np.zeros(16000, np.float32), np.full(3, 0.1, np.float32)):
        assert matplotlib.image.imread(io.BytesIO(spectrogram(samples))).shape[0] == 64


def test_each_prototype_gets_its_first_sound_before_others_get_more(dataset: Dataset) -> None:
    names = ("s1", "s2", "s3", "w1")
    top = [[segment(dataset, n, 0.1 * z, 1 + 0.1 * z) for n in names] for z in range(3)] + [[]]
    whole = excerpts(dataset, top, 3, EVERYTHING)
    assert set(whole.made) == {(z, rank) for z in range(3) for rank in range(3)}
    size = max(excerpt.size for excerpt in whole.made.values())
    some = excerpts(dataset, top, 3, 5 * size)
    assert set(some.made) == {(0, 0), (1, 0), (2, 0), (0, 1), (1, 1)}
    assert some.left_out == 4
    assert sum(excerpt.size for excerpt in some.made.values()) <= 5 * size
    assert excerpts(dataset, top, 3, 0).made == {}


def test_a_damaged_clip_is_told_in_its_place(tmp_path: Path) -> None:
    dataset = cases.write_dataset(tmp_path, ("s1", "s2"))
    row = next(row for row in dataset.rows if row.source_id == "s1")
    flip(Path(dataset.store.root) / row.shard, row.offset + row.size // 2)
    top = [[segment(dataset, "s1", 0, 1), segment(dataset, "s2", 0, 1)]]
    cut = excerpts(Dataset.open(dataset.store), top, 2, EVERYTHING)
    assert set(cut.made) == {(0, 1)}
    assert "checksum" in cut.failed[0, 0]
    assert "checksum" in page(described(), "name", cut)


def described(labels: tuple[str, ...] = ("dog",), **changes: Any) -> dict[str, Any]:
    """As `prototypes_report.described` tells, of one used and one unused prototype."""
    times = {"start_s": 0.5, "stop_s": 1.5, "mean_posterior": 1.0, "max_posterior": 1.0}
    text = {"key": HOSTILE, "source_id": HOSTILE, "labels": list(labels), "clip_labels": []}
    shares = [{"label": label, "share": 0.4} for label in labels]
    used = {
        "prototype": 1,
        "frames": 10,
        "share": 1.0,
        "mean_posterior": 0.9,
        "mean_max_posterior": 0.9,
        "labels": {"strong": shares[:5]} if labels else {},
        "segments": [times | text, times | text],
    }
    unused = used | {
        **{"prototype": 0, "frames": 0, "share": 0.0, "mean_posterior": 0.0},
        **{"mean_max_posterior": None, "labels": {}, "segments": []},
    }
    of_class = {"frames": 3, "cluster": 1, "recall": 1.0, "precision": 0.3}
    overlap = {
        **{"frames": 10, "active": 3, "overlapping": 0, "purity": 0.7},
        **{"mutual_information": 0.5, "mutual_information_active": 0.6},
        "classes": [{"label": label, **of_class} for label in labels],
    }
    return {
        **{"kind": "kmeans", "fit": HOSTILE, "dataset": HOSTILE, "prototypes": 2, "clips": 1},
        **{"frames": 10, "hop_s": 0.04, "frames_without_posterior": 1, "in_use": 1},
        **{"mean_max_posterior": 0.9, "mean_entropy": 0.1, "greatest_entropy": 0.7},
        "overlap": {"strong": overlap} if labels else {},
        "of_prototypes": [used, unused],
    } | changes


@pytest.mark.parametrize("labels", [(), (HOSTILE, "犬の声", "", "a&b\"'", "$_$")])
def test_the_page_escapes_and_loads_nothing(dataset: Dataset, labels: tuple[str, ...]) -> None:
    cut = excerpts(dataset, [[segment(dataset, "s1", 0, 1)]], 1, EVERYTHING)
    failing = Excerpts(made=cut.made, failed={(0, 1): HOSTILE}, left_out=3)
    text = page(described(labels), HOSTILE, failing)
    shown = Page(text)
    assert shown.tags <= TAGS
    assert "audio" in shown.tags
    kinds = ("image/png", "audio/ogg")
    assert all(
        source.startswith(tuple(f"data:{k};base64," for k in kinds)) for source in shown.sources
    )
    assert len(shown.sources) == 2
    assert "&lt;script&gt;" in text
    assert "3 segments had no room" in text
    assert "the likeliest of no frame" in text
    assert not labels or "犬の声" in text


def test_hundreds_of_classes_fold() -> None:
    nothing = Excerpts(made={}, failed={}, left_out=0)
    text = page(described(tuple(f"class {n}" for n in range(456))), "AudioSet", nothing)
    assert "416 rarer classes" in text
    assert len(text) < 300_000
