import io
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pytest
from frame_cases import clips, spec, write
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from shards.frames.frame_set import FrameSet
from shards.frames.reader import FrameFile
from shards.frames.sparse8 import ERROR_BOUND, decode_sparse8, sparse8_columns
from shards.frames.writer import FrameWriter
from shards.io.store import Store


@pytest.mark.parametrize(
    ("dtype", "bound"), [("float32", 0), ("float16", 2**-12), ("sparse8", ERROR_BOUND + 1e-7)]
)
def test_what_is_written_is_read(tmp_path, dtype, bound):
    rows = clips()
    the_spec = spec(dtype=dtype, kind="scores", first_frame_s=0.04)
    write(tmp_path / "a.arrow", rows, the_spec)
    file = FrameFile.open(Store.local(tmp_path), "a.arrow")
    assert file.keys == tuple(rows)
    assert file.spec == the_spec
    for key in reversed(rows):
        found = file.read(key)
        assert found.dtype == np.float32
        assert found.shape == rows[key].shape
        assert np.abs(found - rows[key]).max() <= bound
        assert file.positions(key) is None


def test_names_of_columns_are_kept_and_files_without_go_with_those(tmp_path):
    rows = clips()
    plain = spec(dtype="float32", kind="scores")
    names = tuple(f'class {n}, "x"' for n in range(plain.width))
    named = replace(plain, columns=names)
    keys = list(rows)
    write(tmp_path / "a.arrow", {keys[0]: rows[keys[0]]}, named)
    write(tmp_path / "b.arrow", {keys[1]: rows[keys[1]]}, plain)
    files = FrameSet(Store.local(tmp_path), ["a.arrow", "b.arrow"])
    assert [file.spec.columns for file in files.files] == [names, ()]
    with pytest.raises(ValueError, match="got 1 names of columns"):
        replace(plain, columns=("one",))


@given(
    values=hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40),
        elements=st.floats(0, 1, width=32),
    )
)
@settings(max_examples=150, deadline=None)
def test_sparse8_is_within_its_bound(values):
    decoded = decode_sparse8(b"".join(sparse8_columns(values)), *values.shape)
    assert np.abs(decoded.astype(np.float64) - values).max() <= ERROR_BOUND + 1e-7
    assert (decoded[values == 0] == 0).all()
    assert (decoded[values == 1] == 1).all()


@pytest.mark.parametrize("width", [1, 255, 256, 1000])
def test_sparse8_holds_frames_where_every_entry_is_kept(width):
    values = np.full((3, width), 0.7, np.float32)
    values[1] = 0
    assert (
        np.abs(decode_sparse8(b"".join(sparse8_columns(values)), 3, width) - values).max()
        <= ERROR_BOUND
    )


def mixture_posteriors(frames, width=48):
    """Posteriors of 30 unit Gaussians in ten groups of three that overlap: soft, on few."""
    generator = np.random.default_rng(0)
    groups = np.repeat(2.0 * generator.standard_normal((10, width)), 3, axis=0)
    means = groups + 0.25 * generator.standard_normal((30, width))
    x = means[generator.integers(30, size=frames)]
    x = x + generator.standard_normal(x.shape)
    logits = x @ means.T - 0.5 * (means**2).sum(1)
    posteriors = np.exp(logits - logits.max(1, keepdims=True))
    return (posteriors / posteriors.sum(1, keepdims=True)).astype(np.float32)


def test_posteriors_on_few_of_30_prototypes_take_at_most_8_bytes_per_frame(tmp_path):
    posteriors = mixture_posteriors(60_000)
    assert 0.7 < posteriors.max(1).mean() < 0.9  # soft: not the one-hot case
    rows = {f"clip{i}": frames for i, frames in enumerate(np.split(posteriors, 60))}
    path = write(tmp_path / "p", rows, spec(kind="posteriors", width=30, dtype="sparse8"))
    bytes_per_frame = path.stat().st_size / 60_000
    assert bytes_per_frame <= 8
    kept = (posteriors * 255 >= 0.5).sum(1).mean()
    assert bytes_per_frame == pytest.approx(1 + 2 * kept, abs=0.1)


