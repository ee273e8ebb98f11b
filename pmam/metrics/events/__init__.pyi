from .count_table import CountTable as CountTable
from .detection_set import DetectionSet as DetectionSet
from .event_f1 import Collars as Collars
