"""The torch dataset: the same batches with any number of workers; torch is loaded nowhere else."""

import copy
import functools
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from packing import noise_clips, pack
from torch.utils.data import DataLoader

from shards.dataset import Dataset
from shards.io.disk_cache import ClipCache
from shards.io.store import Store
from shards.loading.loader import Loader, Loading
from shards.loading.torch_dataset import TorchStream

ROOT = Path(__file__).resolve().parents[3]
SETTINGS = Loading(per_batch={"weak": 4}, crop_s=0.25, seed=2)


def opened(folder: str) -> Dataset:
    return Dataset.open(Store.local(folder))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("torch")
    pack(path / "in", noise_clips(path / "in", 13), path / "out")
    return str(path / "out")


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_come_in_order_and_go_on_from_a_state(folder: str, workers: int) -> None:
    plain = list(Loader(opened(folder), SETTINGS).batches(7))
    stream = TorchStream(functools.partial(opened, folder), SETTINGS, stop=5)
    batches = list(DataLoader(stream, batch_size=None, num_workers=workers))
    rest = TorchStream(
        functools.partial(opened, folder), SETTINGS, state=batches[-1]["state"], stop=2
    )
    batches += list(DataLoader(rest, batch_size=None, num_workers=workers))
    assert [b["state"] for b in batches] == [b.state for b in plain]
    for batch, expected in zip(batches, plain, strict=True):
        examples = expected.groups["weak"]
        assert batch["group"] == ["weak"] * 4
        assert batch["rows"] == [e.row for e in examples]
        assert batch["samples"].shape == (4, 2000)
        assert torch.equal(
            batch["samples"], torch.stack([torch.from_numpy(e.samples) for e in examples])
        )
        assert batch["held"].tolist() == [e.held for e in examples]
        assert batch["weight"].tolist() == [1.0] * 4


@pytest.mark.parametrize(
    ("workers", "more"), [(0, {}), (1, {}), (2, {}), (2, {"persistent_workers": True})]
)
def test_each_pass_over_a_loader_goes_on(folder: str, workers: int, more: dict[str, Any]) -> None:
    plain = list(Loader(opened(folder), SETTINGS).batches(9))
    stream = TorchStream(functools.partial(opened, folder), SETTINGS, stop=3)
    loader = DataLoader(stream, batch_size=None, num_workers=workers, **more)
    batches = []
    for _ in range(2):
        torch.manual_seed(0)  # as trainings do: passes must not be told apart by it alone
        batches += list(loader)
    rest = TorchStream(
        functools.partial(opened, folder), SETTINGS, state=batches[-1]["state"], stop=3
    )
    batches += list(DataLoader(rest, batch_size=None, num_workers=workers))
    assert [b["state"] for b in batches] == [b.state for b in plain]
    for batch, expected in zip(batches, plain, strict=True):
        assert batch["rows"] == [example.row for example in expected.groups["weak"]]
        assert batch["start"].tolist() == [example.start for example in expected.groups["weak"]]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("stop", [4, None])
def test_a_pass_that_was_broken_off_gives_nothing_again(
    folder: str, workers: int, stop: int | None
) -> None:
    stream = TorchStream(functools.partial(opened, folder), SETTINGS, stop=stop)
    loader = DataLoader(stream, batch_size=None, num_workers=workers)
    seen = []
    for count in (1, 3, 2):
        passed = iter(loader)
        seen += [next(passed)["state"]["seen"]["weak"] for _ in range(count)]
        del passed
    assert len(set(seen)) == 6 and seen == sorted(seen)


def test_a_copied_stream_goes_on_by_itself(folder: str) -> None:
    stream = TorchStream(functools.partial(opened, folder), SETTINGS, stop=2)
    first = [batch["state"] for batch in stream]
    other = copy.deepcopy(stream)
    following = [[batch["state"] for batch in one] for one in (stream, other)]
    assert following[0] == following[1]
    assert not any(state in first for state in following[0])


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_share_a_local_cache(folder: str, tmp_path: Path, workers: int) -> None:
    stream, same = (
        TorchStream(
            functools.partial(opened, folder),
            SETTINGS,
            stop=4,
            cache=functools.partial(ClipCache, tmp_path / "cache", 1 << 20),
        )
        for _ in range(2)
    )
    first = list(DataLoader(stream, batch_size=None, num_workers=workers))
    dataset = opened(folder)
    cache = ClipCache(tmp_path / "cache", 1 << 20)
    seen = {row.key: row for batch in first for row in batch["rows"]}
    assert all(cache.get(row.checksum) == dataset.read(row) for row in seen.values())
    again = list(DataLoader(same, batch_size=None, num_workers=workers))
    for one, other in zip(first, again, strict=True):
        assert torch.equal(one["samples"], other["samples"])


def test_whole_clips_are_padded_to_the_longest(folder: str) -> None:
    stream = TorchStream(functools.partial(opened, folder), Loading(per_batch={"weak": 13}), stop=1)
    (batch,) = stream
    assert batch["samples"].shape == (13, 2800)
    for samples, held, row in zip(batch["samples"], batch["held"], batch["rows"], strict=True):
        assert held == row.num_samples
        assert not samples[held:].any()


def test_no_other_module_loads_torch() -> None:
    modules = sorted(p.stem for p in (ROOT / "shards").glob("*.py"))
    names = [f"shards.{name}" for name in modules if name not in ("__init__", "torch_stream")]
    script = f"import sys, importlib; [importlib.import_module(n) for n in {names}]"
    script += "; sys.exit('torch' in sys.modules or 'ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0
