"""Whether scores reach from a clip's start to its end."""

from pipelines.runtime.errors import PipelineError
from pipelines.runtime.words import counted
from pmam.metrics.evaluation_set import EvaluationSet
from pmam.metrics.events.detection_set import DetectionSet
from shards.errors import told

SLACK_S = 0.1  # that a clip's length may be off, besides a frame


def clips_of_other_length(clips: EvaluationSet) -> list[str]:
    """Clips whose scores begin or end elsewhere than they do, by more than a frame."""
    found = []
    for clip in clips.clips:
        edges_s, length_s = clips.edges_s(clip), clips.durations_s[clip]
        slack_s = SLACK_S + float((edges_s[1:] - edges_s[:-1]).max())
        first_s, last_s = float(edges_s[0]), float(edges_s[-1])
        if first_s > slack_s or abs(last_s - length_s) > slack_s:
            found.append(f"{clip}: {first_s:g} to {last_s:g} of {length_s:g} s")
    return found


def late_detections(clips: DetectionSet) -> list[str]:
    """Detections that end behind their clip, which count as they are; at all operating points."""
    return [
        f"{clip}: {event.label} until {event.offset_s:g} of {clips.durations_s[clip]:g} s"
        for point in clips.points.values()
        for clip, events in point.items()
        for event in events
        if event.offset_s > clips.durations_s[clip] + SLACK_S
    ]


def refuse_unscored_events(name: str, clips: EvaluationSet) -> None:
    """Refuse events that begin behind the last frame: no frame is theirs.

    Raises:
        PipelineError: there are some.
    """
    behind = []
    for clip in clips.clips:
        edges_s = clips.edges_s(clip)
        end_s = float(2 * edges_s[-1] - edges_s[-2])  # the rest of a clip may be without a frame
        behind += [
            f"{clip}: {event.label} at {event.onset_s:g} s, scores until {edges_s[-1]:g} s of a "
            f"clip of {clips.durations_s[clip]:g} s"
            for event in clips.ground_truth[clip]
            if event.onset_s >= end_s
        ]
    if behind:
        raise PipelineError(
            f"{name}: {counted(len(behind), 'event')} of the truth begin behind the last frame "
            f"({told(behind)}); expected scores of whole clips, and events inside of them: correct "
            "these, or name --metrics without frame_ranking"
        )
