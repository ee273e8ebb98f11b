from .detector import WeakDetector as WeakDetector
from .networks import WeakOutput as WeakOutput
from .objective import WeakTraining as WeakTraining
from .registry import NETWORKS as NETWORKS
from .settings import WeakNetworkSettings as WeakNetworkSettings
