from .settings import FitSettings as FitSettings
from .stage import fit as fit
from .stage import sweep_of as sweep_of
