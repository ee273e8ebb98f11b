"""What decides a fit: the settings of the stage `fit`."""

from dataclasses import dataclass
from typing import Literal

from pipelines.runtime.identity import at_defaults
from pipelines.runtime.workers.crew import OF_WORKERS, Crew
from pmam.errors import InputError
from pmam.mixture.settings import COVARIANCE_TYPES, Backend, CovarianceType, Criterion
from shards.clip import TRAINING_SUBSETS

PCA_TRIED = (8, 16, 32, 64, 128, 256)  # dimensions below the full width, by `auto`


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """How prototypes are fitted."""

    # Number of prototypes; of several numbers (10,20,30,50) each is tried and the best one taken.
    k: int | tuple[int, ...] = 30
    # Criterion for the best of several numbers: the highest log-likelihood of held-out clips, the
    # lowest Bayesian information criterion, or the highest silhouette. k-means, which has no
    # likelihood, goes by the silhouette.
    choose_by: Criterion = "held-out"
    # Kind of prototypes: a Gaussian mixture, whose posteriors are soft, or k-means, whose are
    # one-hot.
    kind: Literal["gmm", "kmeans"] = "gmm"
    # Covariance of each Gaussian; auto tries all four, and takes what gives held-out clips the
    # highest likelihood.
    covariance: Literal[CovarianceType, "auto"] = "full"
    # Number of principal components that the mixture sees; None: embeddings as they come; auto
    # tries 8, 16 and so on up to 256, and all, as for the covariance. Full covariances in many
    # dimensions fit few frames only too well, and give one-hot posteriors: fewer dimensions, or
    # diag, soften them.
    pca: int | Literal["auto"] | None = 48
    # Temperature of the posteriors; above 1 softens those of the fitted mixture, where they are too
    # nearly one-hot: they are taken to the power of 1 / temperature. EM and likelihoods know
    # nothing of it.
    temperature: float = 1.0
    # Change of the log-likelihood per frame, in nats, below which EM has converged.
    tolerance: float = 1e-3
    # Number added to every variance, so that none of them vanishes.
    regularisation: float = 1e-6
    # Largest number of EM iterations, and of k-means iterations before them.
    iterations: int = 100
    # Share of the clips that are held out, chosen at random, to tell a good fit from a degenerate
    # one.
    held_out: float = 0.1
    # Whether the fit begins with the prototypes of the previous iteration, carried over by their
    # posteriors; the first iteration has none.
    warm_start: bool = False
    # Subsets whose clips' embeddings are fitted.
    subsets: tuple[str, ...] = TRAINING_SUBSETS
    # Number of Ray Train workers, each with a part of the clips, or the smallest and the largest
    # number (1,4); 0 fits in this process, or on a cluster in one worker.
    workers: int | tuple[int, ...] = 0
    # CPUs of each worker, and so its threads; by default its share of a node.
    cpus_per_worker: float | None = None
    # GPUs of each worker, or a share of one; by default 1 where the cluster has GPUs, or may get
    # them.
    gpus_per_worker: float | None = None
    # Memory that Ray keeps free for each worker; 0 for none.
    memory_gb_per_worker: float = 0.0
    # Implementation of k-means, which EM begins with, in one process: cuml works on frames that fit
    # on a GPU; auto takes it where it is installed, a GPU is there and holds them, and torch
    # elsewhere. Several workers take torch. (PCA comes from moments, which are needed in any case.)
    backend: Backend = "auto"
    # Random seed for the initial centres and for sampling held-out clips.
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.counts or min(self.counts) < 1 or len(set(self.counts)) < len(self.counts):
            raise InputError(f"k: got {self.k!r}; expected positive numbers, each once")
        if not self.temperature > 0 or (self.kind == "kmeans" and self.temperature != 1):
            raise InputError(
                f"temperature: got {self.temperature} with kind = {self.kind}; expected a number "
                "above 0, and 1 for kmeans, whose posteriors are one-hot"
            )
        if not 0 < self.held_out < 1:
            raise InputError(f"held_out: got {self.held_out}; expected a share between 0 and 1")
        if self.iterations < 1:
            raise InputError(f"fit: got iterations = {self.iterations}; expected at least 1")
        _ = self.crew  # says what is wrong with it
        if self.backend == "cuml" and self.workers:
            raise InputError(
                f"fit: got backend = cuml with workers = {self.workers}; expected torch or auto: "
                "cuML works on the frames of one process"
            )
        if self.kind == "kmeans" and "auto" in (self.covariance, self.pca):
            raise InputError(
                "fit: got kind = kmeans with auto; expected gmm: k-means has no likelihood to "
                "choose by: give pca a number, and leave covariance out"
            )

    @property
    def counts(self) -> tuple[int, ...]:
        """The numbers of prototypes to try."""
        return self.k if isinstance(self.k, tuple) else (self.k,)

    @property
    def identity(self) -> "FitSettings":
        """The same without who does the work: a fit that was killed goes on with other workers."""
        return at_defaults(self, *OF_WORKERS)

    @property
    def crew(self) -> Crew:
        """The workers that are asked for."""
        return Crew(
            workers=self.workers,
            cpus=self.cpus_per_worker,
            gpus=self.gpus_per_worker,
            memory_gb=self.memory_gb_per_worker,
        )

    @property
    def covariances(self) -> tuple[CovarianceType, ...]:
        """The covariance types to try."""
        return COVARIANCE_TYPES if self.covariance == "auto" else (self.covariance,)

    def dimensions(self, width: int) -> tuple[int | None, ...]:
        """The numbers of principal components to try, of embeddings of so many; None: all."""
        if self.pca == "auto":
            return (*(d for d in PCA_TRIED if d < width), None)
        return (self.pca,)
