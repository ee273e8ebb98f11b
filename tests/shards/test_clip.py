"""Keys never collide and fit in a tar; labels are checked before anything is packed."""

import json
import math
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shards.clip import MAX_KEY_LENGTH, Clip, ClipError, Event, check_clip, escape_key

ids = st.one_of(
    st.text(st.characters(codec=None), min_size=1, max_size=200),
    st.text("a.=/- _é", min_size=1, max_size=12),  # what is easily confused
)


def clip(**changes: object) -> Clip:
    values = {"source_id": "yard.wav", "audio": "yard.wav", "subset": "strong"}
    return Clip(**{**values, **changes})


def plain_key(source_id: str) -> str:
    """The id that a short key stands for, by an independent rule: decode every `=xx`."""
    data = re.sub(
        rb"=([0-9a-f]{2})", lambda m: bytes.fromhex(m[1].decode()), escape_key(source_id).encode()
    )
    return data.decode("utf-8", "surrogatepass")


@given(ids)
@example("Yabc_460.000_470.000.wav")
@example("=2e")
@example("x" * 81)
@example("\udcff")
def test_keys_are_safe_and_bounded(source_id: str) -> None:
    key = escape_key(source_id)
    assert re.fullmatch(r"[A-Za-z0-9_=][A-Za-z0-9_=-]*", key)
    assert len(key) <= MAX_KEY_LENGTH
    if "==" not in key:
        assert plain_key(source_id) == source_id  # a short key can be undone: no two collide


@given(ids, ids)
@example("a" * 200, "a" * 199 + "b")
@example("a.b", "a=2eb")
@example("a/b", "a=2fb")
def test_two_ids_never_share_a_key(first: str, second: str) -> None:
    assert (escape_key(first) == escape_key(second)) == (first == second)


def test_a_long_id_cannot_be_forged_by_a_short_one() -> None:
    key = escape_key("a" * 500)
    assert len(key) == MAX_KEY_LENGTH
    assert escape_key(key) != key


def test_plain_names_stay_readable() -> None:
    assert escape_key("1-100032-A") == "1-100032-A"
    assert escape_key("Yabc_460.000") == "Yabc_460=2e000"
    assert escape_key("-ikrSfqB0LU") == "=2dikrSfqB0LU"
    with pytest.raises(ClipError, match="empty id"):
        escape_key("")


def test_json_round_trip() -> None:
    whole = clip(
        recording="77",
        fold=2,
        weak=(),
        events=(Event(0.5, 1.0, "Klingel – ö"),),
        meta={"scene": "Küche", "snr_db": 3.5},
    )
    for each in (whole, clip()):
        assert Clip.from_dict(json.loads(json.dumps(each.to_dict()))) == each


def test_a_late_offset_is_moved_to_the_end() -> None:
    late = clip(events=(Event(9.0, 10.12, "Dog"), Event(0.0, 1.0, "Cat")))
    checked = check_clip(late, 10.0, {"Dog", "Cat"})
    assert checked.events == (Event(9.0, 10.0, "Dog"), Event(0.0, 1.0, "Cat"))


@pytest.mark.parametrize(
    ("onset_s", "offset_s", "reason"),
    [
        (3.0, 2.0, "onset before the offset"),
        (2.0, 2.0, "onset before the offset"),
        (-0.1, 2.0, "0 s or later"),
        (math.nan, 2.0, "finite"),
        (1.0, math.inf, "finite"),
        (10.0, 10.2, "clip ends at 10.000 s"),
        (9.0, 10.6, "clip ends at 10.000 s"),
    ],
)
def test_impossible_times_are_refused(onset_s: float, offset_s: float, reason: str) -> None:
    with pytest.raises(ClipError, match=rf"^yard\.wav: .*{reason}.*$"):
        check_clip(clip(events=(Event(onset_s, offset_s, "Dog"),)), 10.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"weak": ("Dgo",)},
        {"events": (Event(0.0, 1.0, "Dgo"),)},
        {"weak": ("",)},
        {"subset": ""},
        {"meta": {"snr_db": math.nan}},
        {"meta": {"device": object()}},
        {"recording": "\udcff"},
    ],
)
def test_labels_and_values_are_checked(changes: dict[str, object]) -> None:
    with pytest.raises(ClipError) as caught:
        check_clip(clip(**changes), 10.0, {"Dog"})
    assert "yard.wav" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_that_is_wrong_with_a_clip_is_told_at_once() -> None:
    events = (Event(1, 2, "dog"), Event(3, 2, "dog"), Event(1, 2, "nan"), Event(0, math.inf, "cat"))
    clip = Clip(source_id="a", audio="a.wav", subset="strong", events=events)
    with pytest.raises(ClipError, match=r"^3 faults: a: got the label 'nan'.*3 s.*inf s"):
        check_clip(clip, 10.0)
