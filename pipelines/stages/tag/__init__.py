"""tag and classify: AudioSet's tags of recordings, and events and scenes by words (TMRL).

`stage` writes the probabilities of windows, `results` reads them; `words` makes events and scenes
of them, `truth` compares these with labels, `report` writes all of it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
