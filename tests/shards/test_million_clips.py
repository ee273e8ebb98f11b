"""What works on a whole index builds no object for a clip, and says what the rows say."""

from dataclasses import asdict, replace

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from index_rows import index_row

from shards.audio.levels import SCHEMA as LEVELS
from shards.clip import Event
from shards.dataset import Dataset
from shards.editing.filter import compile_filter
from shards.editing.merge import MergeInput, merge
from shards.editing.relabel import by_clip, class_list, with_labels, with_mapping
from shards.editing.settings import RelabelSettings
from shards.index import IndexRow
from shards.io.store import Store
from shards.label_columns import LabelColumns, durations_s
from shards.manifest import ShardEntry, totals, write_dataset
from shards.quality.finding import Needs
from shards.quality.label_notes import label_notes
from shards.quality.report import inspect
from shards.rows import BLOCK, Rows, table_of

CLIPS = BLOCK + 1000  # more than are kept
NEEDS = Needs(encoder="small", sample_rate_hz=16000, hop_s=0.04)
LABELS = st.none() | st.lists(st.sampled_from(["cat", "dog", "Dog", ""]), max_size=3)
HEARD = (Event(0.1, 0.5, "dog"), Event(0.4, 0.8, "cat"))
TIMES = st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0, 2.0])
EVENTS = st.none() | st.lists(st.builds(Event, TIMES, TIMES, st.sampled_from("ab")), max_size=4)


