"""Names that settings of a mixture refer to."""

from typing import Literal, get_args

CovarianceType = Literal["full", "tied", "diag", "spherical"]


COVARIANCE_TYPES: tuple[CovarianceType, ...] = get_args(CovarianceType)
