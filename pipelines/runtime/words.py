"""Counts and lengths as people read them."""

TITLES = {
    "psds1": "PSDS1",
    "psds2": "PSDS2",
    "event_f1": "event F1",
    "frame_ap": "frame AP",
    "clip_ap": "clip AP",
}


def thousands(count: int) -> str:
    """`1 270` for 1270."""
    return f"{count:,}".replace(",", " ")


def counted(count: int, one: str, many: str | None = None) -> str:
    """`1 clip`, `1 270 clips`; the plural is that with an s, unless another is given."""
    return f"{thousands(count)} {one if count == 1 else many or f'{one}s'}"


def hours(hours: float) -> str:
    """`3.50 h`, or minutes below one hour."""
    return f"{hours:.2f} h" if hours >= 1 else f"{hours * 60:.2f} min"


def duration(seconds: float) -> str:
    """`12 s`, `3 min 20 s`, `2 h 05 min`: as exact as one wants to know it."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def listed(names: list[str], shown: int = 3) -> str:
    """`a, b, c and 4 more`."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
