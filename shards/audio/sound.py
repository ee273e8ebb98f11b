"""An opened sound file: its pieces one after another, by the decoder that reads all of each."""

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy.typing as npt
import soundfile as sf

from shards.audio import ffmpeg
from shards.audio.containers import flac
from shards.audio.containers.splice import Piece
from shards.audio.containers.structure import whole
from shards.audio.errors import AudioError, damaged, one_line, truncated
from shards.audio.quiet import quiet_decoder

MIN_RATE_HZ, MAX_RATE_HZ = 100, 1_000_000  # from infrasound to the fastest bat recorders
MAX_SAMPLES = 1 << 40  # more than a year at 32 kHz: such a length stands for none
MP3_SLACK_SAMPLES = 2 * 1152  # encoder delay and padding: two MP3 frames
READ_SAMPLES = 1 << 18  # samples of all channels that are decoded at a time


@dataclass(frozen=True, kw_only=True)
class AudioInfo:
    """What an audio file holds.

    `num_samples` counts per channel what can be decoded, whatever the file's header says.
    """

    codec: str  # flac | mp3 | ogg | wav, or of another kind: aiff, w64, aac, pcm_s16le ...
    sample_rate_hz: int
    num_samples: int
    channels: int

    @property
    def is_lossless(self) -> bool:
        """Whether its samples are those that were recorded."""
        codec = self.codec.partition("_in_")[0]
        known = ("aiff", "caf", "flac", "w64", "wav", *ffmpeg.LOSSLESS)
        return codec in known or codec.startswith("pcm_")


