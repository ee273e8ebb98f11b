"""A clip for each channel of a recording, where channels are different places or microphones."""

from collections.abc import Iterable
from dataclasses import replace

from shards.audio.channels import each_name
from shards.packing.plan import Surveyed

SHOWN_NAMES = 4


def by_channel(surveyed: Iterable[Surveyed]) -> tuple[list[Surveyed], list[str]]:
    """Clips of several channels as one clip for each channel, and a note of what they are called.

    Each has all labels of its clip and is of the same recording: the clip itself, where the source
    tells of none. Clips of one channel stay as they are.
    """
    found: list[Surveyed] = []
    names: list[str] = []
    split = 0
    for each in surveyed:
        clip, info, size_bytes = each
        if info.channels == 1:
            found.append(each)
            continue
        split += 1
        for number in range(info.channels):
            of_one = replace(
                clip,
                source_id=f"{clip.source_id}-{each_name(number, info.channels)}",
                recording=clip.recording or clip.source_id,
                channel=number,
            )
            names.append(of_one.source_id)
            found.append(
                Surveyed(of_one, replace(info, channels=1), -(-size_bytes // info.channels))
            )
    if not split:
        return found, []
    shown = ", ".join(names[:SHOWN_NAMES]) + (", ..." if len(names) > SHOWN_NAMES else "")
    return found, [
        f"{split} recordings of several channels are {len(names)} clips, one for each channel: "
        f"{shown}"
    ]
