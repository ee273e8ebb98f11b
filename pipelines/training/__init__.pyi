from pipelines.training.job import run_training as run_training
from pipelines.training.loop import Task as Task
from pipelines.training.settings import TrainSettings as TrainSettings
