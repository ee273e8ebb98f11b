"""k-means and PCA of RAPIDS cuML on a GPU: arrays are handed over by DLPack, without a copy.

cuML holds all frames in one array, so they must fit on the GPU. It has no Gaussian mixture.
`cuml` is imported where it is used: it is there only with a GPU.
"""

import importlib.util

import torch
from torch.utils.dlpack import from_dlpack

from pmam.clustering.clusters import cluster_statistics
from pmam.clustering.kmeans import KMeansResult
from pmam.clustering.kmeans_init import Seeding, check_count
from pmam.clustering.pca import Projection, check_rank, scale_of
from pmam.errors import InputError
from pmam.mixture.frame_blocks import Frames, steps_of

SHARE_OF_MEMORY = 0.4  # of the GPU's free memory that frames may take; k-means and PCA need theirs


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


def cuml_kmeans(
    x: torch.Tensor,
    components: int,
    *,
    seed: int,
    max_iterations: int,
    tolerance: float,
    seeding: Seeding,
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
        init=seeding,
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


def cuml_projection(
    x: torch.Tensor, dimensions: int, *, standardise: bool, whiten: bool
) -> Projection:
    """The first principal components of frames `(N, D)` on a GPU.

    cuML reads columns that lie together, so the frames are standardised into such an array and
    that is what is handed over.
    """
    import cupy
    from cuml.decomposition import PCA

    count, width = x.shape
    if not 1 <= dimensions <= min(count, width):
        raise InputError(
            f"PCA: got {dimensions} dimensions of {count} frames with D = {width}; "
            f"expected 1..{min(count, width)}"
        )
    mean = x.mean(dim=0, dtype=torch.float64)
    variances = (x - mean.to(x)).square_().mean(dim=0, dtype=torch.float64)
    scale = scale_of(mean, variances) if standardise else torch.ones_like(mean)
    columns = torch.empty(width, count, dtype=x.dtype, device=x.device).T
    torch.sub(x, mean.to(x), out=columns)
    columns /= scale.to(x)
    model = PCA(n_components=dimensions, svd_solver="full", output_type="cupy")
    model.fit(cupy.from_dlpack(columns))
    variances = from_dlpack(model.explained_variance_).double()
    if whiten:
        check_rank(variances, width)
    return Projection(
        mean=mean,
        scale=scale,
        components=from_dlpack(model.components_).double().contiguous(),
        deviations=variances.sqrt() if whiten else torch.ones_like(variances),
    )
