"""The covariance types of a mixture, those of scikit-learn."""

from pmam.errors import InputError
from pmam.mixture.settings import CovarianceType


def covariance_shape(
    covariance_type: CovarianceType, components: int, width: int
) -> tuple[int, ...]:
    """The shape in which covariances of a type are kept; `InputError` for an unknown type."""
    shapes: dict[str, tuple[int, ...]] = {
        "full": (components, width, width),
        "tied": (width, width),
        "diag": (components, width),
        "spherical": (components,),
    }
    if covariance_type not in shapes:
        raise InputError(
            f"covariance_type: got {covariance_type!r}; expected one of {', '.join(shapes)}"
        )
    return shapes[covariance_type]
