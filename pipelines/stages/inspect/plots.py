"""Histograms of an inspection as SVG images that stand in a page by themselves."""

import base64
import io
from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from shards.quality.report import Distribution

# What is drawn: the title, and the axis.
DRAWN: Mapping[str, tuple[str, str]] = {
    "duration_s": ("Length of clips", "seconds"),
    "event_s": ("Length of events", "seconds"),
    "rms_db": ("Level (RMS)", "dBFS"),
    "peak_db": ("Peak", "dBFS"),
    "silent_share": ("Silence", "share of the clip"),
    "clipped_share": ("Samples at full scale", "share of the clip"),
}
COLOUR = "#2b6cb0"


def histogram(spread: Distribution, name: str) -> str:
    """A histogram as a `data:` URL; it holds numbers alone, no text of the dataset."""
    title, unit = DRAWN[name]
    figure = Figure(figsize=(4.3, 2.5), layout="constrained")
    axes = figure.subplots()
    edges = np.array(spread.edges)
    axes.bar(edges[:-1], spread.counts, np.diff(edges), align="edge", color=COLOUR)
    middle = spread.quantiles["median"]
    axes.axvline(middle, color="#c05621", linewidth=1.2, label=f"median {middle:.4g}")
    if min(count for count in spread.counts if count) * 50 < max(spread.counts):
        axes.set_yscale("symlog", linthresh=1)  # rare values stay visible
        title += " (logarithmic)"
    else:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    if not name.endswith("_db"):  # lengths and shares that are all alike
        axes.set_xlim(left=max(0.0, axes.get_xlim()[0]))
    axes.set_title(title, fontsize=11, loc="left")
    axes.set_xlabel(unit, fontsize=9)
    axes.set_ylabel("events" if name == "event_s" else "clips", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False)
    buffer = io.BytesIO()
    # The same numbers give the same bytes: no date, no random identifiers.
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(buffer.getvalue()).decode()}"
