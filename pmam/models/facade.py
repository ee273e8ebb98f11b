"""A detector as people use it: arrays in, tables and events out. Files are for `pipelines`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import soxr
import torch

from pmam.errors import InputError
from pmam.events.event import FloatArray, edges_within_s
from pmam.models.checkpoint import Checkpoint, CheckpointError, unpack
from pmam.models.detector import FrameDetector
from pmam.models.window_scores import Floats, ScoredEvent, stream_events, stream_scores


@dataclass(frozen=True, kw_only=True)
class FrameScores:
    """Probabilities of each class in each frame of a sound, with times and names.

    `numpy.asarray` of it is `values`.

    Args:
        values: `(frames, classes)`.
        edges_s: `(frames + 1,)`, where frames begin and end, in seconds.
        classes: names of the columns.
    """

    values: Floats
    edges_s: FloatArray
    classes: tuple[str, ...]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """`values`."""
        return np.array(self.values, dtype=dtype, copy=True if copy is None else copy)

    def __getitem__(self, label: str) -> Floats:
        """The column `(frames,)` of a class."""
        if label not in self.classes:
            raise InputError(f"class {label!r}: expected one of {', '.join(self.classes)}")
        return self.values[:, self.classes.index(label)]

    def to_arrow(self) -> pa.Table:
        """Columns `onset`, `offset` and the classes, a row a frame."""
        times = {"onset": self.edges_s[:-1], "offset": self.edges_s[1:]}
        scores = {name: self[name] for name in self.classes}
        return pa.table({**times, **scores})

    def to_pandas(self) -> Any:
        """The same as a DataFrame, as sed_scores_eval takes it; pandas must be installed."""
        return self.to_arrow().to_pandas()


class Detector:
    """A sound-event detector with its post-processing.

    Args:
        model: what `pmam finetune` or `pmam train-weak` trained.
        window_s: what the model is given at once, in seconds.
        overlap_s: of neighbouring windows, where they fade into each other.
        batch: windows that go in together at most.
    """

    def __init__(
        self,
        model: FrameDetector,
        *,
        window_s: float = 10.0,
        overlap_s: float = 2.0,
        batch: int = 8,
    ) -> None:
        if not 0 <= overlap_s < window_s:
            raise InputError(
                f"windows of {window_s} s that overlap by {overlap_s} s: expected an overlap of at "
                "least 0 and below the window"
            )
        model.encoder.check_length(window_s, "window_s")
        self.model = model.eval()
        self.window_s, self.overlap_s, self.batch = window_s, overlap_s, batch

    @classmethod
    def load(cls, file: str | Path, *, device: str | None = None, **settings: Any) -> Self:
        """The detector in a file `detector.safetensors`.

        Args:
            file: on this machine.
            device: of torch; by default the GPU where there is one.
            settings: `window_s`, `overlap_s` and `batch`.

        Raises:
            CheckpointError: no such file, or no detector in it.
        """
        path = Path(file).expanduser()
        if not path.is_file():
            raise CheckpointError(f"{file}: no such file; give the detector.safetensors of a run")
        checkpoint = Checkpoint.from_bytes(path.read_bytes(), str(file))
        if checkpoint is None:
            raise CheckpointError(
                f"{file}: nothing in it says what its tensors are; make one file of it: "
                f"pmam checkpoint convert {file} OUT"
            )
        model = unpack(checkpoint, str(file))
        if not isinstance(model, FrameDetector):
            raise CheckpointError(
                f"{file}: a {type(model).__name__}, expected a detector; fine-tune it first"
            )
        if device is None:
            device = "cuda" if torch.cuda.is_available() else "cpu"
        return cls(model.to(device), **settings)

    @property
    def classes(self) -> tuple[str, ...]:
        """What it can hear."""
        return self.model.classes

    @property
    def hop_s(self) -> float:
        """Seconds a frame."""
        return self.model.encoder.hop_s

    @property
    def latency_s(self) -> float:
        """How long after its end an event comes out of `stream` at most, less the work itself.

        A frame is known when the last window that holds it is whole, and smoothing looks ahead.
        Infinite, where post-processing needs the whole sound.
        """
        postprocess = self.model.postprocess
        if postprocess.needs_whole:
            return float("inf")
        sizes = postprocess.sizes(self.classes, self.hop_s)
        reach = max(sizes) // 2 * (2 if postprocess.method == "max" else 1)
        # Frames, a sample more than a window, and what the resampler holds back.
        return 2 * self.window_s - self.overlap_s + (reach + 2) * self.hop_s + 0.1

    def scores(self, wave: npt.ArrayLike, sample_rate_hz: int) -> FrameScores:
        """Probabilities of each class in each frame, before post-processing.

        Args:
            wave: `(samples,)` or `(samples, channels)`: floats in [-1, 1], or whole numbers of 16
                or 32 bits. Channels are averaged.
            sample_rate_hz: of the wave; any.

        Raises:
            InputError: no samples, more channels than samples, or samples that are not finite.
        """
        samples = _mono(wave)
        blocks = list(self._blocks(iter([samples]), sample_rate_hz, []))
        values = np.concatenate(list(self._scores(blocks)))
        edges_s = edges_within_s(len(values), self.hop_s, len(samples) / sample_rate_hz)
        return FrameScores(values=values, edges_s=edges_s, classes=self.classes)

    def events(self, wave: npt.ArrayLike, sample_rate_hz: int) -> list[ScoredEvent]:
        """Events by onset, offset and label: those that `pmam detect` finds in such a file.

        Args:
            wave: as for `scores`.
            sample_rate_hz: of the wave.

        Raises:
            InputError: as `scores`.
        """
        found = self.stream(iter([_mono(wave)]), sample_rate_hz)
        return sorted(found, key=lambda event: event[:3])

    def stream(self, blocks: Iterable[npt.ArrayLike], sample_rate_hz: int) -> Iterator[ScoredEvent]:
        """Events of a sound that goes on, each at most `latency_s` after it is over.

        Shorter windows answer sooner: `Detector.load(file, window_s=2, overlap_s=0.5, batch=1)`.

        Args:
            blocks: of samples, of any lengths, each as for `scores`.
            sample_rate_hz: of all of them.

        Raises:
            InputError: as `scores`.
        """
        given: list[int] = []
        scores = self._scores(self._blocks(map(_mono, blocks), sample_rate_hz, given))
        return stream_events(
            self.model, scores, lambda: sum(given) / sample_rate_hz, self.model.postprocess
        )

    def _scores(self, blocks: Iterable[Floats]) -> Iterator[Floats]:
        return stream_scores(
            self.model,
            blocks,
            window_s=self.window_s,
            overlap_s=self.overlap_s,
            batch=self.batch,
        )

    def _blocks(
        self, waves: Iterator[Floats], sample_rate_hz: int, given: list[int]
    ) -> Iterator[Floats]:
        """Samples at the model's rate, as files are resampled; `given` gets their number before."""
        to_hz = self.model.encoder.sample_rate_hz
        if not sample_rate_hz > 0:
            raise InputError(f"sample_rate_hz {sample_rate_hz}: expected a positive number")
        stream = None
        if sample_rate_hz != to_hz:
            stream = soxr.ResampleStream(sample_rate_hz, to_hz, 1, dtype="float32")
        for wave in waves:
            given.append(len(wave))
            yield wave if stream is None else stream.resample_chunk(wave)
        if stream is not None:
            yield stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True)


def _mono(wave: npt.ArrayLike) -> Floats:
    """Samples `(samples,)` in [-1, 1], channels averaged."""
    samples = np.asarray(wave)
    if samples.ndim not in (1, 2) or not samples.size:
        raise InputError(f"wave {samples.shape}: expected (samples,) or (samples, channels)")
    if samples.ndim == 2 and samples.shape[0] < samples.shape[1]:
        raise InputError(
            f"wave {samples.shape}: more channels than samples; expected (samples, channels): "
            "transpose it"
        )
    if samples.dtype in (np.int16, np.int32):
        samples = samples / np.float32(-float(np.iinfo(samples.dtype).min))
    elif not np.issubdtype(samples.dtype, np.floating):
        raise InputError(f"wave of {samples.dtype}: expected floats, or integers of 16 or 32 bits")
    if not np.isfinite(samples).all():
        raise InputError("wave: got NaN or infinite samples; expected finite ones: repair it")
    samples = samples.astype(np.float32)
    return samples if samples.ndim == 1 else samples.mean(axis=1, dtype=np.float32)
