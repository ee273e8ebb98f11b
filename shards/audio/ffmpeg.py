"""What libsndfile does not read, decoded by FFmpeg's libraries (PyAV): AAC, WMA, AMR, video files.

Also files of a known kind that libsndfile reads in part alone. `import av` takes 0.1 s: it is
loaded when it is needed.
"""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from shards.audio.errors import AudioError, damaged, one_line

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

PART_SAMPLES = 1 << 15  # joined of frames, which are small
GAP_S = 0.5  # of time stamps, beyond which sound is missing rather than rounded
LOSSLESS = ("alac", "ape", "flac", "tta", "wavpack", "wmalossless")


class Stream:
    """The sound of an opened file: the first audio stream that FFmpeg takes for the best.

    Args:
        file: with random access.
        name: what errors call it.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        import av
        import av.logging

        av.logging.set_level(None)  # its lines name no file
        self._name = name
        self._reader = _Reader(file)
        file.seek(0)
        try:
            self._container = cast(
                "InputContainer", av.open(self._reader, metadata_errors="ignore")
            )
        except (av.FFmpegError, ValueError) as error:
            self._reader.check()
            raise AudioError(
                f"{name}: cannot be read as audio ({one_line(error)}); convert it to WAV or FLAC"
            ) from error
        stream = self._container.streams.best("audio")
        if stream is None:
            raise AudioError(f"{name}: holds no sound (no audio stream); leave it out")
        self._stream = cast("AudioStream", stream)
        if self._stream.codec_context is None:  # no decoder for what its header names
            raise AudioError(
                f"{name}: cannot be read as audio (sound of a kind that is not known); convert it "
                "to WAV or FLAC, or restore its header"
            )
        self._stream.codec_context.thread_count = 1
        self._first = self._next()
        if self._first is None:
            raise AudioError(f"{name}: holds no samples; leave it out")
        # only a decoded frame tells the rate of AAC with spectral band replication
        self.sample_rate_hz = int(self._first.sample_rate)
        self.channels = len(self._first.layout.channels)
        self.codec = str(self._stream.codec_context.name)
        self.is_lossless = self.codec.startswith("pcm_") or self.codec in LOSSLESS

    def close(self) -> None:
        """Let the file go."""
        self._container.close()

    def parts(self) -> Iterator[npt.NDArray[np.float32]]:
        """All samples `(samples, channels)` as float32 in [-1, 1], once.

        Raises:
            AudioError: a part that cannot be decoded, a gap, or a change of rate or channels.
        """
        waiting: list[npt.NDArray[np.float32]] = []
        done, given, start_s = 0, 0, None
        frame = self._first
        while frame is not None:
            found = (frame.sample_rate, len(frame.layout.channels))
            if found != (self.sample_rate_hz, self.channels):
                raise AudioError(
                    f"{self._name}: changes from {self.sample_rate_hz} Hz and {self.channels} "
                    f"channels to {found[0]} Hz and {found[1]} after "
                    f"{done / self.sample_rate_hz:.3f} s; convert it to one of them"
                )
            if frame.time is not None:
                start_s = frame.time if start_s is None else start_s
                self._check_gap(frame.time - start_s, done)
            done += frame.samples
            waiting.append(_as_float(frame, self.channels))
            if done - given >= PART_SAMPLES:
                yield np.concatenate(waiting)
                waiting, given = [], done
            frame = self._next(done)
        if waiting:
            yield np.concatenate(waiting)

    def _check_gap(self, time_s: float, done: int) -> None:
        expected_s = done / self.sample_rate_hz
        if time_s - expected_s > GAP_S:
            raise damaged(
                self._name,
                f"{time_s - expected_s:.3f} s of sound are missing",
                byte=self._byte,
                second=expected_s,
            )

    _byte = 0
    _frames: Iterator["AudioFrame"] | None = None

    def _decoded(self) -> Iterator["AudioFrame"]:
        for packet in self._container.demux(self._stream):
            if packet.pos is not None:
                self._byte = packet.pos
            if packet.is_corrupt:
                raise damaged(self._name, "a corrupt packet", byte=self._byte)
            yield from packet.decode()

    def _next(self, done: int = 0) -> "AudioFrame | None":
        import av

        if self._frames is None:
            self._frames = self._decoded()
        try:
            return next(self._frames, None)
        except av.FFmpegError as error:
            self._reader.check()
            second = done / self.sample_rate_hz if done else None
            raise damaged(self._name, one_line(error), byte=self._byte, second=second) from error


def _as_float(frame: "AudioFrame", channels: int) -> npt.NDArray[np.float32]:
    """A frame `(samples, channels)` in [-1, 1], whatever its decoder gives."""
    samples = frame.to_ndarray()
    samples = samples.T if frame.format.is_planar else samples.reshape(-1, channels)
    if samples.dtype == np.uint8:
        return np.asarray((samples.astype(np.float32) - 128) / 128, np.float32)
    if np.issubdtype(samples.dtype, np.integer):
        return np.asarray(samples * np.float32(2.0 ** (1 - 8 * samples.itemsize)), np.float32)
    return np.asarray(samples, np.float32)


class _Reader:
    """A file for FFmpeg, which would take an error of reading for the file's end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.failure: OSError | None = None
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        try:
            return self._file.read(size)
        except OSError as error:
            self.failure = error
            return b""

    def check(self) -> None:
        """Raise what reading could not."""
        if self.failure is not None:
            raise self.failure


@contextlib.contextmanager
def opened(file: BinaryIO, name: str) -> Iterator[Stream]:
    """A file whose sound is decoded once, from its beginning."""
    stream = Stream(file, name)
    try:
        yield stream
        stream._reader.check()
    finally:
        stream.close()
