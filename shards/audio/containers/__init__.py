"""What a sound file holds, from its own structure: headers are compared with what is there.

`structure.py` decides for every kind of file; each other file knows one kind. They find where the
sound is and how long, and refuse what is damaged; they decode nothing.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
