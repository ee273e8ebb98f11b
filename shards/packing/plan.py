"""Before packing: read every clip's header, check its labels, and share the clips out.

A plan says all that a shard depends on, so any worker writes the same bytes from it.
"""

import hashlib
import json
import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import BinaryIO, Literal, NamedTuple, cast

from shards import audio
from shards.audio.decoding import AudioError, AudioInfo
from shards.clip import Clip, ClipError, check_clip, nfc
from shards.errors import told
from shards.io.store import Store
from shards.manifest import SHARD_FOLDER

Codec = Literal["keep", "flac", "wav"]
OnError = Literal["fail", "skip"]

BLOCK_BYTES = tarfile.BLOCKSIZE
FLAC_OF_PCM = 0.6  # what FLAC leaves of 16-bit field recordings, for planning alone


class Skipped(NamedTuple):
    """A clip that was left out, and why, in one line."""

    source_id: str
    reason: str


class Surveyed(NamedTuple):
    """A clip whose header was read and whose labels were checked."""

    clip: Clip
    info: AudioInfo
    size_bytes: int  # of the source's file


@dataclass(frozen=True, kw_only=True)
class ShardPlan:
    """One shard to be written: its name in the dataset and its clips in order."""

    name: str
    clips: tuple[Clip, ...]

    def to_json(self) -> str:
        """One line of JSON, which travels to a worker as it is."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "ShardPlan":
        """The plan that `to_json` described."""
        values = json.loads(text)
        clips = tuple(Clip.from_dict(clip) for clip in values["clips"])
        return cls(name=values["name"], clips=clips)


def survey(
    source: Store,
    clips: Iterable[Clip],
    *,
    classes: Sequence[str] | None = None,
    on_error: OnError = "fail",
) -> tuple[list[Surveyed], list[Skipped]]:
    """Find every clip's length and check its labels against it and against `classes`.

    Clips that cannot be used are an `AudioError` or a `ClipError` that tells all of them, or with
    `on_error='skip'` they are listed. A store that cannot be read is always an error: that says
    nothing of the clip.
    """
    known = None if classes is None else frozenset(map(nfc, classes))
    surveyed, skipped = [], []
    errors: list[AudioError | ClipError] = []
    for clip in clips:
        try:
            surveyed.append(_surveyed(source, clip, known))
        except (AudioError, ClipError) as error:
            errors.append(error)
            skipped.append(Skipped(clip.source_id, str(error)))
    if errors and on_error == "fail":
        if len(errors) == 1:
            raise errors[0]
        raise type(errors[0])(f"{len(errors)} clips cannot be used: {told(list(map(str, errors)))}")
    return surveyed, skipped


def plan_shards(
    surveyed: Iterable[tuple[Clip, AudioInfo, int]],
    target_bytes: int,
    seed: int,
    *,
    codec: Codec = "keep",
    sample_rate_hz: int | None = None,
) -> list[ShardPlan]:
    """Split clips into shards of about `target_bytes`, in the order of a seeded hash of the key.

    Each shard is so a fair sample of the whole. The plan depends on the set of clips, their
    predicted sizes, the target and the seed, and not on the order in which they come.
    """
    if target_bytes <= 0:
        raise ClipError(f"got target_bytes={target_bytes}; expected a shard size above 0")
    sizes: dict[str, int] = {}
    clips: dict[str, Clip] = {}
    for clip, info, size_bytes in surveyed:
        if clip.key in clips:
            raise ClipError(
                f"{clip.source_id}: doubled id, of {clips[clip.key].audio} and {clip.audio}; "
                "expected each id once: rename or remove one"
            )
        clips[clip.key] = clip
        sizes[clip.key] = _tar_bytes(
            predicted_bytes(info, size_bytes, codec, sample_rate_hz)
        ) + _tar_bytes(len(json.dumps(clip.to_dict())))
    groups: list[list[Clip]] = []
    filled = target_bytes
    for key in sorted(clips, key=lambda key: hashlib.sha256(f"{seed}:{key}".encode()).digest()):
        if filled + sizes[key] > target_bytes:
            groups.append([])
            filled = 0
        groups[-1].append(clips[key])
        filled += sizes[key]
    digits = max(5, len(str(len(groups))))
    return [
        ShardPlan(name=f"{SHARD_FOLDER}/{number:0{digits}d}.tar", clips=tuple(group))
        for number, group in enumerate(groups)
    ]


def stored_form(info: AudioInfo, codec: Codec, sample_rate_hz: int | None) -> tuple[str, int]:
    """The codec and rate in which a recording is stored.

    `keep` keeps both. A resampled recording must be encoded anew, so there `keep` keeps FLAC
    and WAV, and what came as Ogg or MP3 becomes FLAC. So does what shards cannot hold: AAC, AIFF,
    W64, WMA, the sound of videos.
    """
    rate = sample_rate_hz or info.sample_rate_hz
    if codec != "keep":
        return codec, rate
    kept = audio.CODECS if rate == info.sample_rate_hz else ("flac", "wav")
    return (info.codec if info.codec in kept else "flac"), rate


def predicted_bytes(
    info: AudioInfo, size_bytes: int, codec: Codec, sample_rate_hz: int | None
) -> int:
    """About how many bytes the stored recording will have; exact where its bytes are kept."""
    form = stored_form(info, codec, sample_rate_hz)
    if form == (info.codec, info.sample_rate_hz):
        return size_bytes
    stored_codec, rate = form
    pcm = 2 * info.num_samples * rate / info.sample_rate_hz
    return round(pcm * (FLAC_OF_PCM if stored_codec == "flac" else 1))


def _surveyed(source: Store, clip: Clip, classes: frozenset[str] | None) -> Surveyed:
    with source.open(clip.audio) as file:
        info = audio.probe(cast(BinaryIO, file), clip.audio)
        size_bytes = int(file.size())
    clip = check_clip(clip, info.num_samples / info.sample_rate_hz, classes)
    return Surveyed(clip, info, size_bytes)


def _tar_bytes(size: int) -> int:
    """What a member of `size` bytes takes in a tar: a header, and whole blocks."""
    return BLOCK_BYTES + -(-size // BLOCK_BYTES) * BLOCK_BYTES
