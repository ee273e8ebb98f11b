from .stage import soundscapes as soundscapes
