"""AudioSet's strong labels: names of audio, names of classes, and what is missing."""

import random
from pathlib import Path

import pytest

from shards.clip import Event
from shards.io.store import Store
from shards.sources import SOURCES
from shards.sources._tables import SourceError, SourceListing

HEADER = "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\n"
TRAIN = (
    f"{HEADER}b0RFKhbpFJA_30000\t0.000\t10.000\t/m/03m9d0z\n"
    "b0RFKhbpFJA_30000\t4.753\t5.720\t/m/05zppz\n"
)
EVAL = f"{HEADER}s9d-2nhuJCQ_30000\t2.627\t7.237\t/m/053hz1\n"
NAMES = "/m/03m9d0z\tWind\n/m/05zppz\tMale speech, man speaking\n/m/053hz1\tCheering\n/m/0\tOther\n"


def listing(root: Path, **options: str) -> SourceListing:
    return SOURCES["audioset_strong"](Store.local(root), options)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "audioset_train_strong.tsv").write_text(TRAIN)
    (tmp_path / "audioset_eval_strong.tsv").write_text(EVAL)
    (tmp_path / "mid_to_display_name.tsv").write_text(NAMES)
    (tmp_path / "train").mkdir()
    (tmp_path / "train/b0RFKhbpFJA_30000.wav").touch()
    return tmp_path


def test_events_and_names(root: Path) -> None:
    (root / "other.wav").touch()
    found = listing(root)
    [clip] = found.clips
    assert (clip.source_id, clip.subset, clip.recording) == (
        "b0RFKhbpFJA_30000",
        "strong",
        "b0RFKhbpFJA",
    )
    assert clip.events == (
        Event(0, 10, "Wind"),
        Event(4.753, 5.72, "Male speech, man speaking"),
    )
    assert clip.meta == {"start_s": 30.0}
    assert found.classes == ("Male speech, man speaking", "Wind")
    assert found.missing == ("s9d-2nhuJCQ_30000",)
    assert found.extra == ("other.wav",)
    assert found.notes == (
        "strong: 1 of 103463 clips present (0.0 %)",
        "test: 0 of 16996 clips present (0.0 %)",
    )


@pytest.mark.parametrize(
    "name",
    [
        "s9d-2nhuJCQ.flac",
        "Ys9d-2nhuJCQ.wav",
        "s9d-2nhuJCQ_30000.wav",
        "s9d-2nhuJCQ_30000_40000.wav",
        "s9d-2nhuJCQ_30_40.mp3",
        "s9d-2nhuJCQ_30.wav",
        "Ys9d-2nhuJCQ_30.000_40.000.wav",
        "s9d-2nhuJCQ_30.0_38.7.ogg",
    ],
)
def test_usual_names_of_audio(root: Path, name: str) -> None:
    (root / "eval").mkdir()
    (root / "eval" / name).touch()
    found = {clip.source_id: clip for clip in listing(root).clips}
    assert found["s9d-2nhuJCQ_30000"].audio == f"eval/{name}"
    assert found["s9d-2nhuJCQ_30000"].subset == "test"


def test_audio_of_another_start_is_not_taken(root: Path) -> None:
    (root / "s9d-2nhuJCQ_60000.wav").touch()
    (root / "s9d-2nhuJCQ_60_70.wav").touch()
    assert listing(root).extra == ("s9d-2nhuJCQ_60000.wav", "s9d-2nhuJCQ_60_70.wav")


def test_ids_with_underscores_and_digits(root: Path) -> None:
    segment = "Y_12_345678_0"
    (root / "audioset_eval_strong.tsv").write_text(f"{HEADER}{segment}\t0\t1\t/m/0\n")
    (root / "YY_12_345678_0.000_10.000.wav").touch()
    found = {clip.source_id: clip.audio for clip in listing(root).clips}
    assert found[segment] == "YY_12_345678_0.000_10.000.wav"


