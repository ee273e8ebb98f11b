from pipelines.stages.inspect.measure import levels_of as levels_of
from pipelines.stages.inspect.measure import measure_levels as measure_levels
from pipelines.stages.inspect.page import page as page
