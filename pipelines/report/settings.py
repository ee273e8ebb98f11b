"""How much a report shows; without torch, for `--help`."""

from dataclasses import dataclass

from pipelines.runtime.errors import PipelineError


@dataclass(frozen=True, kw_only=True)
class ReportSettings:
    """How much a report shows."""

    # Number of missed, of false and of badly placed events that can be seen and heard, each.
    events: int = 12
    # Largest size of the page, in megabytes; sounds beyond it are left out, the least bad first.
    page_mb: float = 20.0

    def __post_init__(self) -> None:
        if self.events < 0 or not self.page_mb > 0:
            raise PipelineError(
                f"events {self.events}, page of {self.page_mb} MB: expected 0 or more, and above 0"
            )
