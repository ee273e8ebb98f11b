"""Stages of shards without Ray: their workers run one after the other in the test's process."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest


def shards_in_driver(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """Let a stage's module do its tasks here; what is asked of workers stays the same."""

    def run(
        stage: Any, tasks: Mapping[str, Any], make: Callable[..., Any], arguments: Any, **_: Any
    ) -> list[Any]:
        worker = make(**arguments)
        return [worker(task) for task in tasks.values()]

    monkeypatch.setattr(f"{module}.run_shards", run)
