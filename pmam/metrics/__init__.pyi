from .evaluation_set import EvaluationSet as EvaluationSet
from .registry import METRICS as METRICS
from .results import MetricResult as MetricResult
