from .file import detect_file as detect_file
from .formats import DetectedEvent as DetectedEvent
from .formats import FileEvents as FileEvents
from .settings import DetectSettings as DetectSettings
from .stage import write_detections as write_detections
