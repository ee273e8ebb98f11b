"""Tables that people write by hand and by program: one reader, which never guesses in silence.

`rows` reads a table, `cells` says what its cells mean, `wrong_rows` collects what is refused.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
