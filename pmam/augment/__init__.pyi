from .chain import InputBatch as InputBatch
from .chain import InputScale as InputScale
from .chain import augment as augment
from .chain import augment_once as augment_once
from .settings import AugmentSettings as AugmentSettings
