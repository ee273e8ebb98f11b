"""What every stage stands on: done once, continued after a kill, carried out on all workers.

`stage` decides whether a stage is done, goes on or begins, by what `identity` makes of its settings
and inputs; `declared` makes a stage of a function. `workers` carries work out, `files` is what
stands in folders, and `errors` says which errors are a person's.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
