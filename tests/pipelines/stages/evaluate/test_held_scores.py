"""Scores beyond what memory may hold come back from a file, each made once."""

import numpy as np

from pipelines.stages.evaluate.held_scores import HeldScores


def test_scores_in_memory_and_in_the_file_are_those_that_were_made() -> None:
    rng = np.random.default_rng(0)
    kinds = (np.float16, np.float32, np.float64)
    made = {f"clip{n}": rng.random((n + 1, 3)).astype(kinds[n % 3])[:, ::-1] for n in range(9)}
    asked: list[str] = []

    def make(clip: str) -> tuple[np.ndarray, np.ndarray]:
        asked.append(clip)
        return made[clip], np.arange(len(made[clip]) + 1.0)

    held = HeldScores(clips=tuple(made), make=make, most_bytes=60)
    assert list(held) == list(made) == asked
    in_file = [clip for clip in made if held[clip] is not held[clip]]
    assert 0 < len(in_file) < len(made)
    for clip in [*made, *reversed(made)]:
        assert held[clip].dtype == made[clip].dtype
        np.testing.assert_array_equal(held[clip], made[clip])
        assert len(held.edges_s[clip]) == len(made[clip]) + 1
    assert asked == list(made)
