from .stage import evaluate as evaluate
from .stage import results_of as results_of
