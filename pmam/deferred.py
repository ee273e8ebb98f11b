"""Functions and classes that are imported when they are first called."""

from importlib import import_module
from typing import Any


class Deferred:
    """What `module:name` stands for, so that a table of such names loads none of the modules."""

    def __init__(self, target: str) -> None:
        self.module, _, self.name = target.partition(":")

    def __repr__(self) -> str:
        return f"Deferred({self.module}:{self.name})"

    @property
    def target(self) -> Any:
        """The function or class itself."""
        return getattr(import_module(self.module), self.name)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """The target's answer."""
        return self.target(*arguments, **named)
