"""Squared Mahalanobis distances to all components by one matrix product, in few dimensions.

(x - m_k) P_k = (x - o) P_k - (m_k - o) P_k for any place o: the factors of all components side by
side make one product that fills a core, where K small ones do not. Far from o, rounding of the
product grows with |(m_k - o) P_k|, the distance of a mean in the deviations of its own component.
"""

from dataclasses import dataclass

import torch

ROWS = 256  # frames whose products with all components stay in the cache of a core
# Deviations from the middle beyond which float32 might lose digits that matter: at 300, 48
# dimensions lose 3e-4 nats of a frame to rounding, of either sign.
FARTHEST = 300.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Products:
    """Factors `(D, D K)` of all components, column j of each beside column j of the others.

    `shift (D K,)` are the means around `origin (D,)` times the factors; `exact_in_float32` where
    no mean is too far from the origin. All float64.
    """

    origin: torch.Tensor
    factors: torch.Tensor
    shift: torch.Tensor
    exact_in_float32: bool

    def squares(self, x: torch.Tensor) -> torch.Tensor:
        """Squared distances `(n, K)` of frames `(n, D)`, in their precision."""
        width = x.shape[1]
        near = x - self.origin.to(x)
        factors, shift = self.factors.to(x), self.shift.to(x)
        return torch.cat(
            [
                torch.addmm(shift, rows, factors, beta=-1)
                .square_()
                .view(len(rows), width, -1)
                .sum(dim=1)
                for rows in torch.split(near, ROWS)
            ]
        )


def products_of(weights: torch.Tensor, means: torch.Tensor, factors: torch.Tensor) -> Products:
    """What `Products` holds of a mixture of full covariances: weights, means, P_k `(K, D, D)`."""
    origin = weights @ means
    shift = torch.einsum("kd,kdj->jk", means - origin, factors)  # (D, K)
    return Products(
        origin=origin,
        factors=factors.permute(1, 2, 0).flatten(1).contiguous(),
        shift=shift.flatten(),
        exact_in_float32=bool((shift.square().sum(dim=0).sqrt() < FARTHEST).all()),
    )
