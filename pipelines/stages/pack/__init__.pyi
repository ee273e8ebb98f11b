from .stage import pack as pack
