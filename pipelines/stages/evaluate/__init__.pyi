from pipelines.stages.evaluate.stage import evaluate as evaluate
from pipelines.stages.evaluate.stage import results_of as results_of
