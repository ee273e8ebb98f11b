"""The silhouette: how much nearer frames are to their own cluster than to the next one."""

import torch

from pmam.errors import InputError

ROWS = 1024  # of distances at a time


def silhouette(x: torch.Tensor, labels: torch.Tensor) -> float:
    """Mean silhouette of frames `(n, D)` with cluster numbers `(n,)`, in [-1, 1].

    Of each frame, (b - a) / max(a, b), where a is its mean distance to the others of its cluster
    and b the least mean distance to the frames of another one; 0 for a frame that is alone in its
    cluster (Rousseeuw 1987). Takes n^2 distances: give it a sample.

    Raises `InputError` where there are not at least two clusters.
    """
    numbers, labels = torch.unique(labels, return_inverse=True)
    if len(numbers) < 2 or len(numbers) == len(labels):
        raise InputError(
            f"silhouette: got {len(numbers)} clusters of {len(labels)} frames; "
            "expected at least two, and fewer than frames"
        )
    x = x.double() - x.double().mean(dim=0)
    one_hot = torch.nn.functional.one_hot(labels, len(numbers)).double()  # (n, K)
    counts = one_hot.sum(dim=0)
    total = 0.0
    for start in range(0, len(x), ROWS):
        own = labels[start : start + ROWS, None]
        distances = torch.cdist(x[start : start + ROWS], x)  # (rows, n)
        distances.diagonal(start).zero_()  # products leave a frame at a distance from itself
        sums = distances @ one_hot  # (rows, K)
        size = counts[own]  # (rows, 1)
        inside = sums.gather(1, own) / (size - 1).clamp_min(1)
        outside = (sums / counts).scatter(1, own, torch.inf).amin(dim=1, keepdim=True)
        greater = torch.maximum(inside, outside).clamp_min(torch.finfo(torch.float64).tiny)
        total += float(((outside - inside) / greater)[size > 1].sum())
    return total / len(x)
