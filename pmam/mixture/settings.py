"""Names that settings of a mixture refer to."""

from typing import Literal, get_args

CovarianceType = Literal["full", "tied", "diag", "spherical"]
COVARIANCE_TYPES: tuple[CovarianceType, ...] = get_args(CovarianceType)
# What works on k-means and PCA; `auto` takes cuML where it is installed and a GPU holds the frames.
Backend = Literal["auto", "cuml", "torch"]
