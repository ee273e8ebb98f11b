import hashlib

import numpy as np
import pytest
from scipy.signal import stft

from pipelines.presets.demo import TEXTURES
from shards.audio.decoding import decode, probe
from shards.audio.trim import trim_by_energy
from shards.io.store import Store
from shards.soundscapes.demo_sounds import BACKGROUNDS, EVENTS, write_demo_recordings
from shards.soundscapes.recordings import class_folders, split_by_fold

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store.local(tmp_path_factory.mktemp("sounds"))
    write_demo_recordings(store, seed=3)
    return store


def digest(store):
    return {name: hashlib.sha256(store.read(name)).hexdigest() for name in store.names()}


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    stores = [Store.local(tmp_path / name) for name in ("a", "b", "c")]
    for store, seed in zip(stores, (3, 3, 4), strict=True):
        write_demo_recordings(store, seed=seed, per_class=2, backgrounds_per_kind=1)
    first, again, other = map(digest, stores)
    assert first == again
    assert first.keys() == other.keys() and not set(first.values()) & set(other.values())
    assert len(set(first.values())) == len(first)


def test_more_recordings_leave_the_first_ones_as_they_are(tmp_path, store):
    few = Store.local(tmp_path)
    write_demo_recordings(few, seed=3, per_class=2, backgrounds_per_kind=1)
    assert digest(few).items() <= digest(store).items()


def test_every_fold_has_every_class_and_every_recording_is_a_source(store):
    for folder, kinds, count in (("foreground", EVENTS, 15), ("background", BACKGROUNDS, 5)):
        found = class_folders(store.child(folder), folder)
        assert len(found) == count * len(kinds) == len({r.source for r in found})
        splits = split_by_fold(found, {"train": ["1", "2", "3"], "test": ["4", "5"]})
        for members in splits.values():
            assert {recording.label for recording in members} == set(kinds)
    assert len(EVENTS) >= 8 and set(TEXTURES) < set(EVENTS)


def test_recordings_are_short_and_loud_enough_to_trim(store):
    for name in store.names("foreground"):
        info = probe(store.read(name), name)
        assert (info.sample_rate_hz, info.channels) == (RATE_HZ, 1)
        assert 0.25 < info.num_samples / RATE_HZ < 5
        samples = decode(store.read(name), name)
        assert 0.2 < np.abs(samples).max() < 1
        parts = trim_by_energy(samples, RATE_HZ, name)
        assert max(stop - start for start, stop in parts) > 0.15 * RATE_HZ
        assert parts[0][0] > 0  # there is silence before every sound


def spectrum_features(samples):
    """Mean and spread over time of the log spectrum in 16 bands, `(32,)`."""
    power = np.abs(stft(samples, RATE_HZ, nperseg=512)[2]) ** 2  # (257, frames)
    bands = np.log(power[1:].reshape(16, 16, -1).mean(axis=1) + 1e-7)  # (16, frames)
    bands = bands[:, bands.max(axis=0) > bands.max() - 8]
    return np.concatenate([bands.mean(axis=1) - bands.mean(), bands.std(axis=1)])


def test_classes_can_be_told_apart_across_sources_but_vary_within(store):
    found = class_folders(store.child("foreground"), "foreground")
    features = np.array([spectrum_features(decode(store.read(r.name), r.name)) for r in found])
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    labels = np.array([recording.label for recording in found])
    distance = np.linalg.norm(features[:, None] - features[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    nearest = labels[distance.argmin(axis=1)]
    for label in EVENTS:  # by its nearest neighbour; chance is 1 in 8
        assert np.mean(nearest[labels == label] == label) >= 0.5
    for label in EVENTS:
        own = distance[np.ix_(labels == label, labels == label)]
        assert own[np.isfinite(own)].min() > 0.1  # no two are nearly alike


def test_a_rate_too_low_for_the_sounds_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="got 8000 Hz; expected 16000 Hz or more"):
        write_demo_recordings(Store.local(tmp_path), seed=0, sample_rate_hz=8_000)
    assert not any(tmp_path.iterdir())