def test_positions_of_sampled_frames(tmp_path):
    rows = clips()
    with FrameWriter(tmp_path / "a", spec()) as writer:
        for key, frames in rows.items():
            writer.add(
                key, frames, positions=None if key == "clip2" else 3 * np.arange(len(frames))
            )
    file = FrameFile.open(Store.local(tmp_path), "a")
    for key, frames in rows.items():
        if key == "clip2":
            assert file.positions(key) is None
        else:
            assert file.positions(key).tolist() == [3 * i for i in range(len(frames))]


@pytest.mark.parametrize("positions", [[0, 1], [0, 2, 2], [-1, 0, 1], [2, 1, 0]])
def test_positions_that_do_not_fit(tmp_path, positions):
    writer = FrameWriter(tmp_path / "a", spec())
    with pytest.raises(ValueError, match=r"one: got . positions for 3 frames"):
        writer.add("one", np.zeros((3, 4), np.float32), positions=positions)


def test_float32_is_a_view_of_the_mapped_file(tmp_path):
    rows = clips()
    write(tmp_path / "a", rows, spec())
    before = pa.total_allocated_bytes()
    file = FrameFile.open(Store.local(tmp_path), "a")
    found = [file.read(key) for key in rows]
    assert pa.total_allocated_bytes() == before
    assert not any(frames.flags.writeable or frames.flags.owndata for frames in found)


def test_any_filesystem_and_several_batches(tmp_path):
    """Bigger than one batch, through a filesystem that cannot be memory-mapped."""
    generator = np.random.default_rng(0)
    rows = {f"c{i}": generator.random((2000, 64), np.float32) for i in range(30)}  # 15 MB
    write(tmp_path / "a", rows, spec(width=64))
    remote = Store(pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem()), "")
    remote.root = "."
    assert not remote.is_local
    file = FrameFile.open(remote, "a")
    assert pa.ipc.open_file(str(tmp_path / "a")).num_record_batches > 2
    for key in ("c29", "c0", "c13"):
        np.testing.assert_array_equal(file.read(key), rows[key])


def test_the_writer_holds_one_batch_at_a_time(tmp_path):
    with FrameWriter(tmp_path / "a", spec(width=256)) as writer:
        for i in range(64):
            writer.add(f"c{i}", np.ones((2048, 256), np.float32))  # 2 MiB each
            assert writer._waiting.size <= 4 << 20
    assert (tmp_path / "a").stat().st_size > 128 << 20


def test_the_same_rows_are_the_same_bytes(tmp_path):
    for dtype in ("float16", "sparse8"):
        first, second = (write(tmp_path / n, clips(), spec(dtype=dtype)) for n in ("a", "b"))
        assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("dtype", ["float32", "sparse8"])
def test_no_rows_and_rows_without_frames(tmp_path, dtype):
    write(tmp_path / "none", {}, spec(dtype=dtype))
    assert FrameFile.open(Store.local(tmp_path), "none").keys == ()
    write(tmp_path / "empty", {"a": np.zeros((0, 4), np.float32)}, spec(dtype=dtype))
    assert FrameFile.open(Store.local(tmp_path), "empty").read("a").shape == (0, 4)


@pytest.mark.parametrize(
    ("changes", "frames", "message"),
    [
        ({}, np.zeros((3, 5)), r"bad: got frames of \(3, 5\); expected \(n, 4\)"),
        ({}, np.zeros(4), r"bad: got frames of \(4,\)"),
        ({}, np.full((3, 4), np.nan), "bad: got NaN or infinity"),
        ({"dtype": "float16"}, np.full((3, 4), np.inf), "bad: got NaN or infinity"),
        ({"dtype": "float16"}, np.full((3, 4), 1e5), "bad: got 100000, too large for float16"),
        ({"dtype": "sparse8"}, np.full((3, 4), 1.01), r"bad: got values that are not in \[0, 1\]"),
        ({"dtype": "sparse8"}, np.full((3, 4), -0.1), r"bad: got values that are not in \[0, 1\]"),
        ({"dtype": "sparse8"}, np.full((3, 4), np.nan), r"bad: got values that are not in"),
    ],
)
def test_bad_frames_are_named_and_leave_no_file(tmp_path, changes, frames, message):
    rows = {"good": np.zeros((2, 4)), "bad": frames}
    with pytest.raises(ValueError, match=message) as caught:
        write(tmp_path / "a", rows, spec(**changes))
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_key_comes_once(tmp_path):
    with FrameWriter(tmp_path / "a", spec()) as writer:
        writer.add("x", np.zeros((2, 4)))
        with pytest.raises(ValueError, match=r"x: is in .* already"):
            writer.add("x", np.zeros((2, 4)))


