"""The networks by name; to add one, write it in `networks.py` or a file here, and a line below."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pmam.deferred import Deferred

if TYPE_CHECKING:
    from pmam.weak_labels.networks import WeakNetwork
    from pmam.weak_labels.settings import WeakNetworkSettings

NETWORKS: dict[str, Callable[[WeakNetworkSettings, int], WeakNetwork]] = {
    "mtl": Deferred("pmam.weak_labels.networks:MultiTask"),
    "gmp": Deferred("pmam.weak_labels.networks:MaxPooled"),
    "gap": Deferred("pmam.weak_labels.networks:MeanPooled"),
    "gwrp": Deferred("pmam.weak_labels.networks:RankPooled"),
    "atrous": Deferred("pmam.weak_labels.networks:Atrous"),
}


def field_frames(model: str) -> int:
    """Frames of the input that one cell of a network's maps hears: no clip may be shorter."""
    entry = NETWORKS[model]
    kind: Any = entry.target if isinstance(entry, Deferred) else entry
    return int(kind.field_frames)
