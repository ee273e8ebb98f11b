"""The words that are nearest to what sounds in stretches of clips, such as prototypes'."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.stages.tag.settings import TagError, TaggerSettings
from pipelines.stages.tag.tagger import load_tagger, named_classes, weights_place
from pmam.tagging.events import WordMap, no_tag_for
from pmam.tagging.recording import window_probabilities
from pmam.tagging.sentences import Encodes
from pmam.tagging.settings import EventRule, TagSettings
from shards.dataset import Dataset
from shards.index import IndexRow

Floats = npt.NDArray[np.float32]
LEAST_S = 1.0  # heard of a stretch, around its middle: taggers know little of less
DIGITS = 4
BLOCK_S = 10.0  # of decoding


class SegmentWords:
    """Words for stretches of a dataset's clips.

    Args:
        dataset: of the clips.
        tagger: which one.
        model: of sentences.
        words: that are looked for.
        rule: which tags mean a word.

    Raises:
        TagError: words that no tag means.
    """

    def __init__(
        self,
        dataset: Dataset,
        tagger: TaggerSettings,
        model: Encodes,
        words: tuple[str, ...],
        rule: EventRule,
    ) -> None:
        self.dataset = dataset
        weights, given = weights_place(tagger), named_classes(tagger)
        self.tagger, names = load_tagger(tagger.encoder, weights, given)
        self.map = WordMap.of(model, words, names, rule)
        if lacking := no_tag_for(self.map):
            raise TagError(f"{lacking}; use other words, such as a tag's")

    def nearest(
        self, segments: Sequence[tuple[IndexRow, float, float]], count: int = 3
    ) -> list[dict[str, Any]]:
        """The words with the highest scores in stretches `(clip, start_s, stop_s)`, in order.

        A word's score in a stretch is the highest probability of a tag that means it; of several
        stretches, the mean.
        """
        if not segments:
            return []
        scores = np.mean([self._scores(*each) for each in segments], axis=0)  # (words,)
        best = np.argsort(-scores, kind="stable")[:count]
        return [{"word": self.map.words[n], "score": round(float(scores[n]), DIGITS)} for n in best]

    def _scores(self, row: IndexRow, start_s: float, stop_s: float) -> Floats:
        blocks = self.dataset.audio_blocks(row, self.tagger.rate_hz, BLOCK_S)
        heard = stretch(blocks, self.tagger.rate_hz, start_s, stop_s)
        length_s = len(heard) / self.tagger.rate_hz
        # One window, which is all of the stretch.
        settings = TagSettings(window_s=length_s, hop_s=length_s)
        (probabilities,) = window_probabilities(self.tagger, lambda: [heard], settings)
        return np.array([probabilities[0, means].max() for means in self.map.means], np.float32)


def stretch(blocks: Iterable[Floats], rate_hz: int, start_s: float, stop_s: float) -> Floats:
    """The samples of a stretch, `LEAST_S` around its middle where it is shorter."""
    half_s, middle_s = max(stop_s - start_s, LEAST_S) / 2, (start_s + stop_s) / 2
    first, after = (max(0, round((middle_s + d) * rate_hz)) for d in (-half_s, half_s))
    held, done = [np.zeros(0, np.float32)], 0
    for block in blocks:
        held.append(block[max(0, first - done) : max(0, after - done)])
        done += len(block)
        if done >= after:
            break
    return np.concatenate(held)
