from .registry import CONTEXTS as CONTEXTS
from .registry import build_context as build_context
from .transformer_xl import ContextNetwork as ContextNetwork
