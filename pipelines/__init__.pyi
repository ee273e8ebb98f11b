# `run` itself is in `pipelines.run`: a package's attribute cannot be that module and its function.
from .presets import PRESETS as PRESETS
from .presets.settings import RunSettings as RunSettings
from .run import RunResult as RunResult
from .runtime.errors import PipelineError as PipelineError
from .stages.detect.file import detect_file as detect_file
from .stages.detect.settings import DetectSettings as DetectSettings
