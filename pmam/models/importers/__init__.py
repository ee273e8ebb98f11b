"""What others have published, in our terms: models, prototypes, pseudo labels.

`detect_format` tells whose a file is; the other files take one kind of it over.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