def test_machine_ids_as_labels(root: Path) -> None:
    (root / "mid_to_display_name.tsv").unlink()
    with pytest.raises(SourceError, match=r"got no mid_to_display_name\.tsv; expected it beside"):
        listing(root)
    assert listing(root, labels="mid").classes == ("/m/03m9d0z", "/m/05zppz")


def with_names(text: str) -> str:
    for line in NAMES.splitlines():
        mid, name = line.split("\t")
        text = text.replace(f"\t{mid}\n", f"\t{name}\n")
    return text


@pytest.mark.parametrize("table", ["names", "mids", "names and mids"])
def test_tables_of_names_and_of_mids_say_the_same(root: Path, table: str) -> None:
    expected = {form: listing(root, labels=form) for form in ("name", "mid")}
    train = TRAIN if table == "mids" else with_names(TRAIN)
    (root / "audioset_train_strong.tsv").write_text(train)
    (root / "audioset_eval_strong.tsv").write_text(with_names(EVAL) if table == "names" else EVAL)
    for form, as_before in expected.items():
        assert listing(root, labels=form) == as_before
    (root / "mid_to_display_name.tsv").unlink()
    if table == "names":  # nothing to look up
        assert listing(root) == expected["name"]
        with pytest.raises(SourceError, match=r"got no mid_to_display_name.*labels name"):
            listing(root, labels="mid")


def test_names_that_the_table_of_names_lacks_or_has_twice(root: Path) -> None:
    (root / "audioset_train_strong.tsv").write_text(with_names(TRAIN).replace("Wind", "Wnid"))
    with pytest.raises(SourceError, match="got no MID for Wnid; restore the table"):
        listing(root, labels="mid")
    (root / "audioset_train_strong.tsv").write_text(with_names(TRAIN))
    with (root / "mid_to_display_name.tsv").open("a") as file:
        file.write("/m/other\tWind\n")
    with pytest.raises(SourceError, match="'Wind' is /m/03m9d0z and /m/other"):
        listing(root, labels="mid")


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("audioset_eval_strong.tsv", f"{HEADER}short_1\t0\t1\t/m/0\n", "row 2: got the segment"),
        ("audioset_eval_strong.tsv", "a\tb\nc\td\n", "row 1: got the columns a, b"),
        (
            "mid_to_display_name.tsv",
            "/m/0\tOther\n",
            "got no name for /m/03m9d0z; /m/053hz1; /m/05zppz; restore",
        ),
        (
            "mid_to_display_name.tsv",
            NAMES.replace("Cheering", "Wind"),
            "/m/03m9d0z and /m/053hz1 are both 'Wind'",
        ),
        ("copy/b0RFKhbpFJA_30000.flac", "", "b0RFKhbpFJA_30000: got copy/b0RFKhbpFJA_30000.flac"),
        ("copy/audioset_eval_strong.tsv", EVAL, "audioset_eval_strong.tsv; remove one"),
    ],
)
def test_what_cannot_be_meant(root: Path, file: str, text: str, reason: str) -> None:
    (root / file).parent.mkdir(exist_ok=True)
    (root / file).write_text(text)
    with pytest.raises(SourceError, match=reason) as caught:
        listing(root)
    assert "\n" not in str(caught.value)


def test_no_tables_and_no_audio_of_them(root: Path) -> None:
    (root / "train/b0RFKhbpFJA_30000.wav").rename(root / "train/a.wav")
    with pytest.raises(SourceError, match=r"got audio such as train/a\.wav of none of the 2"):
        listing(root)
    for path in root.glob("audioset_*"):
        path.unlink()
    with pytest.raises(SourceError, match=r"got no audioset_train_strong\.tsv or audioset_eval"):
        listing(root)


def test_the_order_of_rows_does_not_matter(root: Path) -> None:
    before = listing(root)
    rows = TRAIN.splitlines()[1:]
    random.Random(1).shuffle(rows)
    (root / "audioset_train_strong.tsv").write_text(HEADER + "\n".join(rows[::-1]) + "\n")
    assert listing(root) == before
