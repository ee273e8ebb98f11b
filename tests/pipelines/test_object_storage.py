"""Stages with every path on an S3 server, in Ray sessions of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_run
from packing import write_noise
from s3_server import s3_server

from cluster.storage.filesystems import filesystem
from shards.io.store import Store
from shards.repair.verification import verify

ROOT = Path(__file__).resolve().parents[2]
# Ray's workers get the environment of the process that starts it: so a process of its own.
STAGES = """
import json, logging, sys
from pipelines.stages.embed import EmbedSettings, embed
from pipelines.stages.fit.stage import FitSettings, fit
from pipelines.stages.label import LabelSettings, label
from pipelines.runtime.stage import record_of
from pipelines.stages.pack.stage import PackSettings, pack
from pmam.encoders import EncoderSettings
from cluster.session import session

logging.basicConfig(stream=sys.stderr, level=logging.INFO)
source, out = sys.argv[1:]
with session():
    dataset = pack(source, f"{out}/dataset", PackSettings(shard_mb=0.07, codec="flac"))
    embedded = embed(
        dataset, f"{out}/embed", EmbedSettings(), encoder=EncoderSettings(name="small_cnn")
    )
    prototypes = fit(dataset, embedded, f"{out}/fit", FitSettings(k=3, pca=4, iterations=5))
    checkpoint = record_of(embedded)["result"]["checkpoint"]
    labels = label(
        dataset, f"{out}/label", LabelSettings(), checkpoint=checkpoint, prototypes=prototypes
    )
urls = (dataset, embedded, prototypes, labels)
print(json.dumps({url.rpartition("/")[2]: record_of(url)["result"] for url in urls}))
"""


def run(source: str, out: str) -> tuple[dict[str, dict[str, object]], str]:
    done = subprocess.run(
        [sys.executable, "-c", STAGES, source, out],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=500,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1]), done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_first_stages_on_s3_give_what_they_give_on_a_disk(tmp_path: Path) -> None:
    source = tmp_path / "recordings"
    for number in range(6):
        write_noise(source / f"{number}.wav", seed=number, seconds=1.0, rate=16000)
    on_disk, _ = run(str(source), str(tmp_path / "out"))
    with s3_server(tmp_path) as server:
        there = Store(*filesystem(server.url("recordings")))
        for file in source.iterdir():
            there.write(file.name, file.read_bytes())
        on_s3, log = run(server.url("recordings"), server.url("out"))
        assert on_s3["dataset"]["shards"] > 1
        for stage in ("dataset", "fit"):
            assert on_s3[stage] == on_disk[stage]
        for stage in ("embed", "label"):
            assert on_s3[stage]["frames"] == on_disk[stage]["frames"] > 0
        out = Store(*filesystem(server.url("out")))
        assert verify(out.child("dataset")).problems == ()
        local = Store.local(tmp_path / "out")
        for stage in ("dataset/shards", "embed/frames", "label/frames"):
            assert [local.read(name) for name in local.names(stage)] == [
                out.read(name) for name in out.names(stage)
            ]
        written = {name: out.read(name) for name in out.names()}
        assert run(server.url("recordings"), server.url("out"))[0] == on_s3
        assert {name: out.read(name) for name in out.names()} == written  # nothing done twice
        for text in (log.encode(), *written.values()):
            assert server.secret.encode() not in text
            assert server.key_id.encode() not in text


def whole_run(config: Path | str, out: Path | str) -> str:
    process = tiny_run.start(config, out)
    output, _ = process.communicate(timeout=900)
    assert process.returncode == 0, output[-3000:]
    return output


def found(out: Store) -> dict[str, object]:
    """What a run found, by names that are the same on a disk and in an object store."""
    sha256 = {
        name: json.loads(out.read(f"{name}.json"))["sha256"]
        for name in ("pretrain-1/pretrained", "pretrain-2/pretrained", "finetune/detector")
    }
    shards = json.loads(out.read("dataset/dataset.json"))["shards"]
    return {
        "results": json.loads(out.read("evaluate/results.json")),
        "weights": sha256,
        "shards": [shard["sha256"] for shard in shards],
        "pictures": [name for name in out.names("evaluate") if name.endswith(".png")],
        "metrics": {name: out.read(name) for stage in sha256 for name in _metrics(out, stage)},
    }


def _metrics(out: Store, stage: str) -> list[str]:
    return out.names(f"{stage.partition('/')[0]}/metrics")


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_whole_run_on_s3_finds_what_it_finds_on_a_disk(tmp_path: Path) -> None:
    """The configuration comes from there, too; a second run does nothing."""
    config = tiny_run.write_config(tmp_path / "run.json", tiny_run.tiny_settings(steps=10))
    whole_run(config, tmp_path / "out")
    with s3_server(tmp_path) as server:
        Store(*filesystem(server.url("configs"))).write("run.json", config.read_bytes())
        command = server.url("configs/run.json"), server.url("run/out")
        log = whole_run(*command)
        out = Store(*filesystem(server.url("run/out")))
        assert found(out) == found(Store.local(tmp_path / "out"))
        assert not [name for name in out.names("finetune") if "/state/" in name]
        written = {name: out.read(name) for name in out.names()}
        again = whole_run(*command)
        assert again.count("unchanged, kept s3://") == len(list(tmp_path.glob("out/*/stage.json")))
        assert {name: out.read(name) for name in out.names()} == written
        for text in (log.encode(), again.encode(), *written.values()):
            assert server.secret.encode() not in text
            assert server.key_id.encode() not in text
