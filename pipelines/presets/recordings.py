"""How the published copies of ESC-10 are laid out, which the preset of that name mixes."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pipelines.runtime.files.urls import store
from pipelines.stages.settings import SoundscapesSettings
from shards.soundscapes.scene import SoundscapeError


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """How one publication of ESC-10 names its classes."""

    table: str | None
    backgrounds: tuple[str, ...]
    textures: tuple[str, ...]
    esc10_only: bool = False


ESC50_TABLE = "meta/esc50.csv"
ESC10_LAYOUTS: Mapping[str, _Layout] = {
    ESC50_TABLE: _Layout(
        table=ESC50_TABLE,
        backgrounds=("rain", "sea_waves"),
        textures=("chainsaw", "clock_tick", "crackling_fire", "helicopter"),
        esc10_only=True,
    ),
    "esc10.csv": _Layout(
        table="esc10.csv",
        backgrounds=("rain", "sea_waves"),
        textures=("chainsaw", "clock_tick", "fire_crackling", "helicopter"),
    ),
    "001 - Dog bark": _Layout(
        table=None,
        backgrounds=("002 - Rain", "003 - Sea waves"),
        textures=("005 - Clock tick", "007 - Helicopter", "008 - Chainsaw", "010 - Fire crackling"),
    ),
}


def esc10_settings(data: str, settings: SoundscapesSettings) -> SoundscapesSettings:
    """The settings with table, backgrounds and textures of the ESC-10 copy at `data`.

    Raises:
        SoundscapeError: it is no copy of ESC-50 or ESC-10 that we know.
    """
    names = store(data).names()
    for mark, layout in ESC10_LAYOUTS.items():
        if any(name == mark or name.startswith(f"{mark}/") for name in names):
            return replace(
                settings,
                table=layout.table,
                esc10_only=layout.esc10_only,
                background_classes=layout.backgrounds,
                scene=replace(settings.scene, textures=layout.textures),
            )
    raise SoundscapeError(
        f"{data}: no copy of ESC-10 here; expected one of {', '.join(ESC10_LAYOUTS)} in it "
        "(a checkout of ESC-50 or ESC-10)"
    )
