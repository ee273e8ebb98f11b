"""Whatever a label or a recording is called, a page shows it as text."""

from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jinja2 import UndefinedError

from pipelines.pages.render import rendered
from pipelines.pages.sound import Excerpt
from pipelines.stages.inspect.page import page as inspection_page
from pipelines.stages.prototypes.excerpts import Excerpts
from pipelines.stages.prototypes.page import page as prototypes_page
from shards.audio.levels import SCHEMA
from shards.clip import Event
from shards.index import IndexRow
from shards.quality.finding import Needs
from shards.quality.report import inspect

NAMES = st.text(st.sampled_from("<>&\"'/={}%#$ax犬\x0b"), min_size=1, max_size=12).map(
    "n-{}".format
)
ATTACK = "<script>alert(1)</script>"
QUOTE = "\"'><img src=x onerror=alert(1)>"
TEMPLATE = "{{ 7 * 7 }}{% raw %}"


class Parsed(HTMLParser):
    """Tags with their attributes' names, and all text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def inspected(name: str) -> Parsed:
    import pyarrow as pa

    row = IndexRow(
        **{"key": "k", "source_id": name, "shard": "s", "offset": 0, "size": 1, "codec": "wav"},
        **{"sample_rate_hz": 8000, "num_samples": 8000, "channels": 1, "checksum": "c"},
        **{"crc32": 0, "subset": "strong", "recording": name, "fold": None, "weak": None},
        events=(Event(0.0, 2.0, name),),
        meta={},
    )
    table = pa.Table.from_pylist([{"key": "k", "error": name}], schema=SCHEMA)
    needs = Needs(encoder="small_cnn", sample_rate_hz=16000, hop_s=0.04)
    found = inspect([row], table, name=name, licence=name, classes=["a"], needs=needs)
    return Parsed(inspection_page(found))


def prototyped(name: str) -> Parsed:
    segment = {
        **{"start_s": 0.5, "stop_s": 1.5, "mean_posterior": 1.0, "max_posterior": 1.0},
        **{"key": name, "source_id": name, "labels": [name], "clip_labels": []},
    }
    shares = {"strong": [{"label": name, "share": 0.4}]}
    one = {
        **{"prototype": 0, "frames": 10, "share": 1.0, "mean_posterior": 0.9},
        **{"mean_max_posterior": 0.9, "labels": shares, "segments": [segment, segment]},
    }
    overlap = {
        **{"frames": 10, "active": 3, "overlapping": 0, "purity": 0.7, "mutual_information": 0.5},
        "mutual_information_active": None,
        "classes": [{"label": name, "frames": 3, "cluster": 0, "recall": 1.0, "precision": 0.3}],
    }
    found = {
        **{"kind": "gmm", "fit": name, "dataset": name, "prototypes": 1, "clips": 1},
        **{"frames": 10, "hop_s": 0.04, "frames_without_posterior": 0, "in_use": 1},
        **{"mean_max_posterior": 0.9, "mean_entropy": 0.1, "greatest_entropy": 0.7},
        **{"overlap": {"strong": overlap}, "of_prototypes": [one]},
    }
    excerpt = Excerpt(sound="data:audio/flac;base64,AA", picture="data:,", start_s=0.2, stop_s=1.8)
    cut = Excerpts(made={(0, 0): excerpt}, failed={(0, 1): name}, left_out=0)
    return Parsed(prototypes_page(found, name, cut))


@pytest.mark.parametrize("shown", [inspected, prototyped])
@settings(max_examples=40, deadline=None)
@given(name=NAMES)
@example(name=ATTACK)
@example(name=QUOTE)
@example(name=TEMPLATE)
def test_a_name_is_shown_as_it_is_and_changes_nothing_else(shown, name: str) -> None:  # type: ignore[no-untyped-def]
    plain, found = shown("plain"), shown(name)
    assert found.tags == plain.tags
    assert found.text.count(name) >= plain.text.count("plain") >= 4


def test_a_value_that_is_missing_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        rendered("inspect.html", title="t")
