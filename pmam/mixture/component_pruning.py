"""Lower bounds of Mahalanobis distances from few directions, to tell hopeless components early.

In the whitened space of a component, where its own frames have unit variance, r orthonormal
directions give a lower bound of a frame's distance for r / D of the work. Frames of other
components lie far along few directions: the leading eigenvectors of the others' mean scatter, each
other component scaled to the same trace, so that near ones count like far ones. On frames of a
pretrained encoder (D = 768, K = 30), 32 directions leave 8 components of 30, and 128 leave 4.5.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

AXES = 16  # principal axes on which the leading component is guessed
FIRST = 32  # directions that every component is seen along, and at most D / 12 of them
SHARE = 6  # those left are seen along D / SHARE
ROWS = 1024  # frames that fit in the cache of a CPU core with what is computed of them
ITERATIONS = 2  # of the subspace iteration; more leave hardly fewer components


@dataclass(frozen=True, kw_only=True, eq=False)
class Screen:
    """What is kept of a mixture to bound distances; float32.

    `origin (D,)` is the mixture's mean, `means (K, D)` are around it. `first (K, D, r)` and
    `second (K, D, s)` are directions in the space of the frames, `first_norms (K,)` the Frobenius
    norms of the first, `norms (K,)` of both. A frame's leading component is guessed from its
    coordinates on `axes (D, AXES)`, where the components have `axis_means (K, AXES)`,
    `axis_factors (K, AXES, AXES)` and `axis_offsets (K,)`.
    """

    origin: torch.Tensor
    means: torch.Tensor
    first: torch.Tensor
    second: torch.Tensor
    first_norms: torch.Tensor
    norms: torch.Tensor
    axes: torch.Tensor
    axis_means: torch.Tensor
    axis_factors: torch.Tensor
    axis_offsets: torch.Tensor

    def leading(self, near: torch.Tensor) -> torch.Tensor:
        """The likeliest component `(n,)` of frames around the origin `(n, D)`, on the axes."""
        seen = near @ self.axes  # (n, AXES)
        parts = zip(self.axis_means, self.axis_factors, self.axis_offsets, strict=True)
        joint = [o - 0.5 * ((seen - m) @ f).square_().sum(dim=1) for m, f, o in parts]
        return torch.stack(joint, dim=1).argmax(dim=1)

    def first_squares(self, near: torch.Tensor) -> torch.Tensor:
        """Squared distances `(n, K)` along the first directions, of all components at once."""
        shift = (self.means[:, None] @ self.first).squeeze(1)  # (K, r)
        together = self.first.transpose(0, 1).flatten(1)  # (D, K r)
        return torch.cat(
            [
                (piece @ together).view(-1, *shift.shape).sub_(shift).square_().sum(dim=2)
                for piece in in_cache(near)
            ]
        )

    def second_squares(self, near: torch.Tensor, rows: torch.Tensor, k: int) -> torch.Tensor:
        """Squared distances `(m,)` of some rows to component k along the second directions."""
        shift = self.means[k] @ self.second[k]  # (s,)
        return torch.cat(
            [
                (near[piece] @ self.second[k]).sub_(shift).square_().sum(dim=1)
                for piece in in_cache(rows)
            ]
        )

    def rounding(self, near: torch.Tensor) -> torch.Tensor:
        """What rounding may add to a distance, `(n, K)`, for directions of norm 1."""
        share = (math.sqrt(near.shape[1]) + 2) * torch.finfo(torch.float32).eps
        norms: torch.Tensor = near.norm(dim=1, keepdim=True) + self.means.norm(dim=1)
        return share * norms


def build_screen(
    weights: torch.Tensor, means: torch.Tensor, covariances: torch.Tensor, factors: torch.Tensor
) -> Screen:
    """The screen of a mixture of full covariances.

    Args:
        weights: `(K,)`.
        means: `(K, D)`.
        covariances: `(K, D, D)`.
        factors: P_k `(K, D, D)`, with P_k P_k^T the inverse covariance.
    """
    components, width = means.shape
    origin = weights @ means
    around, shares = (means - origin).float(), weights.float()
    narrow, whitening = covariances.float(), factors.float()
    scatter = narrow.flatten(1)  # (K, D * D)
    # [k, j]: the mean squared distance from component k of the frames of component j
    traces = (whitening @ whitening.mT).flatten(1) @ scatter.T
    traces += torch.stack(
        [((around - m) @ w).square().sum(dim=1) for m, w in zip(around, whitening, strict=True)]
    )
    others = shares / traces  # (K, K)
    others.fill_diagonal_(0)
    mixed = (others @ scatter).view_as(narrow)
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(width, max(width // SHARE, AXES), generator=generator).to(narrow)
    stacked = []
    for k in range(components):
        differences = (around - around[k]) * others[k].sqrt()[:, None]
        mixed[k].addmm_(differences.T, differences)
        found = _leading_axes((whitening[k].T, mixed[k], whitening[k]), start)
        stacked.append(factors[k] @ found.double())
    directions = torch.stack(stacked)  # (K, D, r)
    total = (shares @ scatter).view(width, width) + (shares[:, None] * around).T @ around
    axes = _leading_axes((total,), start[:, :AXES])
    lower = torch.linalg.cholesky(axes.T.double() @ covariances @ axes.double())
    identity = torch.eye(AXES, dtype=lower.dtype, device=lower.device)
    axis_factors = torch.linalg.solve_triangular(lower, identity.expand_as(lower), upper=False).mT
    log_determinants = axis_factors.diagonal(dim1=1, dim2=2).log().sum(dim=1)
    few = min(FIRST, -(-width // (2 * SHARE)))
    first = directions[:, :, :few]
    return Screen(
        origin=origin,
        means=around,
        first=first.float().contiguous(),
        second=directions[:, :, few:].float().contiguous(),
        first_norms=first.flatten(1).norm(dim=1).float(),
        norms=directions.flatten(1).norm(dim=1).float(),
        axes=axes,
        axis_means=around @ axes,
        axis_factors=axis_factors.float(),
        axis_offsets=(weights.log() + log_determinants).float(),
    )


def in_cache(rows: torch.Tensor) -> Sequence[torch.Tensor]:
    """The rows in pieces whose copies stay in the cache of a CPU core; on a GPU all at once."""
    if rows.device.type != "cpu":
        return (rows,)
    pieces: tuple[torch.Tensor, ...] = torch.split(rows, ROWS)
    return pieces


def _leading_axes(matrices: Sequence[torch.Tensor], start: torch.Tensor) -> torch.Tensor:
    """Orthonormal `(D, r)` near the leading eigenvectors of a product of matrices, foremost first.

    Subspace iteration from `start (D, r)`; the product `(D, D)` is symmetric, and only multiplied
    with (Halko, Martinsson and Tropp, arXiv 0909.4061, algorithm 4.4).
    """

    def multiplied(axes: torch.Tensor) -> torch.Tensor:
        for matrix in reversed(matrices):
            axes = matrix @ axes
        return axes

    axes = torch.linalg.qr(multiplied(start)).Q
    for _ in range(ITERATIONS - 1):
        axes = torch.linalg.qr(multiplied(axes)).Q
    order = torch.linalg.eigh(axes.T @ multiplied(axes)).eigenvectors  # ascending
    foremost: torch.Tensor = axes @ order.flip(1)
    return foremost.contiguous()
