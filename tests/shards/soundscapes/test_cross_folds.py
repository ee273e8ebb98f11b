"""Mixtures for cross-validation: folds without a common recording, one plan for all ratios."""

import dataclasses
import itertools

import pytest
import yaml
from soundscape_cases import SETTINGS, db, made_up, rms

from shards.io.store import Store
from shards.soundscapes.cross_folds import RECIPES, plan_cross_folds, recipes, to_clip
from shards.soundscapes.render import render_clip, render_parts
from shards.soundscapes.scene import Soundscape, SoundscapeError
from shards.sources import SOURCES

THREE = dataclasses.replace(
    SETTINGS,
    events_min=3,
    events_max=3,
    event_max_s=2.0,
    overlap=False,
    white_noise_share=0.0,
    textures=(),
)
PARTS = {
    str(fold): {
        label: made_up(label, seconds, count=2, split=f"fold{fold}")
        for label, seconds in (("bark", 1.5), ("click", 0.4), ("room", 12.0))
    }
    for fold in (1, 2, 3)
}
EVENTS = {fold: [*of["bark"][0], *of["click"][0]] for fold, of in PARTS.items()}
SCENES = {fold: of["room"][0] for fold, of in PARTS.items()}
SAMPLES = {
    name: s for of in PARTS.values() for _, named in of.values() for name, s in named.items()
}


def planned(count: int = 7, snrs: tuple[float, ...] = (0, 10)) -> list[Soundscape]:
    return plan_cross_folds(THREE, count, snrs, EVENTS, SCENES)


def test_each_mixture_has_three_events_and_is_the_same_at_each_ratio() -> None:
    found = planned()
    assert len(found) == 14
    quiet, loud = found[:7], found[7:]
    for low, high in zip(quiet, loud, strict=True):
        assert (low.id.partition("/")[0], high.id.partition("/")[0]) == ("snr_0", "snr_10")
        assert len(low.events) == 3
        spans = sorted((e.onset_sample, e.onset_sample + e.num_samples) for e in low.events)
        assert all(stop <= start for (_, stop), (start, _) in itertools.pairwise(spans))
        again = dataclasses.replace(
            low,
            id=high.id,
            events=tuple(dataclasses.replace(event, snr_db=10.0) for event in low.events),
        )
        assert again == high
    assert [scene.fold for scene in quiet] == [1, 1, 1, 2, 2, 3, 3]


def test_no_recording_is_in_two_folds() -> None:
    used: dict[int | None, set[str | None]] = {}
    for scene in planned(12):
        sources = {event.source for event in scene.events} | {scene.background.source}
        used.setdefault(scene.fold, set()).update(sources)
    assert not used[1] & used[2] and not used[1] & used[3] and not used[2] & used[3]


def test_an_event_is_as_loud_as_its_ratio_says() -> None:
    for scene in (planned()[0], planned()[7]):
        background, events = render_parts(scene, SAMPLES.__getitem__)
        for event, samples in zip(scene.events, events, strict=True):
            span = background[event.onset_sample : event.onset_sample + event.num_samples]
            assert db(rms(samples) / rms(span)) == pytest.approx(event.snr_db, abs=0.01)


def test_the_source_mtl_reads_what_is_written_and_lists_the_same_clips(tmp_path) -> None:
    store, scenes = Store.local(tmp_path), planned(3)
    for scene in scenes:
        store.write(f"{scene.id}.flac", render_clip(scene, SAMPLES.__getitem__))
    store.write(RECIPES, recipes(scenes, "flac"))
    listed = SOURCES["mtl"](store, {})
    assert not listed.missing and not listed.extra
    ours = [to_clip(scene, f"{scene.id}.flac") for scene in scenes]
    assert sorted(listed.clips, key=lambda c: c.source_id) == sorted(
        ours, key=lambda c: c.source_id
    )
    assert len(yaml.safe_load(recipes(scenes, "flac"))) == 3


@pytest.mark.parametrize(
    ("count", "snrs", "said"),
    [(2, (0,), "a mixture for each fold"), (9, (), "each ratio once"), (9, (5, 5), "each ratio")],
)
def test_what_cannot_be_shared_is_refused(count: int, snrs: tuple[float, ...], said: str) -> None:
    with pytest.raises(SoundscapeError, match=said):
        planned(count, snrs)


def test_a_fold_without_a_class_is_refused() -> None:
    lacking = {**EVENTS, "2": PARTS["2"]["bark"][0]}
    with pytest.raises(SoundscapeError, match="fold 2: no recording of 'click'"):
        plan_cross_folds(THREE, 9, (0,), lacking, SCENES)


def test_a_plan_without_folds_is_written_as_ever() -> None:
    scene = dataclasses.replace(planned()[0], fold=None)
    assert '"fold":' not in scene.to_json()
    assert Soundscape.from_json(scene.to_json()) == scene
    assert Soundscape.from_json(planned()[0].to_json()).fold == 1
