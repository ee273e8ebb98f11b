"""A batch job for Slurm: Ray on all nodes of an allocation, and the command on the first of them.

`run.sbatch.jinja` is the template, `script` fills it in.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
