from .gaussian_mixture import GaussianMixture as GaussianMixture
from .parameters import MixtureParameters as MixtureParameters
from .settings import COVARIANCE_TYPES as COVARIANCE_TYPES
from .settings import CovarianceType as CovarianceType
