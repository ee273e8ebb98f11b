"""What a training leaves behind: checkpoints, metrics and speed, in the stage's folder.

Checkpoints are our own: Train's local mode (`workers = 0`) keeps none.
"""

import contextlib
import hashlib
import json
import logging
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load, save

from pipelines.runtime.errors import PipelineError
from pipelines.runtime.workers.progress import bar
from pipelines.runtime.workers.remote_progress import (
    MESSAGES,
    Advance,
    Messages,
    Phase,
    Reported,
    held,
)
from pmam.training.trainer import Trainer
from shards.io.store import Store

STATE, SPEED = "state", "speed"
# Folders by which a training goes on and is told of; TensorBoard shows the speed, too.
WORKING = (STATE, SPEED, MESSAGES)
LATEST = f"{STATE}/latest.json"
LOG_EVERY = 10
BatchT = TypeVar("BatchT")
log = logging.getLogger("pmam")


def restore(folder: Store, trainer: Trainer) -> bool:
    """Continue from the newest whole checkpoint; false where there is none."""
    if folder.size(LATEST) is None:
        return False
    latest = json.loads(folder.read(LATEST))
    data = folder.read(latest["name"])
    if hashlib.sha256(data).hexdigest() != latest["sha256"]:
        raise PipelineError(
            f"{folder.path(latest['name'])}: does not match its sha256; "
            "run the stage with --fresh to train it again"
        )
    trainer.restore(load(data))
    return True


def steps_kept(folder: Store) -> int:
    """The steps of the newest checkpoint; 0 where there is none."""
    return 0 if folder.size(LATEST) is None else int(json.loads(folder.read(LATEST))["step"])


def speed_of(folder: Store) -> str:
    """The speed of a training in words; empty where it took no step."""
    lines = [line for name in folder.names(SPEED) for line in folder.read(name).splitlines()]
    rows = [json.loads(line) for line in lines]
    if not rows:
        return ""
    rate, waiting = (
        statistics.median(row[name] for row in rows) for name in ("clips_per_s", "waiting_share")
    )
    memory = max(row.get("gpu_memory_gb", 0.0) for row in rows)
    held = f", at most {memory:.1f} GB of GPU memory" if memory else ""
    return f"{rate:.1f} clips/s, {100 * waiting:.0f} % of the time waiting for clips{held}"


class Recorder:
    """Writes checkpoints, and what is logged, together: after a kill neither is ahead.

    Speeds go to files of their own: what is in `metrics` is the same in every run.

    Args:
        folder: of the stage.
        name: of the stage, for people.
        trainer: what is kept.
        clips: of a global batch.
        in_worker: whether it runs in a process of a worker group, which has no terminal: what is
            logged there, and how far it is, goes into the folder, for the driver to tell.
    """

    def __init__(
        self, folder: Store, name: str, trainer: Trainer, *, clips: int, in_worker: bool
    ) -> None:
        self.folder, self.name, self.trainer, self.clips = folder, name, trainer, clips
        self.in_worker, self.messages = in_worker, Messages()
        self.last: Mapping[str, float] = {}  # of the last step
        self.rows: list[dict[str, float]] = []
        self.speeds: list[dict[str, float]] = []
        self.steps, self.seconds, self.waited_s, self.asked = 0, 0.0, 0.0, 0.0
        self.advance: Advance = lambda more, note: None
        self.tensorboard: Any = None
        self.open = contextlib.ExitStack()

    def __enter__(self) -> "Recorder":
        from torch.utils.tensorboard import SummaryWriter

        steps = self.trainer.settings.steps
        phase: Phase = bar
        if self.in_worker:
            self.open.enter_context(held(self.messages))
            phase = Reported(self.folder)
        shown = phase(f"{self.name} (steps)", steps, self.trainer.step)
        self.advance = self.open.enter_context(shown)
        if self.folder.is_local:
            self.events = Path(self.folder.path("tensorboard"))
        else:
            self.events = Path(self.open.enter_context(tempfile.TemporaryDirectory()))
        # What was logged after the checkpoint that we continue from does not count.
        self.tensorboard = SummaryWriter(self.events, purge_step=self.trainer.step + 1)
        self.open.callback(self.tensorboard.close)
        return self

    def __exit__(self, *error: Any) -> None:
        self.open.__exit__(*error)

    def timed(self, batches: Iterable[BatchT]) -> Iterator[BatchT]:
        """The batches; the time until they are there counts as waiting."""
        self.asked = time.perf_counter()
        for batch in batches:
            self.waited_s += time.perf_counter() - self.asked
            yield batch
            self.asked = time.perf_counter()

    def record(self, values: Mapping[str, float]) -> None:
        """What is to be logged of the step that was taken."""
        self.steps += 1
        self.seconds += time.perf_counter() - self.asked
        self.advance(1, f"loss {values['loss']:.4f}")
        self.last = values
        if self.trainer.step % LOG_EVERY == 0:
            self.add(values)
            self._measure()

    def add(self, values: Mapping[str, float]) -> None:
        """A row of the metrics; none where there is nothing to say."""
        if values:
            self.rows.append({"step": self.trainer.step, **values})
            self._show(values)

    def checkpoint(self) -> None:
        """Keep the state, and what was logged on the way to it."""
        step = self.trainer.step
        if self.steps:
            self._measure()
        self._tell()
        for kind, rows in (("metrics", self.rows), (SPEED, self.speeds)):
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            self.folder.write(f"{kind}/{step:08d}.jsonl", lines.encode())
        self.rows, self.speeds = [], []
        self.messages.write(self.folder, step)
        self._publish_events()
        data = save(self.trainer.state())
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "state.safetensors"
            path.write_bytes(data)
            name = self.folder.publish(f"{STATE}/{step:08d}.safetensors", path)
        latest = {"name": name, "step": step, "sha256": hashlib.sha256(data).hexdigest()}
        self.folder.write(LATEST, json.dumps(latest).encode())
        for other in self.folder.names(STATE):
            if other not in (name, LATEST):
                self.folder.delete(other)

    def _tell(self) -> None:
        """A line of the log: loss, learning rates and speed."""
        if self.last and self.speeds:
            rates = (f"{name} {rate:.3g}" for name, rate in self.last.items() if "lr/" in name)
            log.info(
                "%-14s step %d of %d: loss %.4f, %s, %.1f clips/s",
                *(self.name, self.trainer.step, self.trainer.settings.steps, self.last["loss"]),
                *(", ".join(rates), self.speeds[-1]["clips_per_s"]),
            )

    def _publish_events(self) -> None:
        """To an object store, which takes whole files."""
        self.tensorboard.flush()
        if not self.folder.is_local:
            for path in self.events.iterdir():
                self.folder.write(f"tensorboard/{path.name}", path.read_bytes())

    def _measure(self) -> None:
        speed = {
            "clips_per_s": self.steps * self.clips / self.seconds,
            "waiting_share": self.waited_s / self.seconds,
        }
        if torch.cuda.is_available():
            speed["gpu_memory_gb"] = torch.cuda.max_memory_allocated() / 1e9
        self.speeds.append({"step": self.trainer.step, **speed})
        self._show({f"speed/{name}": value for name, value in speed.items()})
        self.steps, self.seconds, self.waited_s = 0, 0.0, 0.0

    def _show(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self.tensorboard.add_scalar(name, value, self.trainer.step)
