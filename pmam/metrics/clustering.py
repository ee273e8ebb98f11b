"""How clusters of frames agree with labels: counts that add up, and what follows from them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pmam.errors import InputError

Labels = tuple[str, ...]  # of one frame: the classes that sound, sorted; () is none of them


def normalised_mutual_information(
    first: npt.NDArray[np.integer], second: npt.NDArray[np.integer], counts: npt.NDArray[np.integer]
) -> float:
    """Mutual information of two labellings over the mean of their entropies, in [0, 1].

    Item i says that `counts[i]` elements have label `first[i]` in the one and `second[i]` in the
    other; all `(n,)`, labels from 0 on. The mean is the arithmetic one, as in scikit-learn. Two
    labellings without any information agree: 1.

    Raises:
        InputError: there is nothing to compare.
    """
    total = float(counts.sum())
    if total <= 0:
        raise InputError(f"mutual information: got {total:g} labelled elements; expected some")
    joint = counts / total
    p = np.bincount(first, joint).astype(np.float64)
    q = np.bincount(second, joint).astype(np.float64)
    entropies = _entropy(p) + _entropy(q)
    if entropies == 0:
        return 1.0
    held = joint > 0
    ratio = joint[held] / (p[first[held]] * q[second[held]])
    information = float(joint[held] @ np.log(ratio))
    return min(1.0, max(0.0, 2 * information / entropies))


def _entropy(p: npt.NDArray[np.float64]) -> float:
    """In nats; a label that holds all has exactly none."""
    held = p[p > 0]
    return 0.0 if len(held) < 2 else float(-(held @ np.log(held)))


@dataclass(frozen=True, kw_only=True)
class ClassOverlap:
    """One class: how many frames it sounds in, and the cluster that holds most of these.

    `recall` is the share of the class's frames in that cluster (in HuBERT, arXiv 2106.07447,
    the clusters' purity of a class), `precision` the share of the cluster's frames that have it.
    """

    label: str
    frames: int
    cluster: int
    recall: float
    precision: float


@dataclass(frozen=True, kw_only=True)
class Share:
    """A class, and the share of a cluster's labelled frames in which it sounds."""

    label: str | None  # None: no class sounds
    share: float


class LabelOverlap:
    """Counts of frames by their labels and their cluster; those of two parts add up."""

    def __init__(self, counts: Iterable[tuple[Labels, int, int]] = ()) -> None:
        self._counts: Counter[tuple[Labels, int]] = Counter()
        for labels, cluster, count in counts:
            self._counts[tuple(labels), cluster] += count

    def add(
        self,
        kinds: Sequence[Labels],
        of_frames: npt.NDArray[np.integer],
        clusters: npt.NDArray[np.integer],
    ) -> None:
        """Frames `(n,)`: which of the `kinds` of labels each has, and its cluster."""
        pairs = np.stack([of_frames, clusters], axis=1)  # (n, 2)
        found, counts = np.unique(pairs, axis=0, return_counts=True)
        for (kind, cluster), count in zip(found.tolist(), counts.tolist(), strict=True):
            self._counts[kinds[kind], cluster] += count

    def update(self, other: "LabelOverlap") -> None:
        """Add the counts of another part."""
        self._counts.update(other._counts)

    def items(self) -> list[tuple[Labels, int, int]]:
        """`(labels, cluster, frames)`, sorted: what the constructor takes."""
        return [(*pair, count) for pair, count in sorted(self._counts.items())]

    @property
    def frames(self) -> int:
        """All of them."""
        return self._counts.total()

    @property
    def active(self) -> int:
        """Frames in which any class sounds."""
        return sum(count for (labels, _), count in self._counts.items() if labels)

    @property
    def overlapping(self) -> int:
        """Frames in which several classes sound."""
        return sum(count for (labels, _), count in self._counts.items() if len(labels) > 1)

    def mutual_information(self, *, active: bool) -> float | None:
        """Normalised; of clusters with the sets of classes that sound.

        Over the frames in which any class sounds, or over all; None where there are none.
        """
        chosen = [item for item in self.items() if item[0] or not active]
        if not chosen:
            return None
        number = {labels: n for n, labels in enumerate(dict.fromkeys(c[0] for c in chosen))}
        columns = [(number[labels], cluster, count) for labels, cluster, count in chosen]
        first, second, counts = np.array(columns, np.int64).T
        return normalised_mutual_information(first, second, counts)

    def purity(self) -> float | None:
        """The share of all frames whose cluster's most frequent class (or none) they have."""
        sums = self._of_clusters()
        best = sum(max(of_cluster.values()) for of_cluster in sums.values())
        return best / self.frames if self.frames else None

    def classes(self) -> list[ClassOverlap]:
        """Each class that sounds anywhere, the most frequent first."""
        totals: Counter[str] = Counter()
        held: dict[str, Counter[int]] = {}
        sizes: Counter[int] = Counter()
        for (labels, cluster), count in sorted(self._counts.items()):
            sizes[cluster] += count
            for label in labels:
                totals[label] += count
                held.setdefault(label, Counter())[cluster] += count
        found = []
        for label, frames in totals.most_common():
            cluster, count = held[label].most_common(1)[0]
            found.append(
                ClassOverlap(
                    label=label,
                    frames=frames,
                    cluster=cluster,
                    recall=count / frames,
                    precision=count / sizes[cluster],
                )
            )
        return found

    def shares(self) -> dict[int, list[Share]]:
        """What each cluster's labelled frames hold, the most frequent first; `None` is silence.

        Where several classes sound in a frame, it counts for each of them.
        """
        sizes: Counter[int] = Counter()
        for (_, cluster), count in self._counts.items():
            sizes[cluster] += count
        return {
            cluster: [
                Share(label=label, share=count / sizes[cluster])
                for label, count in of_cluster.most_common()
            ]
            for cluster, of_cluster in self._of_clusters().items()
        }

    def _of_clusters(self) -> dict[int, Counter[str | None]]:
        sums: dict[int, Counter[str | None]] = {}
        for (labels, cluster), count in sorted(self._counts.items()):
            of_cluster = sums.setdefault(cluster, Counter())
            for label in labels or (None,):
                of_cluster[label] += count
        return sums
