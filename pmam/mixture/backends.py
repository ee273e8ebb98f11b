"""k-means and PCA by the backend that suits: torch anywhere, cuML where a GPU holds the frames."""

from collections.abc import Callable

import torch

from pmam.clustering.kmeans import KMeansResult, kmeans
from pmam.clustering.kmeans_init import Seeding
from pmam.clustering.pca import Projection, fit_projection, moments
from pmam.errors import InputError
from pmam.mixture import cuml as cuml_backend
from pmam.mixture.frame_blocks import Device, Frames
from pmam.mixture.settings import Backend


def fit_kmeans(
    frames: Frames,
    components: int,
    *,
    backend: Backend = "auto",
    seed: int = 0,
    max_iterations: int = 100,
    tolerance: float = 1e-4,
    seeding: Seeding = "k-means++",
    device: Device = None,
    on_iteration: Callable[[int, float], None] | None = None,
) -> KMeansResult:
    """`pmam.clustering.kmeans.kmeans`, or cuML's (see `on_gpu`), which calls no `on_iteration`."""
    held = on_gpu(frames, backend, device)
    if held is not None:
        return cuml_backend.cuml_kmeans(
            held,
            components,
            seed=seed,
            max_iterations=max_iterations,
            tolerance=tolerance,
            seeding=seeding,
        )
    return kmeans(
        frames,
        components,
        seed=seed,
        max_iterations=max_iterations,
        tolerance=tolerance,
        seeding=seeding,
        device=device,
        on_iteration=on_iteration,
    )


def fit_pca(
    frames: Frames,
    dimensions: int,
    *,
    backend: Backend = "auto",
    standardise: bool = True,
    whiten: bool = False,
    device: Device = None,
) -> Projection:
    """`pmam.clustering.pca.fit_projection` from streamed moments, or cuML's PCA (see `on_gpu`)."""
    held = on_gpu(frames, backend, device)
    if held is not None:
        return cuml_backend.cuml_projection(
            held, dimensions, standardise=standardise, whiten=whiten
        )
    total = moments(frames, device)
    return fit_projection(total, dimensions, standardise=standardise, whiten=whiten)


def on_gpu(frames: Frames, backend: Backend, device: Device) -> torch.Tensor | None:
    """The frames `(N, D)` on a GPU where cuML is to work on them; None where torch is.

    `auto` takes cuML where it imports, a GPU is there (and `device` is not another) and holds all
    frames. Raises `InputError` for `cuml` where one of these does not hold.
    """
    elsewhere = device is not None and torch.device(device).type != "cuda"
    if backend == "torch" or (backend == "auto" and (elsewhere or not cuml_backend.cuml_usable())):
        return None
    if elsewhere or not cuml_backend.cuml_usable():
        raise InputError(
            f"backend: got cuml on device {device or 'any'}; expected cuML (the extra `gpu`) and a "
            "GPU: install both, or take the backend torch"
        )
    room = cuml_backend.room_for_frames()
    held = cuml_backend.gathered(frames, room, device or "cuda")
    if held is None and backend == "cuml":
        raise InputError(
            f"backend: got more frames than cuml holds in {room / 2**30:.1f} GiB of the GPU; "
            "take the backend torch, which streams them"
        )
    return held