def test_truncated_anywhere_is_an_error(tmp_path):
    whole = write(tmp_path / "a", clips(), spec()).read_bytes()
    store = Store.local(tmp_path)
    for size in [0, 1, 7, 8, *range(9, len(whole), 97), len(whole) - 1]:
        (tmp_path / "cut").write_bytes(whole[:size])
        with pytest.raises(ValueError, match="cut: is no whole file of frame seq") as caught:
            FrameFile.open(store, "cut")
        assert "\n" not in str(caught.value)


def foreign(schema_metadata=None):
    sink = io.BytesIO()
    schema = pa.schema([("key", pa.string())], metadata=schema_metadata)
    with pa.ipc.new_file(sink, schema) as writer:
        writer.write_table(pa.table({"key": ["a"]}, schema=schema))
    return sink.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"RIFF" * 100, "is no whole file"),
        (foreign(), "got format version None; expected 1"),
        (foreign({"format_version": "2"}), "got format version 2; expected 1"),
        (foreign(spec().metadata()), "got columns"),
        (foreign(spec().metadata() | {"width": "wide"}), "is no whole file"),
    ],
)
def test_foreign_files(tmp_path, content, message):
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        FrameFile.open(Store.local(tmp_path), "f")
    assert str(tmp_path / "f") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_and_missing_key(tmp_path):
    store = Store.local(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such file; expected frame sequences"):
        FrameFile.open(store, "a")
    write(tmp_path / "a", clips(), spec())
    with pytest.raises(ValueError, match="nobody: is not in"):
        FrameFile.open(store, "a").read("nobody")
    with pytest.raises(ValueError, match="nobody: is in none of 1"):
        FrameSet(store, ["a"]).read("nobody")


def test_a_set_is_all_its_files_in_order(tmp_path):
    rows = clips(9)
    names = ["b", "a", "c"]
    for name, part in zip(names, np.array_split(list(rows), 3), strict=True):
        write(tmp_path / name, {str(key): rows[key] for key in part}, spec())
    frames = FrameSet(Store.local(tmp_path), names)
    assert list(frames) == list(rows)
    assert len(frames) == 9
    assert frames.spec == spec()
    assert "clip4" in frames
    assert "clip9" not in frames
    for key in rows:
        np.testing.assert_array_equal(frames.read(key), rows[key])
    assert frames.positions("clip0") is None


def test_a_set_of_unlike_files_is_an_error(tmp_path):
    store = Store.local(tmp_path)
    write(tmp_path / "a", clips(), spec())
    write(tmp_path / "again", {"clip3": clips()["clip3"]}, spec())
    write(tmp_path / "slow", {"other": clips()["clip3"]}, spec(hop_s=0.1))
    with pytest.raises(ValueError, match=r"again: holds clip3, which .*/a holds too"):
        FrameSet(store, ["a", "again"])
    with pytest.raises(ValueError, match=r"slow: got .*hop_s=0.1.* as in .*/a"):
        FrameSet(store, ["a", "slow"])
    with pytest.raises(ValueError, match="got no frame files"):
        FrameSet(store, [])


@pytest.mark.parametrize(
    "changes",
    [{"kind": "sounds"}, {"dtype": "int8"}, {"width": 0}, {"hop_s": 0}, {"hop_s": float("nan")}],
)
def test_impossible_specs(changes):
    with pytest.raises(ValueError, match="frame spec: got"):
        spec(**changes)


def test_published_through_a_store(tmp_path):
    store = Store.local(tmp_path / "run")
    rows = clips()
    name = store.publish("embed/000.arrow", write(tmp_path / "local", rows, spec()))
    np.testing.assert_array_equal(FrameFile.open(store, name).read("clip1"), rows["clip1"])


def test_no_torch_is_loaded():
    code = "import sys, shards.frames.reader; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
