"""EfficientAT against the published network: seeded weights, and real ones on real clips."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from parity_rule import assert_close, load, mel, state_dict, tolerance

from pmam.encoders.efficientat import (
    EfficientATEncoder,
    MobileNet,
    MobileNetSettings,
    from_published,
    span_weights,
)
from pmam.encoders.log_mel import LogMel, LogMelSettings
from pmam.encoders.registry import build_encoder
from pmam.encoders.settings import EncoderSettings


def test_matches_the_reference_with_seeded_weights(parity_dir: Path) -> None:
    meta, expected = load(parity_dir, "11_efficientat_mn04_seeded")
    network = MobileNet(MobileNetSettings()).eval()
    weights = {key: torch.from_numpy(value) for key, value in state_dict(meta).items()}
    network.load_state_dict(from_published(weights), strict=True)
    logmel = torch.from_numpy(mel(meta["seed"], 2))
    with torch.inference_mode():
        fmap = network.features(logmel)[-1].numpy()
        logits = network(logmel).numpy()
    assert np.abs(fmap[:, ::7, :, ::3] - expected["fmap"]).max() <= tolerance(meta, "fmap")
    assert np.abs(logits - expected["logits"]).max() <= tolerance(meta, "logits")


def recording(parity_dir: Path, folder: Path, name: str, sha256: str) -> Path:
    """A clip of the fixture: beside the published weights, or else beside the fixture."""
    for path in (folder / name, parity_dir / name):
        if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256:
            return path
    raise AssertionError(f"{name} of {sha256}: neither in {folder} nor in {parity_dir}")


def test_matches_the_reference_on_real_clips(parity_dir: Path, shared_dir: Path) -> None:
    meta, expected = load(parity_dir, "11_efficientat_mn04_real")
    folder = shared_dir / "data" / "efficientat"
    published = torch.load(
        folder / meta["config"]["pretrained"], weights_only=True, map_location="cpu"
    )
    network = MobileNet(MobileNetSettings()).eval()
    network.load_state_dict(from_published(published), strict=True)
    compared = set()
    for name, stated in meta["inputs"].items():
        clip = Path(name).stem
        path = recording(parity_dir, folder, name, stated["sha256"])
        pcm, rate = soundfile.read(path, dtype="float32")
        assert (rate, len(pcm)) == (stated["sr"], stated["samples"])
        for output in expected:
            if not (found := re.fullmatch(rf"logits_{re.escape(clip)}_fmax(\d+)", output)):
                continue
            frontend = LogMel(LogMelSettings(high_hz=float(found[1])))
            with torch.inference_mode():
                logmel = frontend(torch.from_numpy(pcm)[None])
                logits = network(logmel)
                fmap = network.features(logmel)[-1]
            assert_close(meta, expected, output, logits)
            top = meta["top10"][output.removeprefix("logits_")]
            scores, classes = logits[0].sigmoid().topk(len(top))
            assert classes.tolist() == [number for number, _, _ in top]
            np.testing.assert_allclose(scores, [score for *_, score in top], atol=1e-5)
            compared.add(output)
            if found[1] == "15000":  # the others are of this front end alone
                assert_close(meta, expected, f"logmel_{clip}", logmel[:, ::5, ::23])
                assert_close(meta, expected, f"fmap_{clip}", fmap[:, ::7, :, ::3])
                assert_close(meta, expected, f"embedding_{clip}", fmap.mean(dim=(2, 3)))
                compared |= {f"{kind}_{clip}" for kind in ("logmel", "fmap", "embedding")}
    assert compared == set(expected), "outputs that no clip of the fixture explains"


def test_frames_average_each_block_over_their_own_span() -> None:
    # A ramp sampled every 16 hops comes back as the ramp, read at the middle of each span.
    weights = span_weights(frames=8, stride=16, span=8, spans=12)
    ramp = 16.0 * torch.arange(8.0)
    torch.testing.assert_close(ramp @ weights, 8 * torch.arange(12.0) + 4.0)


def test_frame_count_follows_the_length() -> None:
    encoder = build_encoder(EncoderSettings(name="mn04")).eval()
    assert isinstance(encoder, EfficientATEncoder)
    for seconds, frames in ((10.0, 125), (1.0, 13), (0.01, 1)):
        raw = encoder.raw(torch.zeros(1, int(32000 * seconds)))
        assert raw.shape == (1, frames, encoder.raw_width)


def test_unknown_encoder_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="mn04"):
        build_encoder(EncoderSettings(name="mn4"))


def test_an_encoder_is_a_function_of_its_settings_alone() -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.rand(1)  # the state of the process must not matter, nor change
        state = torch.get_rng_state()
        encoder = build_encoder(EncoderSettings(name="small_cnn", seed=seed))
        assert torch.equal(state, torch.get_rng_state())
        return torch.cat([p.flatten() for p in encoder.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))
