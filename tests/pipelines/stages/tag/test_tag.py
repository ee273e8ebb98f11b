"""`pmam tag`: what is told where, what is kept, and what is refused."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from packing import pack
from tone_tagger import RATE_HZ, TONES, use_tones, write_tones, write_weights

from pipelines.cli.main import main
from pipelines.inference.audio_inputs import AudioInput, audio_inputs
from pipelines.inference.frame_job import open_frames
from pipelines.stages.tag.results import TagSet
from pipelines.stages.tag.stage import FILES_TOGETHER, TagWorker, tasks_of
from pmam.tagging.recording import window_probabilities
from pmam.tagging.settings import TagSettings
from pmam.tagging.taggers import Tagger
from shards.clip import Clip


@pytest.fixture(autouse=True)
def tones(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tones(monkeypatch)


@pytest.fixture
def tagger(tmp_path: Path) -> list[str]:
    """The tagger's options."""
    weights, classes = write_weights(tmp_path)
    return [
        "--weights",
        str(weights),
        "--classes",
        str(classes),
        "--window-s",
        "1",
        "--least-s",
        "1",
    ]


def test_tags_are_told_where_they_sound(
    tagger: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_tones(tmp_path / "a.wav", [("Speech", 2), ("", 1), ("Gunshot", 1.5)])
    main(["tag", str(file), *tagger])
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out), delimiter="\t"))
    told = [(row["onset"], row["offset"], row["tag"]) for row in rows]
    assert told == [
        ("0.000", "1.000", "Speech"),
        ("1.000", "2.000", "Speech"),
        ("3.000", "4.000", "Gunshot"),
        ("4.000", "4.500", "Gunshot"),
    ]
    assert all(float(row["probability"]) > 0.99 and row["filename"] == str(file) for row in rows)


