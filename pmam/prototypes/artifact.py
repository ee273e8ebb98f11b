"""Prototypes: the clusters of frame embeddings whose posteriors are the pseudo labels."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any, Literal, get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import load as tensors_from_bytes
from safetensors.torch import save as tensors_to_bytes

from pmam.clustering.distances import assign
from pmam.clustering.pca import Projection
from pmam.errors import InputError
from pmam.mixture.diagnostics import Diagnostics, diagnostics_of, posterior_sums
from pmam.mixture.e_step import responsibilities
from pmam.mixture.frame_blocks import Frames, steps_of
from pmam.mixture.parameters import MixtureParameters
from pmam.mixture.settings import CovarianceType

FORMAT_VERSION = 2
TENSORS = "prototypes.safetensors"
DESCRIPTION = "prototypes.json"

Kind = Literal["gmm", "kmeans"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Prototypes:
    """K prototypes with `weights (K,)` and `means (K, D')` in float64.

    Of kind `gmm`, posteriors are those of the Gaussian mixture with `covariances` (shaped by
    `covariance_type`); of kind `kmeans`, they are one-hot at the nearest mean, and there are no
    covariances. A `temperature` above 1 softens a mixture's posteriors
    (`pmam.mixture.e_step.responsibilities`), which in many dimensions are nearly one-hot. A
    `projection`
    takes features of width D to the D' dimensions of the means.
    `encoder` is the fingerprint of the encoder that made the features; `log_likelihoods` are the
    training frames' per EM iteration, `diagnostics` those of held-out frames.
    """

    kind: Kind
    weights: torch.Tensor
    means: torch.Tensor
    covariance_type: CovarianceType | None = None
    covariances: torch.Tensor | None = None
    projection: Projection | None = None
    temperature: float = 1.0
    encoder: str = ""
    log_likelihoods: tuple[float, ...] = ()
    diagnostics: Diagnostics | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise InputError(f"prototypes: got kind {self.kind!r}; expected gmm or kmeans")
        if self.means.ndim != 2 or self.weights.shape != self.means.shape[:1]:
            raise InputError(
                f"prototypes: got weights {tuple(self.weights.shape)} and means "
                f"{tuple(self.means.shape)}; expected (K,) and (K, D)"
            )
        if self.projection and len(self.projection.components) != self.means.shape[1]:
            raise InputError(
                f"prototypes: got a projection to {len(self.projection.components)} dimensions; "
                f"expected {self.means.shape[1]}, those of the means"
            )
        if not self.temperature > 0:
            raise InputError(
                f"prototypes: got temperature {self.temperature:g}; expected a number above 0"
            )
        if self.kind == "gmm":
            _ = self.mixture  # checks the shapes of the covariances
        elif self.temperature != 1:
            raise InputError(
                f"prototypes: got kmeans with a temperature of {self.temperature:g}; expected gmm: "
                "one-hot posteriors cannot be softened"
            )
        elif self.covariances is not None or self.covariance_type is not None:
            raise InputError("prototypes: got kmeans with covariances; expected gmm, or none")

    @property
    def width(self) -> int:
        """D, the width of the features that `posteriors` takes."""
        return int((self.projection.components if self.projection else self.means).shape[1])

    @cached_property
    def mixture(self) -> MixtureParameters:
        """The Gaussian mixture; `InputError` for k-means, which has no density."""
        if self.covariances is None or self.covariance_type is None:
            raise InputError(f"prototypes: got kind {self.kind} without covariances; expected them")
        return MixtureParameters(
            covariance_type=self.covariance_type,
            weights=self.weights,
            means=self.means,
            covariances=self.covariances,
        )

    def posteriors(self, x: torch.Tensor) -> torch.Tensor:
        """Posteriors `(..., K)` in float32 of features `(..., D)`, on the prototypes' device."""
        rows = x.reshape(-1, x.shape[-1])
        parts = [self.evaluate(piece)[0].float() for piece in steps_of(rows, self.means.device)]
        flat = torch.cat([self.means.new_zeros(0, len(self.means), dtype=torch.float32), *parts])
        return flat.reshape(*x.shape[:-1], len(self.means))

    def evaluate(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Posteriors `(n, K)` of features `(n, D)`, and their log-likelihoods `(n,)` if any."""
        if x.shape[1] != self.width:
            raise InputError(
                f"features: got width {x.shape[1]}; expected {self.width}, that of the "
                "prototypes: use the encoder that they were fitted to"
            )
        projected = self.projection.apply(x) if self.projection else x
        if self.kind == "gmm":
            return responsibilities(projected, self.mixture, self.temperature)
        nearest = assign(projected, self.means)
        return torch.nn.functional.one_hot(nearest, len(self.means)).double(), None

    def means_in_feature_space(self) -> torch.Tensor:
        """The means `(K, D)` as features: a projection is undone within its span."""
        return self.projection.invert(self.means) if self.projection else self.means

    def to_files(self) -> dict[str, bytes]:
        """The bytes of `prototypes.safetensors` and of `prototypes.json`, to be written last."""
        tensors = {"weights": self.weights, "means": self.means}
        if self.covariances is not None:
            tensors["covariances"] = self.covariances
        if self.projection is not None:
            for field in fields(Projection):
                tensors[f"projection.{field.name}"] = getattr(self.projection, field.name)
        data = tensors_to_bytes({name: t.cpu().contiguous() for name, t in tensors.items()})
        description = {
            "format_version": FORMAT_VERSION,
            "kind": self.kind,
            "components": len(self.means),
            "covariance_type": self.covariance_type,
            "temperature": self.temperature,
            "encoder": self.encoder,
            "log_likelihoods": self.log_likelihoods,
            "diagnostics": asdict(self.diagnostics) if self.diagnostics else None,
            "tensors_sha256": hashlib.sha256(data).hexdigest(),
        }
        return {TENSORS: data, DESCRIPTION: json.dumps(description, indent=2).encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], folder: str) -> "Prototypes":
        """What `to_files` gave.

        Args:
            files: both, by their names.
            folder: what messages call the place of the files.

        Raises:
            InputError: a file of another format version, one that is damaged or belongs to another
                fit, or shapes that disagree.
        """
        path = f"{folder}/{DESCRIPTION}"
        description = _description(files[DESCRIPTION], path)
        data = files[TENSORS]
        if hashlib.sha256(data).hexdigest() != description.get("tensors_sha256"):
            raise InputError(
                f"{folder}/{TENSORS}: is not the file that {DESCRIPTION} names by sha256; "
                "it is damaged or from another fit: run fit again"
            )
        try:
            tensors = tensors_from_bytes(data)
            found = description["diagnostics"]
            projection = {
                field.name: tensors[f"projection.{field.name}"]
                for field in fields(Projection)
                if "projection.components" in tensors
            }
            return cls(
                kind=description["kind"],
                weights=tensors["weights"],
                means=tensors["means"],
                covariance_type=description["covariance_type"],
                covariances=tensors.get("covariances"),
                projection=Projection(**projection) if projection else None,
                temperature=description["temperature"],
                encoder=description["encoder"],
                log_likelihoods=tuple(description["log_likelihoods"]),
                diagnostics=Diagnostics(**found) if found else None,
            )
        except (SafetensorError, KeyError, TypeError) as error:
            raise InputError(
                f"{path}: lacks or misnames {error}; expected prototypes of format version "
                f"{FORMAT_VERSION}: run fit again"
            ) from error
        except ValueError as error:
            raise InputError(f"{path}: {error}") from error


def diagnose(prototypes: Prototypes, held_out: Frames) -> Diagnostics:
    """How the prototypes behave on features `(N, D)` that were kept out of the fit."""
    sums = posterior_sums(prototypes, held_out)
    return diagnostics_of(sums, prototypes.means.shape[1], density=prototypes.kind == "gmm")


def _description(data: bytes, path: str) -> dict[str, Any]:
    try:
        description = json.loads(data)
    except ValueError as error:
        raise InputError(f"{path}: is not JSON ({error}): run fit again") from error
    version = description.get("format_version") if isinstance(description, dict) else None
    if version != FORMAT_VERSION:
        raise InputError(
            f"{path}: got format version {version}; expected {FORMAT_VERSION}: run fit again"
        )
    return dict(description)
