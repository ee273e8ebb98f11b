from .file import detect_file as detect_file
from .results import FileEvents as FileEvents
from .settings import DetectSettings as DetectSettings
from .write import write_detections as write_detections
