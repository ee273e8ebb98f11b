"""M2D, a masked-modelling transformer of audio, as a frame encoder and as a tagger.

Source: arXiv 2404.06095 (M2D), 2406.02032 (M2D-CLAP). `published` lists the files that its authors
publish, and which of our encoders takes which; `encoder` makes frames, `head` makes AudioSet tags.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