@pytest.fixture(scope="module")
def many() -> pa.Table:
    rows = [
        index_row(
            f"{n % 7}/{n}.wav",
            shard=f"shards/{n // 4096}.tar",
            offset=512 * n,
            checksum=f"{n:064x}",
            subset=("strong", "weak", "test")[n % 3],
            recording=None if n % 5 else f"r{n % 100}",
            weak=("dog",) if n % 3 == 1 else None,
            events=(Event(0.1, 0.5, "dog"), Event(0.4, 0.8, "cat"))[: n % 4]
            if n % 3 != 1
            else None,
            meta={"snr_db": n % 10},
        )
        for n in range(CLIPS)
    ]
    return table_of(rows)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The source ids of all rows that are built from here on."""
    found: list[str] = []
    make = IndexRow.__init__

    def counted(self: IndexRow, **values: object) -> None:
        found.append(str(values["source_id"]))
        make(self, **values)  # type: ignore[arg-type]

    monkeypatch.setattr(IndexRow, "__init__", counted)
    return found


def entries(table: pa.Table, name: str = "x") -> list[ShardEntry]:
    return [
        ShardEntry(
            name=each["values"], size=1, sha256=name, clips=each["counts"], url=f"/{name}/{n}"
        )
        for n, each in enumerate(table["shard"].value_counts().to_pylist())
    ]


def test_no_row_is_built_of_a_whole_index(
    many: pa.Table, built: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = Store.local(tmp_path_factory.mktemp("many"))
    described = {"name": "n", "licence": "l", "classes": ["cat", "dog"]}
    write_dataset(store, Rows(many), shards=entries(many), **described)  # type: ignore[arg-type]
    dataset = Dataset.open(store)
    rows = dataset.select()
    assert len(rows) == CLIPS == dataset.manifest.totals.clips
    assert len(dataset.select(["weak"])) == CLIPS // 3
    filtered = Rows(rows.table)
    filtered.keep(compile_filter('subset == "test" and meta.snr_db > 4').mask(rows))
    assert 0 < len(filtered) < CLIPS
    renamed = with_mapping(rows, [{"old": n, "new": f"a {n}"} for n in ("dog", "cat")], MAPPED)
    assert class_list(renamed, None, None) == ("a cat", "a dog")
    write_dataset(store, renamed, shards=entries(many), **described)  # type: ignore[arg-type]
    parts = [
        MergeInput(name=p, rows=rows, shards=entries(many, p), classes=None, prefix=p) for p in "ab"
    ]
    assert len(merge(parts).rows) == 2 * CLIPS
    level = {
        name: "" if pa.types.is_string(kind) else 0.5
        for name, kind in zip(LEVELS.names, LEVELS.types, strict=True)
    } | {"error": None}
    measured = pa.Table.from_pylist(
        [level | {"key": key, "content": key} for key in many["key"].to_pylist()], schema=LEVELS
    )
    found = inspect(rows, measured, name="n", licence="l", classes=["cat", "dog"], needs=NEEDS)
    assert (found.clips, len(found.labels)) == (CLIPS, 5)
    assert {f.kind for f in found.findings} >= {"recording_leak", "rate_low"}
    assert list(label_notes(rows)) == []
    assert not built
    listed, missing = by_clip(rows, [{"filename": "123", "event_labels": "owl"}])
    labelled = with_labels(rows, listed, RelabelSettings(others="keep"))
    assert missing == []
    assert set(built) == {"4/123.wav"}  # the clip that the table names, alone
    assert labelled[123].weak == ("owl",)
    assert labelled[124] == rows[124]


MAPPED = RelabelSettings()


def test_rows_are_a_list(many: pa.Table) -> None:
    rows = Rows(many)
    whole = list(rows)
    assert [rows[n] for n in (0, 8191, 8192, -1)] == [whole[n] for n in (0, 8191, 8192, -1)]
    for part in (slice(5, 9), slice(None, None, 1000), slice(None, None, -999), slice(9, 5)):
        assert rows[part] == whole[part]
    assert rows == whole
    assert rows != whole[:-1]
    assert rows[:9] == Rows(table_of(whole[:9]))
    with pytest.raises(IndexError):
        rows[CLIPS]


DRAWN = st.lists(st.tuples(LABELS, EVENTS), min_size=1, max_size=6)


@given(DRAWN)
@hypothesis_settings(max_examples=60, deadline=None)
def test_columns_say_what_rows_say(
    drawn: list[tuple[list[str] | None, list[Event] | None]],
) -> None:
    rows = [
        index_row(
            f"{n}.wav",
            weak=None if weak is None else tuple(weak),
            events=None if events is None else tuple(events),
        )
        for n, (weak, events) in enumerate(drawn)
    ]
    labels = LabelColumns.of(rows)
    names = [{*(r.weak or ()), *(e.label for e in r.events or ())} for r in rows]
    counts = {name: sum(name in each for each in names) for name in set().union(*names)}
    assert labels.clip_counts() == counts
    assert durations_s(rows).tolist() == [1.0] * len(rows)
    assert totals(rows).clips == len(rows)
    mapping = {"cat": ["x"], "dog": ["x", "y"], "Dog": [], "": ["z"], "a": ["b"], "b": ["b", "a"]}
    table = [{"old": o, "new": n} for o, news in mapping.items() for n in news or [""]]
    table = [each for each in table if each["old"]] + [{"old": "", "new": "z"}]
    found = with_mapping(rows, table, RelabelSettings())
    for row, new in zip(rows, found, strict=True):
        expected = dict.fromkeys(n for old in row.weak or () for n in mapping[old])
        assert new.weak == (None if row.weak is None else tuple(expected))
        moved = {replace(e, label=n) for e in row.events or () for n in mapping[e.label]}
        in_time = sorted(moved, key=lambda e: (e.onset_s, e.offset_s, e.label))
        assert new.events == (None if row.events is None else tuple(in_time))
        others = {k: v for k, v in asdict(new).items() if k not in ("weak", "events")}
        assert others.items() <= asdict(row).items()


@pytest.mark.parametrize(
    "text",
    [
        'subset == "weak"',
        'len(events) > 1 or "dog" in labels',
        "duration_s < 2",
        "meta.snr_db >= 7",
        "weak is None and events is not None",
        "True",
        'recording == "r5" or fold is None',
    ],
)
def test_a_filter_by_columns_is_that_of_rows(many: pa.Table, text: str) -> None:
    chosen, some = compile_filter(text), Rows(many)[:400]
    assert chosen.mask(some).tolist() == [chosen(row) for row in some]
