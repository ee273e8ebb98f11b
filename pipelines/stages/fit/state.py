"""The state of k-means and EM in a folder, after each iteration: a killed fit goes on from it."""

import time
from collections.abc import Callable

import torch
from safetensors.torch import load, save

from pmam.mixture.process_group import ProcessGroup, Tensors
from shards.io.store import Store


class Saved:
    """The state of a fit in a folder: of the first worker, and known to all."""

    def __init__(self, group: ProcessGroup, folder: Store, name: str) -> None:
        self.group, self.folder, self.name = group, folder, name
        self.started = time.monotonic()
        self.before_s = 0.0

    def read(self) -> Tensors | None:
        """What was written last, also by a fit that was killed; None where there is nothing."""
        found = b""
        if self.group.rank == 0 and self.folder.size(self.name) is not None:
            found = self.folder.read(self.name)
        return self._loaded(self.group.agreed(found))

    def write(self, make: Callable[[], Tensors]) -> Tensors:
        """What the first worker makes, which alone is asked, once it is written."""
        data = b""
        if self.group.rank == 0:
            seconds = torch.tensor(self.seconds, dtype=torch.float64)
            tensors = {**make(), "seconds": seconds}
            data = save({name: t.detach().cpu().contiguous() for name, t in tensors.items()})
            self.folder.write(self.name, data)
        found = self._loaded(self.group.agreed(data))
        assert found is not None
        return found

    def drop(self) -> None:
        """Remove it."""
        if self.group.rank == 0:
            self.folder.delete(self.name)

    @property
    def seconds(self) -> float:
        """Spent so far, before a kill too."""
        return self.before_s + time.monotonic() - self.started

    def _loaded(self, data: bytes) -> Tensors | None:
        if not data:
            return None
        tensors = load(data)
        self.before_s, self.started = float(tensors.pop("seconds")), time.monotonic()
        return {name: tensor.to(self.group.device) for name, tensor in tensors.items()}
