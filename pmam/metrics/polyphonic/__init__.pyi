from .psds import PSDS1 as PSDS1
from .psds import PSDS2 as PSDS2
from .psds import PSDSResult as PSDSResult
from .psds import PSDSSettings as PSDSSettings
