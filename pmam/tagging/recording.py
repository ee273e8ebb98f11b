"""A recording that comes in blocks, through a tagger: the probabilities of its windows' tags."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import numpy.typing as npt
import torch

from pmam.errors import InputError
from pmam.tagging.events import tag_probabilities
from pmam.tagging.noise import at_snr, noise_level, published_noise
from pmam.tagging.settings import TagSettings
from pmam.tagging.taggers import Tagger
from pmam.tagging.windows import WindowGrid, cut, repeated

Floats = npt.NDArray[np.float32]
# The samples of a recording in blocks, from its beginning each time it is called.
Blocks = Callable[[], Iterable[Floats]]
BATCH = 8  # windows that go through the tagger together


def grid_of(settings: TagSettings, rate_hz: int) -> WindowGrid:
    """The windows of recordings of a rate."""
    return WindowGrid(
        rate_hz=rate_hz,
        window_s=settings.window_s,
        hop_s=settings.hop_s,
        published=settings.published_windows,
    )


def noisy(blocks: Blocks, settings: TagSettings) -> Iterable[Floats]:
    """The samples with the noise that the settings ask for.

    Noise by a ratio needs the power of the whole recording, which is read twice; the published
    noise needs its median, for which all samples are held.
    """
    generator = np.random.default_rng(settings.seed)
    if settings.published_noise is not None:
        whole = np.concatenate([np.zeros(0, np.float32), *blocks()])
        return [published_noise(whole, settings.published_noise, generator)] if len(whole) else []
    if settings.noise is None:
        return blocks()
    energy, count = 0.0, 0
    for block in blocks():
        energy += float(np.square(block, dtype=np.float64).sum())
        count += len(block)
    level = noise_level(energy / max(1, count), settings.noise)
    return (at_snr(block, level, generator) for block in blocks())


def window_probabilities(
    tagger: Tagger, blocks: Blocks, settings: TagSettings, batch: int = BATCH
) -> Iterator[Floats]:
    """The probabilities of the tags of all windows, in order: `(n, tags)` for each few of them.

    Windows shorter than `least_s` are repeated up to it; published ones are cut to it, too.

    Raises:
        InputError: windows that the tagger cannot take, or probabilities that are none.
    """
    tagger.check_window(max(settings.window_s, settings.least_s))
    least = round(settings.least_s * tagger.rate_hz)

    def sized(window: Floats) -> Floats:
        return repeated(window, least if settings.published_windows else max(least, len(window)))

    waiting: list[Floats] = []
    for window in map(sized, cut(noisy(blocks, settings), grid_of(settings, tagger.rate_hz))):
        if waiting and (len(waiting) >= batch or len(waiting[0]) != len(window)):
            yield _together(tagger, waiting, settings)
            waiting = []
        waiting.append(window)
    if waiting:
        yield _together(tagger, waiting, settings)


def _together(tagger: Tagger, windows: list[Floats], settings: TagSettings) -> Floats:
    device = next(tagger.network.parameters()).device
    logits = tagger.logits(torch.from_numpy(np.stack(windows)).to(device)).float().cpu().numpy()
    if not np.isfinite(logits).all():
        raise InputError(
            "the tagger gives NaN or infinite numbers; expected samples in [-1, 1]: scale or "
            "repair the file, or check the weights on others"
        )
    return tag_probabilities(logits, settings.probabilities)
