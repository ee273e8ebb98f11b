"""Histograms of an inspection, as its page draws them."""

from collections.abc import Mapping

from pipelines.pages.charts import Chart, bar_chart
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


def histogram(spread: Distribution, name: str) -> Chart:
    """A histogram; it holds numbers alone, no text of the dataset."""
    title, unit = DRAWN[name]
    quantiles = ", ".join(f"{of} {value:.4g}" for of, value in spread.quantiles.items())
    return bar_chart(
        f"{title}, median {spread.quantiles['median']:.4g}",
        spread.edges,
        spread.counts,
        x_label=unit,
        y_label="events" if name == "event_s" else "clips",
        summary=f"{title} in {unit}: {quantiles}",
    )
