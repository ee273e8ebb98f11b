from .structure import Whole as Whole
from .structure import whole as whole
