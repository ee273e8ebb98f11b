from .encoder import M2D40msEncoder as M2D40msEncoder
from .encoder import M2D608Encoder as M2D608Encoder
from .encoder import M2DEncoder as M2DEncoder
from .head import M2DTagger as M2DTagger
