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
    in_file = [clip for clip in made if not np.shares_memory(held[clip], held[clip])]
    assert 0 < len(in_file) < len(made)
    for clip in [*made, *reversed(made)]:
        assert held[clip].dtype == made[clip].dtype
        np.testing.assert_array_equal(held[clip], made[clip])
        assert len(held.edges_s[clip]) == len(made[clip]) + 1
        for begin, end in ((0, 1), (1, 3), (0, None)):
            np.testing.assert_array_equal(held.columns(clip, begin, end), made[clip][:, begin:end])
    assert asked == list(made)


def test_what_half_precision_holds_takes_half_the_memory() -> None:
    halves = np.float32([[0.5, -np.inf], [0.25, 2**-14]])
    made = {"half": halves, "other": np.float32([[0.1]]), "large": np.float32([[1e6]])}
    held = HeldScores(
        clips=tuple(made), make=lambda clip: (made[clip], np.arange(2.0)), most_bytes=16
    )
    kept = {clip: each.where.dtype for clip, each in held._held.items()}
    assert kept == {"half": np.float16, "other": np.float32, "large": np.float32}
    for clip, scores in made.items():
        assert held[clip].dtype == scores.dtype
        np.testing.assert_array_equal(held[clip], scores)