class Sound:
    """An opened file: what it holds, and its samples, piece after piece.

    Each piece is decoded by libsndfile where that reads all of it, else by FFmpeg.
    """

    def __init__(self, codec: str | None, by_ffmpeg: bool, pieces: tuple[Piece, ...], name: str):
        self.name, self._pieces = name, pieces
        self._stack = contextlib.ExitStack()
        self._by_ffmpeg = by_ffmpeg
        self._open = self._opened_piece(pieces[0], codec)
        self.subtype: str | None = None
        self.tracks = 1  # of sound, of which the first that is best is read
        if isinstance(self._open, ffmpeg.Stream):
            self.sample_rate_hz = self._open.sample_rate_hz
            self.codec = codec or self._open.codec
            self._said: int | None = None
            self.tracks = self._open.tracks
        else:
            self.sample_rate_hz = self._open.samplerate
            self.codec = codec or self._open.format.lower()
            self.subtype = self._open.subtype if len(pieces) == 1 else None
            self._said = self._open.frames if 0 < self._open.frames < MAX_SAMPLES else None
            if self._open.frames == 0 and len(pieces) == 1:
                raise _no_samples(name)
        self.channels: int = self._open.channels
        check_rate(self.sample_rate_hz, name)

    @property
    def num_samples(self) -> int | None:
        """Per channel, exactly; None where only decoding tells."""
        if len(self._pieces) == 1 and self._said is not None:
            return self._said
        counts = [piece.num_samples for piece in self._pieces]
        return None if None in counts else sum(count or 0 for count in counts)

    def info(self, num_samples: int) -> AudioInfo:
        """What it holds, with a number of samples."""
        return AudioInfo(
            codec=self.codec,
            sample_rate_hz=self.sample_rate_hz,
            num_samples=num_samples,
            channels=self.channels,
        )

    def close(self) -> None:
        """Let the file go."""
        self._stack.close()

    def parts(self, dtype: str) -> Iterator[npt.NDArray[Any]]:
        """All samples, `(samples, channels)`, once: no length is trusted with memory."""
        done = 0
        for number, piece in enumerate(self._pieces):
            if number:
                self._stack.close()
                self._open = self._opened_piece(piece, self.codec)
                self._check_equal(piece)
            before = done
            for part in self._piece_parts(piece, dtype, before):
                done += len(part)
                yield part
            self._check_length(piece, done - before)
        if not done:
            raise _no_samples(self.name)

    def _opened_piece(self, piece: Piece, codec: str | None) -> Any:
        if not self._by_ffmpeg:
            try:
                piece.file.seek(0)
                with _quiet(codec):
                    found = self._stack.enter_context(sf.SoundFile(_Seekable(piece.file)))
                is_short = found.frames < (piece.num_samples or 0)
                if codec == "mp3" or not is_short:
                    return found
            except (sf.SoundFileError, TypeError) as error:
                if codec in ("flac", "mp3"):
                    raise AudioError(
                        f"{self.name}: cannot be read as audio ({one_line(error)}); restore it "
                        "from its source"
                    ) from error
        return self._stack.enter_context(ffmpeg.opened(piece.file, self.name))

    def _check_equal(self, piece: Piece) -> None:
        opened = self._open
        rate = opened.sample_rate_hz if isinstance(opened, ffmpeg.Stream) else opened.samplerate
        if (rate, opened.channels) != (self.sample_rate_hz, self.channels):
            raise AudioError(
                f"{self.name}: joined of recordings with {self.sample_rate_hz} Hz and "
                f"{self.channels} channels and, from byte {piece.byte} on, {rate} Hz and "
                f"{opened.channels}; split it there, or convert it"
            )

    def _broken(self, piece: Piece, before: int, done: int, reason: str) -> AudioError:
        """What the decoder fails at, and where: FLAC's frames have checksums."""
        found = flac.broken_frame(piece.file, done) if self.codec == "flac" else None
        if found is not None:
            byte, sample = found
            second = (before + sample) / self.sample_rate_hz
            what = "a frame's bytes do not match its checksum"
            return damaged(self.name, what, byte=piece.byte + byte, second=second)
        second = (before + done) / self.sample_rate_hz
        return AudioError(
            f"{self.name}: broken after {second:.3f} s ({reason}); restore it from its source"
        )

    def _piece_parts(self, piece: Piece, dtype: str, before: int) -> Iterator[npt.NDArray[Any]]:
        opened = self._open
        if isinstance(opened, ffmpeg.Stream):
            yield from opened.parts()
            return
        size = max(1, READ_SAMPLES // self.channels)
        done = 0
        while True:
            try:
                with _quiet(self.codec):
                    part = opened.read(size, dtype=dtype, always_2d=True)
            except sf.SoundFileError as error:
                raise self._broken(piece, before, done, one_line(error)) from error
            if not len(part):
                return
            done += len(part)
            yield part

    def _check_length(self, piece: Piece, done: int) -> None:
        promised = piece.num_samples
        if not isinstance(self._open, ffmpeg.Stream):
            promised = max(promised or 0, min(self._open.frames, MAX_SAMPLES) % MAX_SAMPLES)
            if self.codec == "mp3":
                promised -= MP3_SLACK_SAMPLES
        if promised is not None and done < promised:
            raise truncated(
                self.name,
                f"got {done} samples, {done / self.sample_rate_hz:.3f} s, where there should be "
                f"{promised}",
            )


class _Seekable:
    """A file for libsndfile, whose damaged headers may lead in front of its beginning.

    An exception within its callbacks would be written to standard error without the file's name.
    The place is the beginning instead, where libsndfile finds no part of a file that it looks for.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.tell, self.read = file.tell, file.read  # called for each 8 kB: no detour
        if hasattr(file, "readinto"):
            self.readinto = file.readinto

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Choose the next byte to read."""
        try:
            return self._file.seek(offset, whence)
        except (ValueError, OverflowError, OSError):  # of bytes, of both, and of files on a disk
            return self._file.seek(0)


def _quiet(codec: str | None) -> contextlib.AbstractContextManager[None]:
    """Where a decoder writes lines of its own."""
    return quiet_decoder() if codec == "mp3" else contextlib.nullcontext()


def _no_samples(name: str) -> AudioError:
    return AudioError(f"{name}: holds zero samples: nothing was recorded; leave it out")


@contextlib.contextmanager
def opened(file: BinaryIO, name: str, *, quick: bool = False) -> Iterator[Sound]:
    """The opened file, found whole or an `AudioError`."""
    found = whole(file, name, quick=quick)
    sound = Sound(found.codec, found.decoder == "ffmpeg", found.pieces, name)
    try:
        yield sound
    finally:
        sound.close()


def check_rate(rate_hz: int, name: str) -> None:
    """Refuse a rate that no recording has."""
    if not MIN_RATE_HZ <= rate_hz <= MAX_RATE_HZ:
        raise AudioError(
            f"{name}: got a sample rate of {rate_hz} Hz; expected {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz"
        )
