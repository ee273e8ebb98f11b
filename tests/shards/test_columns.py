"""The index by columns says what its rows say."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from index_rows import index_row

from shards.clip import Event
from shards.columns import Columns
from shards.index import IndexRow, rows_to_table

WEAK = st.none() | st.lists(st.sampled_from(["cat", "dog"]), unique=True).map(tuple)
EVENTS = st.none() | st.lists(
    st.just(Event(onset_s=0.0, offset_s=0.5, label="cat")), max_size=2
).map(tuple)
ROWS = st.lists(
    st.tuples(st.sampled_from("ab"), WEAK, EVENTS, st.sampled_from([8000, 44100])), max_size=20
).map(
    lambda drawn: [
        index_row(f"{n}.wav", subset=subset, weak=weak, events=events, sample_rate_hz=rate)
        for n, (subset, weak, events, rate) in enumerate(drawn)
    ]
)


@given(rows=ROWS, picked=st.sets(st.integers(0, 25)))
def test_which_clips_are_chosen(rows: list[IndexRow], picked: set[int]) -> None:
    columns = Columns(rows_to_table(rows))
    keys = [index_row(f"{n}.wav").key for n in picked]  # some that no clip has
    for subset in "abc":
        expected = [n for n, row in enumerate(rows) if row.subset == subset]
        assert np.flatnonzero(columns.of_subset(subset)).tolist() == expected
        chosen = columns.chosen(subset)
        assert chosen[np.arange(len(chosen))].tolist() == expected
    assert columns.among(keys).tolist() == [row.key in keys for row in rows]
    assert columns.labelled().tolist() == [bool(row.weak or row.events) for row in rows]
    assert columns.sample_rates_hz().tolist() == [row.sample_rate_hz for row in rows]