def test_json_top_and_threshold(
    tagger: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_tones(tmp_path / "a.wav", [("Speech", 2)])
    main(["tag", str(file), *tagger, "--format", "json", "--threshold", "0", "--top", "2"])
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["file"] == str(file) and entry["duration_s"] == 2
    tags = [[t["tag"] for t in window["tags"]] for window in entry["windows"]]
    assert [(row[0], len(row)) for row in tags] == [("Speech", 2)] * 2
    probabilities = [t["probability"] for t in entry["windows"][0]["tags"]]
    assert probabilities == sorted(probabilities, reverse=True)


def test_frame_scores_of_a_dataset_are_kept_by_its_keys(tagger: list[str], tmp_path: Path) -> None:
    clips = []
    for n in range(4):
        name = f"{n}.wav"
        write_tones(tmp_path / "source" / name, [(list(TONES)[n % 3], 1 + n)])
        clips.append(Clip(source_id=name, audio=name, subset="test"))
    dataset, _ = pack(tmp_path / "source", clips, tmp_path / "set", target_bytes=40_000)
    out = tmp_path / "out"
    command = ["tag", str(tmp_path / "set"), *tagger, "--output-dir", str(out)]
    main(command)
    frames = open_frames(str(out / "tags-1"))
    assert len({row.shard for row in dataset.rows}) == len(frames.files) > 1
    assert sorted(frames) == sorted(row.key for row in dataset.rows)
    for row in dataset.rows:
        n = int(row.source_id[0])
        assert frames.read(row.key).argmax(axis=1).tolist() == [n % 3] * (1 + n)
    assert frames.spec.hop_s == 1 and frames.spec.kind == "scores"
    assert frames.spec.columns == tuple(TONES)
    # The same again reads what is there; how many tags count is no matter of what is stored.
    before = (out / "tags-1" / "stage.json").read_bytes()
    main([*command, "--top", "1", "--format", "json"])
    assert (out / "tags-1" / "stage.json").read_bytes() == before
    assert (out / "tags.tsv").exists() and (out / "tags.json").exists()


def test_another_hop_is_refused_in_the_same_folder(
    tagger: list[str], tmp_path: Path, refused: Callable[..., str]
) -> None:
    file = write_tones(tmp_path / "a.wav", [("Speech", 2)])
    main(["tag", str(file), *tagger, "--output-dir", str(tmp_path / "out")])
    again = ["tag", file, *tagger, "--output-dir", tmp_path / "out"]
    assert "tags.hop_s" in refused(*again, "--hop-s", "0.5")


def test_a_file_that_cannot_be_read_is_skipped_and_counted(
    tagger: list[str], tmp_path: Path, refused: Callable[..., str]
) -> None:
    write_tones(tmp_path / "in" / "a.wav", [("Rain", 2)])
    (tmp_path / "in" / "b.wav").write_bytes(b"no sound")
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as ended:
        main(["tag", str(tmp_path / "in"), *tagger, "--output-dir", str(out)])
    assert ended.value.code == 1
    assert "b.wav: cannot be read as audio" in (out / "skipped.tsv").read_text()
    assert [Path(each.name).name for each in TagSet(str(out / "tags-1")).recordings] == ["a.wav"]
    assert "b.wav: cannot be read" in refused("tag", tmp_path / "in", *tagger, "--on-error", "fail")


def test_short_audio_is_repeated_and_told(
    tagger: list[str],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    file = write_tones(tmp_path / "a.wav", [("Rain", 0.3)])
    main(["tag", str(file), *tagger])
    assert "\t0.000\t0.300\tRain\t" in capfd.readouterr().out
    assert "1 of 1 recordings are shorter than a window of 1 s" in caplog.text


def test_what_no_tagger_can_use_is_refused(
    tagger: list[str], tmp_path: Path, refused: Callable[..., str]
) -> None:
    file = write_tones(tmp_path / "a.wav", [("Rain", 1)])
    weights = ("--weights", tagger[1])
    line = refused("tag", file, *weights)
    assert "3 outputs without class names" in line and "--classes" in line
    (tmp_path / "two.txt").write_text("a\nb\n")
    line = refused("tag", file, *weights, "--classes", tmp_path / "two.txt")
    assert "got 2 class names for a tagger of 3 outputs" in line
    (tmp_path / "twice.txt").write_text("a\nb\na\n")
    assert "each once" in refused("tag", file, *weights, "--classes", tmp_path / "twice.txt")
    assert "no such file" in refused("tag", file, *weights, "--classes", tmp_path / "absent.txt")
    torch.save({"other": torch.zeros(3)}, tmp_path / "other.pt")
    line = refused("tag", file, "--weights", tmp_path / "other.pt")
    assert "other.pt: no tagging head" in line and "weights of a tagger mn04" in line
    assert "no such file" in refused("tag", file, "--weights", tmp_path / "absent.pt")
    assert "no files" in refused("tag", *tagger)
    assert "zero samples" in refused("tag", empty(tmp_path), *tagger)


def empty(folder: Path) -> Path:
    sf.write(folder / "empty.wav", np.zeros(0), RATE_HZ)
    return folder / "empty.wav"


def test_files_are_tasks_of_bounded_size(tmp_path: Path) -> None:
    audio = [AudioInput(name=f"{n}.wav", url=f"{n}.wav") for n in range(FILES_TOGETHER + 1)]
    tasks = tasks_of(audio)
    assert [len(task["audio"]) for task in tasks.values()] == [FILES_TOGETHER, 1]
    assert tasks_of(audio) == tasks


def test_noise_is_of_the_ratio_that_is_asked_for(tmp_path: Path) -> None:
    heard: list[torch.Tensor] = []

    class Listening(torch.nn.Linear):
        def forward(self, waveform: torch.Tensor) -> torch.Tensor:
            heard.append(waveform)
            return torch.zeros(len(waveform), 1)

    tagger = Tagger(network=Listening(1, 1), rate_hz=RATE_HZ, classes=1)
    whole = np.sin(np.arange(8 * RATE_HZ) / 3).astype(np.float32)
    settings = TagSettings(window_s=1, least_s=1, noise=20.0)
    list(window_probabilities(tagger, lambda: iter(np.array_split(whole, 5)), settings))
    first = torch.cat([w for batch in heard for w in batch])
    noise = first.numpy() - whole
    ratio_db = 10 * np.log10(np.mean(whole**2) / np.mean(noise**2))
    assert ratio_db == pytest.approx(20, abs=0.1)


def test_a_worker_writes_the_same_for_the_same(tagger: list[str], tmp_path: Path) -> None:
    """A task that Ray tries again overwrites what is there with the same bytes."""
    write_tones(tmp_path / "in" / "a.wav", [("Rain", 2), ("Speech", 1)])
    tasks = tasks_of(audio_inputs([str(tmp_path / "in")]).audio)
    made = []
    for out in ("one", "two"):
        worker = TagWorker(
            str(tmp_path / out), "mn04", tagger[1], tuple(TONES), TagSettings(window_s=1), "fail"
        )
        (task,) = tasks.values()
        result = worker(task)
        made.append([(tmp_path / out / name).read_bytes() for name in result["outputs"]])
    assert made[0] == made[1]
