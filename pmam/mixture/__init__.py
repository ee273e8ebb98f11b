"""The Gaussian mixture: EM from sufficient statistics that add up over blocks and workers.

`e_step` and `sufficient_statistics` are where EM adds up; `m_step` makes parameters of the sums.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
