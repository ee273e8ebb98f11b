"""k-means of RAPIDS cuML on a GPU: arrays are handed over by DLPack, without a copy.

cuML holds all frames in one array, so they must fit on the GPU. It has no Gaussian mixture.
`cuml` is imported where it is used: it is there only with a GPU.
"""

import importlib.util

import torch
from torch.utils.dlpack import from_dlpack

from pmam.clustering.kmeans import KMeansResult, cluster_statistics
from pmam.clustering.kmeans_init import check_count
from pmam.errors import InputError
from pmam.mixture.frame_blocks import Device, Frames, steps_of
from pmam.mixture.settings import Backend

SHARE_OF_MEMORY = 0.4  # of the GPU's free memory that frames may take; k-means needs some


def cuml_usable() -> bool:
    """Whether cuML is installed and a GPU is there."""
    return importlib.util.find_spec("cuml") is not None and torch.cuda.is_available()


def room_for_frames() -> int:
    """Bytes that frames may take on the current GPU."""
    free, _ = torch.cuda.mem_get_info()
    return int(SHARE_OF_MEMORY * free)


def gathered(
    frames: Frames, most_bytes: int, device: torch.device | str = "cuda"
) -> torch.Tensor | None:
    """All frames `(N, D)` in one array on the device, or None where they take more than that."""
    pieces = []
    left = most_bytes // 2  # the pieces and their concatenation are held for a moment
    for piece in steps_of(frames, device):
        left -= piece.nbytes
        if left < 0:
            return None
        pieces.append(piece)
    return torch.cat(pieces)


def on_gpu(frames: Frames, backend: Backend, device: Device) -> torch.Tensor | None:
    """The frames `(N, D)` on a GPU where cuML is to work on them; None where torch is.

    `auto` takes cuML where it imports, a GPU is there (and `device` is not another) and holds all
    frames. Raises `InputError` for `cuml` where one of these does not hold.
    """
    elsewhere = device is not None and torch.device(device).type != "cuda"
    if backend == "torch" or (backend == "auto" and (elsewhere or not cuml_usable())):
        return None
    if elsewhere or not cuml_usable():
        raise InputError(
            f"backend: got cuml on device {device or 'any'}; expected cuML (the extra `gpu`) and a "
            "GPU: install both, or take the backend torch"
        )
    room = room_for_frames()
    held = gathered(frames, room, device or "cuda")
    if held is None and backend == "cuml":
        raise InputError(
            f"backend: got more frames than cuml holds in {room / 2**30:.1f} GiB of the GPU; "
            "take the backend torch, which streams them"
        )
    return held


def cuml_kmeans(
    x: torch.Tensor,
    components: int,
    *,
    seed: int,
    max_iterations: int,
    tolerance: float,
) -> KMeansResult:
    """k-means of frames `(N, D)` on a GPU; counts and inertia are then summed in float64.

    cuML's `tolerance` is on the squared movement of the centres, not relative to the variance.
    """
    import cupy
    from cuml.cluster import KMeans

    check_count(len(x), components)
    model = KMeans(
        n_clusters=components,
        max_iter=max_iterations,
        tol=tolerance,
        random_state=seed,
        init="k-means++",
        n_init=1,
        output_type="cupy",
    )
    model.fit(cupy.from_dlpack(x.contiguous()))
    centers = from_dlpack(model.cluster_centers_).double()
    final = cluster_statistics(x, centers)
    return KMeansResult(
        centers=centers,
        counts=final.counts,
        inertia=final.inertia,
        iterations=int(model.n_iter_),
        converged=int(model.n_iter_) < max_iterations,
        reseeded=0,
    )
