"""The jobs that join science, storage and cluster; `run.py` tells the whole story, read it first.

Floors, each of which imports only from those below: `cli`, the command line; `report`, what came
out; `run.py`; `presets`, the runs that have a name; `stages`, what a run is made of; `training`;
`inference`, models over all clips; `pages`; `runtime`, how a stage is done once, on all workers.
"""

import os

import lazy_loader

# Before torch loads. By default its threads spin while they wait for each other: where another
# process takes one of two cores, a fit of seconds then takes minutes. Asleep they cost little.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
