"""What each format writes comes back, but for what it says it cannot hold."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.annotations.event import (
    OPTIONAL_FIELDS,
    AnnotatedFile,
    AnnotationError,
    Columns,
    SoundEvent,
)
from shards.annotations.format import Content
from shards.annotations.loss import lost
from shards.annotations.registry import FORMATS, format_named, read, recognise, write

words = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\0"), min_size=1, max_size=9
).map(lambda text: "x" + text + "y")
labels = st.one_of(
    st.sampled_from(["dog", 'a "b", c', 'item [1]: "', "tab\there", "x\ny", "élan"]), words
)
microseconds = st.integers(0, 10**9)
extras = st.dictionaries(st.sampled_from(["Delta Time (s)", "site", "Mood"]), words, max_size=2)


@st.composite
def sound_events(draw: st.DrawFn) -> SoundEvent:
    onset, length = draw(microseconds), draw(st.sampled_from([0, 1, 1000, 12345, 10**7]))
    low = draw(st.none() | st.integers(0, 20_000))
    high = None if low is None else low + draw(st.integers(1, 20_000))
    return SoundEvent(
        onset_s=onset / 1e6,
        offset_s=(onset + length) / 1e6,
        label=draw(labels),
        score=draw(st.none() | st.integers(0, 10_000).map(lambda n: n / 10_000)),
        low_hz=None if low is None else low / 2,
        high_hz=None if high is None else high / 2,
        channel=draw(st.none() | st.integers(1, 8)),
        annotator=draw(st.none() | words),
        notes=draw(st.none() | words),
        extra=draw(extras),
    )


def annotated(draw: st.DrawFn, file: str) -> AnnotatedFile:
    events = draw(st.lists(sound_events(), max_size=4))
    rate = draw(st.sampled_from([None, 8000, 44100]))
    longest = max((event.offset_s for event in events), default=0.0)
    duration = draw(st.none() | st.integers(1, 100).map(lambda n: longest + n))
    return AnnotatedFile(file=file, events=tuple(events), duration_s=duration, sample_rate_hz=rate)


@st.composite
def several(draw: st.DrawFn) -> list[AnnotatedFile]:
    names = draw(
        st.lists(
            st.sampled_from(["a.wav", "day 1/b.flac", "é,.ogg"]),
            unique=True,
            min_size=1,
            max_size=3,
        )
    )
    return [annotated(draw, name) for name in names]


def kept(event: SoundEvent, name: str) -> SoundEvent:
    """What a format says that it holds of an event."""
    form = FORMATS[name]
    gone = {field: None for field in OPTIONAL_FIELDS if field not in form.holds}
    extra = event.extra if form.holds_extra else {}
    label = re.sub(form.changes_text, " ", event.label) if form.changes_text else event.label
    return replace(event, **gone, label=label, extra=extra)


def as_read(event: SoundEvent, name: str) -> SoundEvent:
    """What comes back of it: some formats always tell a channel, RTTM has no spaces."""
    event = kept(event, name)
    if name in ("raven", "rttm") and event.channel is None:
        event = replace(event, channel=1)
    if name == "rttm":
        event = replace(event, label=event.label.replace(" ", "_"))
    if name == "svl" and event.low_hz == event.high_hz == 0:
        event = replace(event, low_hz=None, high_hz=None)
    return event


def assert_same(found: AnnotatedFile, expected: AnnotatedFile, name: str) -> None:
    step = FORMATS[name].resolution_s
    wanted = sorted((as_read(e, name) for e in expected.events), key=_key)
    got = sorted(found.events, key=_key)
    assert [_key(each) for each in got] == [_key(each) for each in wanted]
    for times in ("onset_s", "offset_s"):
        ours, theirs = (
            sorted((_key(event), getattr(event, times)) for event in events)
            for events in (got, wanted)
        )
        for (_, our_s), (_, their_s) in zip(ours, theirs, strict=True):
            assert our_s == pytest.approx(their_s, abs=2.01 * step)


def _key(event: SoundEvent) -> str:
    return repr(replace(event, onset_s=0, offset_s=0, extra=dict(sorted(event.extra.items()))))


def round_trip(files: list[AnnotatedFile], name: str) -> list[AnnotatedFile]:
    data = b"".join(write(files, FORMATS[name]))
    content = Content(data=data, path="x", audio=files[0].file if files else "AUDIO")
    if files:
        assert recognise(content) == name
    return read(content, name)


@pytest.mark.parametrize("name", [name for name in FORMATS if not FORMATS[name].one_file])
@settings(max_examples=25, deadline=None)
@given(files=several())
def test_tables_of_several_files_come_back(name: str, files: list[AnnotatedFile]) -> None:
    found = round_trip(files, name)
    expected = {
        file.file.replace(" ", "_") if name == "rttm" else file.file: file for file in files
    }
    assert {file.file for file in found} == set(expected)
    for file in found:
        assert_same(file, expected[file.file], name)


@pytest.mark.parametrize("name", [name for name in FORMATS if FORMATS[name].one_file])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_file_of_one_recording_comes_back(name: str, data: st.DataObject) -> None:
    file = annotated(data.draw, data.draw(st.sampled_from(["a.wav", "b 2.flac"])))
    (found,) = round_trip([file], name)
    assert found.file == file.file
    assert_same(found, file, name)
    if name.startswith("textgrid"):
        assert found.duration_s == pytest.approx(max(file.end_s(), 1e-6), abs=1e-6)


@pytest.mark.parametrize("name", FORMATS)
def test_files_without_events_stay_files_without_events(name: str) -> None:
    files = [AnnotatedFile(file="a.wav"), AnnotatedFile(file="b.wav")]
    files = files[:1] if FORMATS[name].one_file else files
    assert [(file.file, file.events) for file in round_trip(files, name)] == [
        (file.file, ()) for file in files
    ]


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_events_are_the_same_bytes(name: str) -> None:
    files = [
        AnnotatedFile(file="a", events=(SoundEvent(onset_s=0, offset_s=1, label="dog", score=0.5),))
    ]
    assert [*write(files, FORMATS[name])] == [*write(files, FORMATS[name])]


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_name_that_is_not_utf8_is_still_text(name: str) -> None:
    file = b"caf\xe9.wav".decode("utf-8", "surrogateescape")
    event = SoundEvent(onset_s=0, offset_s=1, label="dog")
    data = b"".join(write([AnnotatedFile(file=file, events=(event,))], FORMATS[name]))
    if name != "parquet":
        data.decode("utf-8")


EVENT = SoundEvent(
    onset_s=1,
    offset_s=1,
    label="a\tb\n\x01",
    score=0.5,
    low_hz=1,
    high_hz=2,
    notes="n",
    extra={"x": "y"},
)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("csv", ["characters"]),
        ("raven", ["characters"]),
        ("audacity", ["score", "notes", "column 'x'", "characters"]),
        ("rttm", ["lowest", "highest", "notes", "column 'x'", "characters"]),
        ("jams", ["lowest", "highest", "notes", "column 'x'"]),
        ("eaf", ["score", "lowest", "highest", "notes", "column 'x'", "characters", "points"]),
        ("textgrid", ["score", "lowest", "highest", "notes", "column 'x'"]),
        ("svl", ["score", "notes", "column 'x'", "characters"]),
    ],
)
def test_what_a_format_cannot_hold_is_told(name: str, told: list[str]) -> None:
    found = lost([AnnotatedFile(file="a", events=(EVENT, EVENT))], FORMATS[name])
    assert len(found) == len(told), found
    for line in found:
        assert " cannot hold 2 " in line
    for word in told:
        assert any(word in line for line in found), found


@pytest.mark.parametrize("name", [name for name in FORMATS if FORMATS[name].one_file])
def test_a_format_of_one_file_refuses_two(name: str) -> None:
    with pytest.raises(AnnotationError, match="got several files"):
        list(write([AnnotatedFile(file="a"), AnnotatedFile(file="b")], FORMATS[name]))


@pytest.mark.parametrize(
    "name", ["tsv", "csv", "json", "jsonl", "rttm", "label-studio", "birdnet", "kaleidoscope"]
)
def test_a_file_is_written_before_the_next_is_asked_for(name: str) -> None:
    asked = []

    def files():  # type: ignore[no-untyped-def]
        for file in ("first.wav", "second.wav"):
            asked.append(file)
            event = SoundEvent(onset_s=0, offset_s=1, label="dog", score=0.5)
            yield AnnotatedFile(file=file, events=(event,))

    for piece in write(files(), FORMATS[name], Columns(("score",))):
        if b"first.wav" in piece:
            break
    assert asked == ["first.wav"]


def test_an_unknown_format_names_the_nearest() -> None:
    with pytest.raises(
        AnnotationError, match=r"format 'ravn': expected one of .*did you mean 'raven'"
    ):
        format_named("ravn")
