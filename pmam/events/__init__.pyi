from .decoding import decode as decode
from .decoding import decode_at as decode_at
from .event import Event as Event
from .settings import BoxSettings as BoxSettings
from .settings import PostprocessOverrides as PostprocessOverrides
from .settings import PostprocessSettings as PostprocessSettings
from .targets import encode as encode
from .targets import encode_at as encode_at
