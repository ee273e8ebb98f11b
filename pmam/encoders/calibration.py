"""The standardisation of an encoder's inputs, fitted on training clips."""

import torch
from torch import Tensor, nn

from pmam.clustering.pca import Moments, fit_projection, fit_standardiser
from pmam.errors import InputError, UserError


class NotCalibratedError(UserError, RuntimeError):
    """An encoder whose inputs were never standardised."""


class Calibration(nn.Module):
    """Standardisation, and perhaps a PCA, fitted on training clips: part of the encoder."""

    mean: Tensor
    scale: Tensor
    components: Tensor
    fitted: Tensor

    def __init__(self, raw_width: int, width: int | None) -> None:
        super().__init__()
        width_out = raw_width if width is None else width
        if width_out > raw_width:
            raise InputError(f"pca {width}: expected at most the {raw_width} raw channels")
        self.reduces = width is not None
        self.register_buffer("mean", torch.zeros(raw_width))
        self.register_buffer("scale", torch.ones(raw_width))
        shape = (width_out, raw_width) if self.reduces else (0, raw_width)
        self.register_buffer("components", torch.zeros(shape))
        self.register_buffer("fitted", torch.zeros((), dtype=torch.bool))

    @property
    def width(self) -> int:
        """Channels that come out."""
        return int(self.components.shape[0] if self.reduces else self.mean.shape[0])

    def fit(self, total: Moments) -> None:
        """Take the statistics of training frames `(N, raw width)`."""
        if self.reduces:
            projection = fit_projection(total, self.width)
            self.components.copy_(projection.components)
        standardiser = fit_standardiser(total)
        self.mean.copy_(standardiser.mean)
        self.scale.copy_(standardiser.scale)
        self.fitted.fill_(True)

    def forward(self, raw: Tensor) -> Tensor:
        """`(B, frames, raw width)` to `(B, frames, width)`."""
        if not torch.compiler.is_exporting() and not self.fitted:
            raise NotCalibratedError("the encoder is not calibrated: run `pmam embed` first")
        standard = (raw - self.mean) / self.scale
        return standard @ self.components.T if self.reduces else standard
