"""What can be chosen of a survey of prototypes: no torch is loaded for it."""

from dataclasses import dataclass

from pipelines.runtime.errors import PipelineError


@dataclass(frozen=True, kw_only=True)
class SegmentSettings:
    """Which segments stand for a prototype."""

    # Length of the segments to see and hear.
    segment_s: float = 1.0
    # Number of segments listed for each prototype: those with its highest mean posterior.
    segments: int = 20
    # Largest number of a prototype's segments from one clip.
    per_clip: int = 2

    def __post_init__(self) -> None:
        if not self.segment_s > 0 or self.segments < 1 or self.per_clip < 1:
            raise PipelineError(
                f"segments of {self.segment_s} s, {self.segments} per prototype, {self.per_clip} "
                "per clip: expected a positive length, and at least one of each"
            )
