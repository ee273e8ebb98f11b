from .job import run_training as run_training
from .loop import Task as Task
from .settings import TrainSettings as TrainSettings
