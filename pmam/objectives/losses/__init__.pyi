from .registry import PRETEXTS as PRETEXTS
