from .masked_prediction import PretextBatch as PretextBatch
from .masked_prediction import Pretraining as Pretraining
from .mean_teacher import Finetuning as Finetuning
from .mean_teacher import LabelledBatch as LabelledBatch
from .settings import FinetuneLossSettings as FinetuneLossSettings
from .settings import MaskSettings as MaskSettings
from .settings import PretextSettings as PretextSettings
