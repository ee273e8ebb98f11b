from .measure import levels_of as levels_of
from .measure import measure_levels as measure_levels
