"""The Gaussian mixture: EM from sufficient statistics that add up over blocks and workers.

`em` is the loop, which adds up workers; `e_step` and `sufficient_statistics` add up frames, and
`m_step` makes parameters of the sums.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
