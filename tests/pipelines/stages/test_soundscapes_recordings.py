"""All recordings that no soundscape can be made of are told in one go, or left out and counted."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from in_driver import shards_in_driver

from pipelines.runtime.files.urls import open_dataset
from pipelines.stages.pack.stage import pack
from pipelines.stages.settings import PackSettings, SoundscapesSettings
from pipelines.stages.soundscapes.rendering import Renderer
from pipelines.stages.soundscapes.stage import soundscapes
from shards.io.store import Store
from shards.repair.verification import verify
from shards.soundscapes.demo_sounds import write_demo_recordings
from shards.soundscapes.scene import SoundscapeError, SoundscapeSettings

RATE = 8000
SETTINGS = SoundscapesSettings(
    counts={"strong": 2, "validation": 1, "test": 1},
    scene=SoundscapeSettings(sample_rate_hz=RATE, duration_s=2.0, event_max_s=1.0),
)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[str, str]:
    """Five recordings a class, of which some cannot be used, and backgrounds."""
    rng = np.random.default_rng(0)
    for kind in ("events/dog", "events/bell", "rooms"):
        (tmp_path / kind).mkdir(parents=True)
        for number in range(5):
            samples = 0.3 * rng.standard_normal(RATE)
            sf.write(tmp_path / kind / f"{number}.wav", samples, RATE)
    dog = tmp_path / "events" / "dog"
    sf.write(dog / "short.wav", 0.3 * rng.standard_normal(RATE // 10), RATE)
    sf.write(dog / "silent.wav", np.zeros(RATE), RATE)
    (dog / "text.wav").write_bytes(b"no sound at all")
    sf.write(tmp_path / "rooms" / "dead.wav", np.zeros(RATE), RATE)
    (dog / "gone.wav").symlink_to("/moved/gone.wav")
    (dog / "notes.docx").write_bytes(b"?")
    return str(tmp_path / "events"), str(tmp_path / "rooms")


def test_all_at_once(folders: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(SoundscapeError) as caught:
        soundscapes(*folders, str(tmp_path / "out"), SETTINGS)
    said = str(caught.value)
    assert said.startswith("5 of 19 recordings cannot be used: ")
    for part in (
        "dog/short.wav: lasts 0.100 s; expected 0.25 s or more for an event",
        "--scene.event-min-s",
        "dog/silent.wav: silent",
        "dog/text.wav: ",
        "dead.wav: silent",
        "gone.wav: a link that leads nowhere",
        "--on-error skip",
    ):
        assert part in said
    assert "remove" not in said.replace("or remove the link", "")
    assert not (tmp_path / "out").exists()


def test_left_out(
    folders: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    shards_in_driver(monkeypatch, "pipelines.stages.soundscapes.stage")
    monkeypatch.setattr(logging.getLogger("pmam"), "propagate", True)
    url = soundscapes(*folders, str(tmp_path / "out"), replace(SETTINGS, on_error="skip"))
    result = json.loads((Path(url) / "stage.json").read_text())["result"]
    assert (result["clips"], result["classes"]) == (4, ["bell", "dog"])
    assert len(result["skipped"]) == 5
    assert "left out 5 recordings of 19" in caplog.text
    assert "1 .docx" in caplog.text
    used = "".join(path.read_text() for path in Path(url).glob("recipes/*.jsonl"))
    assert not any(name in used for name in ("short", "silent", "text", "gone", "dead"))


def test_straight_into_shards_is_what_packing_the_files_gives(
    folders: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("soundscapes", "pack"):
        shards_in_driver(monkeypatch, f"pipelines.stages.{module}.stage")
    settings = replace(
        SETTINGS, on_error="skip", counts={**SETTINGS.counts, "weak": 2, "unlabeled": 1}
    )
    files = soundscapes(*folders, str(tmp_path / "files"), settings)
    packed = open_dataset(pack(files, str(tmp_path / "packed"), PackSettings(name="x")))
    written: list[str] = []
    write = Store.write
    monkeypatch.setattr(
        Store, "write", lambda self, name, data: (written.append(name), write(self, name, data))
    )
    straight = replace(settings, shards=True)
    made = open_dataset(soundscapes(*folders, str(tmp_path / "made"), straight))
    assert not [name for name in written if name.endswith((".flac", ".wav"))]
    assert made.manifest.totals == packed.manifest.totals
    assert made.manifest.classes == packed.manifest.classes
    assert len(made.rows) == 7
    elsewhere: dict[str, Any] = {"shard": "", "offset": 0, "events": None}
    for row in made.rows:
        (other,) = packed.rows_of([row.key])
        assert replace(row, **elsewhere) == replace(other, **elsewhere)
        assert made.read(row) == packed.read(other)
        pairs = zip(row.events or (), other.events or (), strict=True)
        for event, rounded in pairs:  # tables tell milliseconds
            assert event.label == rounded.label
            assert event.onset_s == pytest.approx(rounded.onset_s, abs=6e-4)
            assert event.offset_s == pytest.approx(rounded.offset_s, abs=6e-4)
        assert (row.events is None) == (other.events is None)
    assert not verify(made.store).problems


def test_recordings_that_are_synthesised_are_kept_until_they_are_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in the middle they are there; what is mixed of them is the same; then they go."""
    shards_in_driver(monkeypatch, "pipelines.stages.soundscapes.stage")
    settings = replace(SETTINGS, shards=True, name="n", licence="CC0-1.0")

    def synthesise(into: Store) -> None:
        write_demo_recordings(into, 0, per_class=5)

    def mixed(out: Path) -> Path:
        given = {"inputs": {"recordings": lambda: "seed 0"}, "synthesise": synthesise}
        return Path(soundscapes(None, None, str(out), settings, **given))  # type: ignore[arg-type]

    tried = []

    def fails(self: object, task: object) -> object:
        tried.append(task)
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(Renderer, "__call__", fails)
        with pytest.raises(KeyboardInterrupt):
            mixed(tmp_path / "a")
    assert tried
    assert list((tmp_path / "a" / "recordings").rglob("*.wav"))
    one, other = mixed(tmp_path / "a"), mixed(tmp_path / "b")
    assert not (one / "recordings").exists()
    manifest = open_dataset(str(one)).manifest
    assert (manifest.name, manifest.licence) == ("n", "CC0-1.0")
    assert manifest == open_dataset(str(other)).manifest
