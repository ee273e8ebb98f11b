from .errors import TrainingError as TrainingError
from .settings import GroupRates as GroupRates
from .settings import OptimizerSettings as OptimizerSettings
from .settings import Precision as Precision
from .trainer import Trainer as Trainer
from .trainer import Workers as Workers
