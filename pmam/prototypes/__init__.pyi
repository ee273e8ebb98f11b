from .artifact import Prototypes as Prototypes
from .drift import Drift as Drift
from .usage import PrototypeUsage as PrototypeUsage
