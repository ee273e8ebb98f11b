"""Time and memory of work on a device, and the rate of its matrix products to compare with."""

import resource
import time
from collections.abc import Callable

import torch

# Of the square matrices whose product is the measure: large enough to keep any device busy.
SIZES = {"cuda": 8192, "cpu": 1024}
GIGA = 1e9


def set_tf32(allowed: bool) -> None:
    """Multiply float32 as float32 on a GPU, or let it round factors to 10 bits."""
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed


def seconds(work: Callable[[], object], device: torch.device, times: int) -> float:
    """Mean time of one call, of so many in a row."""
    wait(device)
    start = time.perf_counter()
    for _ in range(times):
        work()
    wait(device)
    return (time.perf_counter() - start) / times


def wait(device: torch.device) -> None:
    """Until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matrix_rate(device: torch.device, dtype: torch.dtype, rounds: int = 5) -> float:
    """Floating point operations a second of a product of square matrices: the best of rounds."""
    size = SIZES[device.type]
    left, right = torch.randn(2, size, size, device=device, dtype=dtype)
    times = 20 if device.type == "cuda" else 1
    seconds(lambda: left @ right, device, times)
    best = min(seconds(lambda: left @ right, device, times) for _ in range(rounds))
    return 2 * size**3 / best


def forget_peak(device: torch.device) -> None:
    """Begin to measure the highest use of memory anew, where the device can."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def peak_gb(device: torch.device) -> float:
    """The highest use of memory: of the GPU since `forget_peak`, or of this process ever."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / GIGA
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIGA


def name(device: torch.device) -> str:
    """What the device calls itself."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
