"""What libsndfile does not read, decoded by FFmpeg's libraries (PyAV): AAC, WMA, AMR, video files.

Also files of a known kind that libsndfile reads in part alone. `import av` takes 0.1 s: it is
loaded when it is needed.
"""

import contextlib
import errno
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from shards.audio.clock import Clock
from shards.audio.containers.looks import looks_like
from shards.audio.errors import AudioError, damaged

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

PART_SAMPLES = 1 << 15  # joined of frames, which are small
END_GAP_S = 0.25  # less than a header promises; encoders' delays are shorter
MPEG = (
    "mp"  # codecs whose frames are checked elsewhere, and which complain of joints that are whole
)
WITH_LENGTH = ("asf", "matroska")  # containers that note what was written, not an estimate
OWN = ("flac", "mp3", "wav")  # what files by themselves are called, and streams too
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

        # lines of decoders name no file, and tell of damage: each call takes its own
        if av.logging.get_level() is None:
            av.logging.set_level(av.logging.ERROR)
        self._name = name
        self._reader = _Reader(file)
        file.seek(0)
        try:
            with av.logging.Capture():
                self._container = cast(
                    "InputContainer", av.open(self._reader, metadata_errors="ignore")
                )
        except (av.FFmpegError, ValueError, OSError) as error:
            self._reader.check()
            raise AudioError(
                f"{name}: cannot be read as audio: it is {looks_like(file)}"
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
        self._is_checked = not self._stream.codec_context.name.startswith(MPEG)
        if self._is_checked:
            strict = "crccheck+bitstream+buffer+explode"
            self._stream.codec_context.options = {"err_detect": strict}
        self._first = self._next()
        if self._first is None:
            raise AudioError(
                f"{name}: got no samples: none were recorded, or it is cut short within the first "
                "block of them; restore it from its source, or leave it out"
            )
        # only a decoded frame tells the rate of AAC with spectral band replication
        self.sample_rate_hz = int(self._first.sample_rate)
        self.channels = len(self._first.layout.channels)
        self.tracks = len(self._container.streams.audio)
        self.codec = str(self._stream.codec_context.name)
        if self.codec in OWN:  # a FLAC in Matroska is no FLAC file
            self.codec += f"_in_{self._container.format.name.partition(',')[0]}"

    def close(self) -> None:
        """Let the file go."""
        self._container.close()

    def parts(self) -> Iterator[npt.NDArray[np.float32]]:
        """All samples `(samples, channels)` as float32 in [-1, 1], once.

        Raises:
            AudioError: a part that cannot be decoded, a gap, or a change of rate or channels.
        """
        waiting: list[npt.NDArray[np.float32]] = []
        done, given = 0, 0
        base_s = float(self._stream.time_base or 0)
        clock = Clock(self._name, self.codec, base_s, self.sample_rate_hz)
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
                clock.add(frame.time, done, self._byte)
            done += frame.samples
            waiting.append(_as_float(frame, self.channels))
            if done - given >= PART_SAMPLES:
                yield np.concatenate(waiting)
                waiting, given = [], done
            frame = self._next(done)
        clock.end()
        self._check_end(done)
        if waiting:
            yield np.concatenate(waiting)

    def _check_end(self, done: int) -> None:
        """Compare with the length in the header where that is of the sound alone."""
        kinds = self._container.format.name.split(",")
        length = self._container.duration
        if length is None or len(self._container.streams) > 1 or not set(kinds) & set(WITH_LENGTH):
            return
        missing_s = length / 1e6 - done / self.sample_rate_hz
        if missing_s > END_GAP_S:
            raise damaged(
                self._name,
                f"{missing_s:.3f} s of sound are missing of {length / 1e6:.3f} s",
                byte=self._byte,
                second=done / self.sample_rate_hz,
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
        import av.logging

        if self._frames is None:
            self._frames = self._decoded()
        second = done / self.sample_rate_hz if done else None
        try:
            with av.logging.Capture() as lines:
                frame = next(self._frames, None)
        except (av.FFmpegError, OSError) as error:
            self._reader.check()
            raise damaged(self._name, _reason(error), byte=self._byte, second=second) from error
        if frame is not None and frame.is_corrupt:
            raise damaged(self._name, "a corrupt frame", byte=self._byte, second=second)
        own = self._stream.codec_context.name
        said = [line for level, by, line in lines if level <= av.logging.ERROR and by == own]
        if said and self._is_checked:
            what = f"its decoder says: {' '.join(said[0].split())}"
            raise damaged(self._name, what, byte=self._byte, second=second)
        return frame


def _as_float(frame: "AudioFrame", channels: int) -> npt.NDArray[np.float32]:
    """A frame `(samples, channels)` in [-1, 1], whatever its decoder gives."""
    samples = frame.to_ndarray()
    samples = samples.T if frame.format.is_planar else samples.reshape(-1, channels)
    if samples.dtype == np.uint8:
        return np.asarray((samples.astype(np.float32) - 128) / 128, np.float32)
    if np.issubdtype(samples.dtype, np.integer):
        return np.asarray(samples * np.float32(2.0 ** (1 - 8 * samples.itemsize)), np.float32)
    return np.asarray(samples, np.float32)


def _reason(error: Exception) -> str:
    """What the decoder said, else what FFmpeg calls the error."""
    if (log := getattr(error, "log", None)) is not None:
        return f"its decoder says: {' '.join(str(log[2]).split())}"
    return str(getattr(error, "strerror", None) or error)


class _Reader:
    """A file for FFmpeg, which would take an error of reading for the file's end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.failure: OSError | None = None
        self.tell = file.tell

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """The new place, negative where a header leads to none."""
        try:
            return self._file.seek(offset, whence)
        except ValueError:
            return -1
        except OSError as error:
            if error.errno != errno.EINVAL:
                self.failure = error
            return -1

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
