"""Frame scores of one recording as a file for others: a TSV table, or NumPy's npz."""

import io
from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from pmam.events.event import edges_within_s

ScoreFormat = Literal["tsv", "npz"]


def score_file(
    scores: npt.NDArray[np.float32],
    classes: Sequence[str],
    hop_s: float,
    end_s: float,
    score_format: ScoreFormat,
) -> bytes:
    """Frame scores with their times and classes.

    Args:
        scores: `(frames, classes)`.
        classes: names of the columns.
        hop_s: seconds per frame.
        end_s: length of the recording; the last frame ends there.
        score_format: `tsv` is a table `onset, offset, class, class, ...` with a row a frame, as
            sed_scores_eval reads it; `npz` holds `scores`, `edges_s` (one more than frames) and
            `classes`.
    """
    edges_s = edges_within_s(len(scores), hop_s, end_s)
    if score_format == "npz":
        out = io.BytesIO()
        names = np.array(list(classes), dtype=np.str_)
        np.savez_compressed(out, scores=scores, edges_s=edges_s, classes=names)
        return out.getvalue()
    cells = [" ".join(name.split()) for name in classes]
    lines = ["\t".join(["onset", "offset", *cells])]
    for onset_s, offset_s, row in zip(edges_s[:-1], edges_s[1:], scores, strict=True):
        numbers = (f"{onset_s:.6f}", f"{offset_s:.6f}", *(f"{score:.6g}" for score in row))
        lines.append("\t".join(numbers))
    return ("\n".join(lines) + "\n").encode()
