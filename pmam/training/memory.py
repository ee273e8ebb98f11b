"""Memory that a step frees stays with the process: the next step needs the same again."""

import ctypes
import sys

# Of glibc's malloc.h.
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
# The largest that glibc takes, and what is kept at most.
LARGEST_MMAP, KEPT = 32 << 20, 2**31 - 1


def keep_freed_memory() -> bool:
    """Ask the allocator to keep what is freed; returns whether it understood.

    glibc gives large blocks back to the system at once, which fills each new one with zeros again.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and all(
        mallopt(what, size)
        for what, size in ((MMAP_THRESHOLD, LARGEST_MMAP), (TRIM_THRESHOLD, KEPT))
    )
