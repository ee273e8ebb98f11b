from pipelines.stages.detect.file import detect_file as detect_file
from pipelines.stages.detect.formats import DetectedEvent as DetectedEvent
from pipelines.stages.detect.formats import FileEvents as FileEvents
from pipelines.stages.detect.settings import DetectSettings as DetectSettings
from pipelines.stages.detect.stage import write_detections as write_detections
