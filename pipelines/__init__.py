"""The jobs that join science, storage and cluster: one stage per file."""

import os

# Before torch loads. By default its threads spin while they wait for each other: where another
# process takes one of two cores, a fit of seconds then takes minutes. Asleep they cost little.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
