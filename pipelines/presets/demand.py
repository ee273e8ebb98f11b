"""What the stages of a run ask of a cluster, by the settings that say so."""

from cluster.resources import room
from cluster.session import is_cluster
from pipelines.presets.settings import RunSettings
from pipelines.runtime.workers.crew import Crew, check_room
from pipelines.runtime.workers.nodes import left_out
from pipelines.runtime.workers.pool import Pool


def crews_of(settings: RunSettings) -> dict[str, Crew]:
    """Workers of trainings and fits, each of which must be there at once."""
    found = {}
    if settings.iterations:
        found["fit"] = settings.fit.crew
        found["pretrain.training"] = settings.pretrain.training.crew
    if settings.finetune_first is not None:
        found["finetune_first.training"] = settings.finetune_first.training.crew
    found["finetune.training"] = settings.finetune.training.crew
    return found


def pools_of(settings: RunSettings) -> dict[str, Pool]:
    """Workers of the other stages, which take what there is."""
    return {
        f"{stage}.inference": getattr(settings, stage).inference.pool()
        for stage in ("embed", "label", "score")
    }


def check_demand(settings: RunSettings) -> None:
    """In a session with a cluster: refuse a run that could not end, before it begins.

    Raises:
        RoomError: more than the cluster can ever have.
    """
    if not is_cluster():
        return
    there = room(left_out())
    for name, crew in crews_of(settings).items():
        count = crew.count(on_cluster=True)
        check_room(name, there, crew.each(there, count), count)
    for pool in pools_of(settings).values():
        pool.size(1, there)
