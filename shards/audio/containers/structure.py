"""What a whole sound file is: the one place where that is decided, for every kind of file."""

import io
from dataclasses import dataclass
from typing import BinaryIO, Literal

from shards.audio.containers import aiff, flac, flac_headers, mp3, ogg, promises, riff, tags
from shards.audio.containers.splice import Part, Piece, spliced
from shards.audio.errors import AudioError

Decoder = Literal["libsndfile", "ffmpeg"]
WAVE_FILES = (b"RIFF", b"RIFX", b"RF64", b"BW64")
MPEG_SYNC = 0x7FF


@dataclass(frozen=True)
class Whole:
    """All the sound of a file: pieces one after another, each as long as it really is.

    Args:
        codec: wav, flac, mp3, ogg, aiff or w64; None: the decoder says.
        decoder: that reads all of it.
        pieces: mostly one, the file itself.
    """

    codec: str | None
    decoder: Decoder
    pieces: tuple[Piece, ...]

    @property
    def num_samples(self) -> int | None:
        """Per channel and exact; None where only decoding tells."""
        counts = [piece.num_samples for piece in self.pieces]
        return None if None in counts else sum(count or 0 for count in counts)


def whole(file: BinaryIO, name: str, *, quick: bool = False) -> Whole:
    """What a file holds, from its structure: sizes, frames and pages, not its header's length.

    Args:
        file: with random access.
        name: what errors call it.
        quick: leave most frames of a large FLAC unread where some and the last one agree with its
            header.

    Raises:
        AudioError: it is empty, cut short, or damaged, with the byte and the second where that
            is known.
    """
    end = file.seek(0, io.SEEK_END)
    if end == 0:
        raise AudioError(f"{name}: got an empty file (0 bytes); copy it again or remove it")
    first = tags.after_tags(file, 0, end)
    file.seek(first)
    start = file.read(12)
    if start[:4] in WAVE_FILES and start[8:12] == b"WAVE":
        return _wav(file, first, end, name)
    if start[:4] == b"riff":
        return _found("w64", "libsndfile", riff.w64(file, first, end, name), file)
    if start[:4] == b"FORM" and start[8:12] in (b"AIFF", b"AIFC"):
        return _found("aiff", "libsndfile", aiff.aiff(file, first, end, name), file)
    if start[:4] == flac_headers.MARK:
        last = tags.before_tags(file, first, end)
        if quick and first == 0 and (count := flac.promised(file, first, last)):
            return Whole("flac", "libsndfile", (Piece(file, count, 0),))
        return _found("flac", "libsndfile", flac.flac(file, first, last, name), file)
    if start[:4] == ogg.MARK:
        pieces, is_plain = ogg.ogg(file, first, end, name)
        return _found("ogg", "libsndfile" if is_plain else "ffmpeg", pieces, file)
    if not promises.is_container(start) and (
        _may_be_mp3(start, first) or mp3.begins_near(file, first, end)
    ):
        pieces, is_promise = mp3.mp3(file, first, end, name)
        return _found("mp3", "libsndfile" if is_promise else "ffmpeg", pieces, file)
    parts = promises.kept(file, first, end, name)
    rest = file if parts == (Part(0, end),) else spliced(file, *parts)
    return Whole(None, _decoder(file, first), (Piece(rest, None, first),))


def _decoder(file: BinaryIO, first: int) -> Decoder:
    """What reads a file of any other kind to its end."""
    file.seek(first)
    start = file.read(32)
    # FFmpeg drops what the last packet of ALAC lacks once more from its end
    return "libsndfile" if start[:4] == b"caff" and start[28:] == b"alac" else "ffmpeg"


def _wav(file: BinaryIO, first: int, end: int, name: str) -> Whole:
    found = riff.wav(file, first, end, name)
    if found.tag not in riff.MPEG:
        return _found("wav", "libsndfile", found.pieces, file)
    pieces: list[Piece] = []
    for span in found.spans:
        pieces += mp3.mp3(file, span.offset, span.offset + span.size, name, is_whole_file=False)[0]
    return _found("wav", "ffmpeg", pieces, file)


def _found(codec: str, decoder: Decoder, pieces: list[Piece], file: BinaryIO) -> Whole:
    """The pieces, or the file as it is, for the decoder to say what is wrong with it."""
    return Whole(codec, decoder, tuple(pieces) or (Piece(file, None, 0),))


def _may_be_mp3(start: bytes, first: int) -> bool:
    """MPEG audio has no mark in front: a frame, or a tag with nothing known behind it."""
    is_frame = int.from_bytes(start[:2], "big") >> 5 == MPEG_SYNC and start[1] >> 1 & 3 != 0
    return is_frame or (first > 0 and start[4:8] not in promises.MP4_FIRST)
