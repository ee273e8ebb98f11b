from .pca import Moments as Moments
from .pca import Projection as Projection
from .pca import Standardiser as Standardiser
from .pca import fit_projection as fit_projection
from .pca import fit_standardiser as fit_standardiser
from .pca import moments as moments
