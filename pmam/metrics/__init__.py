"""Numbers that say how good a detector is.

`registry` has them by name. PSDS is in `polyphonic`, events and segments in `events`, rankings in
`ranking`; `intervals` says how much a number owes to the choice of clips.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
