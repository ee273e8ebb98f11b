# `run` itself is in `pipelines.run`: a package's attribute cannot be that module and its function.
from pipelines.presets import PRESETS as PRESETS
from pipelines.presets.settings import RunSettings as RunSettings
from pipelines.run import RunResult as RunResult
from pipelines.runtime.errors import PipelineError as PipelineError
from pipelines.stages.detect.file import detect_file as detect_file
from pipelines.stages.detect.settings import DetectSettings as DetectSettings
