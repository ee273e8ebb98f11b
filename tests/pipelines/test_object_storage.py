"""The first stages with every path on an S3 server, in a Ray session of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from packing import write_noise
from s3_server import s3_server

from cluster.storage import filesystem
from shards.store import Store
from shards.verify import verify

ROOT = Path(__file__).resolve().parents[2]
# Ray's workers get the environment of the process that starts it: so a process of its own.
STAGES = """
import json, logging, sys
from pipelines.embed import EmbedSettings, embed
from pipelines.fit import FitSettings, fit
from pipelines.label import LabelSettings, label
from pipelines.ledger import record_of
from pipelines.pack import PackSettings, pack
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
