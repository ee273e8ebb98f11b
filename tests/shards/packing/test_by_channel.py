"""A clip for each channel: its samples, its names, its labels; mono stays as it is."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from packing import write_noise

from shards.audio.decoding import decode
from shards.clip import Clip, ClipError
from shards.io.store import Store
from shards.packing.by_channel import by_channel
from shards.packing.plan import ShardPlan, plan_shards, survey
from shards.packing.writer import write_shard


def clip(name: str, **more: str) -> Clip:
    return Clip(source_id=name, audio=f"{name}.wav", subset="weak", weak=("dog",), **more)


@pytest.mark.parametrize("codec", ["keep", "flac"])
def test_a_clip_per_channel(tmp_path: Path, codec: str) -> None:
    store = Store.local(tmp_path)
    samples = {
        name: write_noise(tmp_path / f"{name}.wav", seed=number, channels=channels)
        for number, (name, channels) in enumerate({"one": 1, "two": 2, "four": 4}.items())
    }
    clips = [clip("one"), clip("two", recording="tape"), clip("four")]
    surveyed, notes = by_channel(survey(store, clips)[0])
    assert notes == [
        "2 recordings of several channels are 6 clips, one for each channel: "
        "two-left, two-right, four-ch1, four-ch2, ..."
    ]
    [plan] = plan_shards(surveyed, 10**6, 0, codec=codec)
    assert ShardPlan.from_json(plan.to_json()) == plan
    path = tmp_path / "shard.tar"
    written = write_shard(store, plan, path, codec=codec, channel="each")
    rows = {row.source_id: row for row in written.rows}
    expected = {"one": ("one", 0), "two-left": ("two", 0), "two-right": ("two", 1)}
    expected |= {f"four-ch{n + 1}": ("four", n) for n in range(4)}
    assert rows.keys() == expected.keys()
    data = path.read_bytes()
    for name, (source, channel) in expected.items():
        row = rows[name]
        assert (row.channels, row.weak) == (1, ("dog",))
        assert row.recording == {"one": None, "two": "tape", "four": "four"}[source]
        stored = data[row.offset : row.offset + row.size]
        np.testing.assert_allclose(
            decode(stored, name), samples[source][:, channel], atol=2**-15, rtol=0
        )
        if source == "one" and codec == "keep":
            assert stored == (tmp_path / "one.wav").read_bytes()


def test_a_name_that_another_clip_has(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", np.zeros((800, 2)), 8000)
    sf.write(tmp_path / "a-left.wav", np.zeros(800), 8000)
    surveyed, _ = by_channel(survey(Store.local(tmp_path), [clip("a"), clip("a-left")])[0])
    with pytest.raises(ClipError, match=r"a-left: doubled id, of (a|a-left)\.wav"):
        plan_shards(surveyed, 10**6, 0)
