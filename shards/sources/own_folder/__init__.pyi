from .annotations import Annotations as Annotations
from .annotations import NamedAfter as NamedAfter
from .annotations import ReadFile as ReadFile
from .annotations import annotation_names as annotation_names
from .annotations import annotations_below as annotations_below
from .annotations import read_annotations as read_annotations
from .layout import folder as folder
from .splits import split as split
