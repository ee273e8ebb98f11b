"""A mixture of real frames: precision, and the memory that a pass needs."""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from sklearn.mixture import GaussianMixture as Reference

from pmam.clustering.pca import fit_standardiser, moments
from pmam.encoders.log_mel import LogMel, LogMelSettings
from pmam.mixture.gaussian_mixture import GaussianMixture

warnings.filterwarnings("ignore", category=UserWarning, module="sklearn")
ROOT = Path(__file__).resolve().parents[3]

SCRIPT = """
import json, resource, sys
import numpy as np, torch
from pmam.mixture.e_step import statistics
from pmam.mixture.parameters import MixtureParameters

torch.set_num_threads(1)
width, components = 96, 8
parameters = MixtureParameters(
    covariance_type="full",
    weights=torch.full((components,), 1 / components, dtype=torch.float64),
    means=torch.randn(components, width, dtype=torch.float64),
    covariances=torch.eye(width, dtype=torch.float64).expand(components, width, width).clone(),
)
block = np.random.default_rng(0).standard_normal((16384, width), dtype=np.float32)
peaks = []
for blocks in (2, 10):
    statistics(lambda: (block for _ in range(blocks)), parameters)
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
print(json.dumps(peaks))
"""


@pytest.fixture(scope="module")
def frames(shared_dir):
    """Standardised log-mel frames `(N, 128)` of 40 recordings, ten classes, in float32."""
    log_mel = LogMel(LogMelSettings())
    parts = []
    for label in sorted((shared_dir / "data/esc10/audio").iterdir()):
        for path in sorted(label.glob("*.ogg"))[:4]:
            waveform, _ = soundfile.read(path, dtype="float32")
            parts.append(log_mel(torch.from_numpy(waveform)[None])[0].T[::6])
    found = torch.cat(parts)
    found = found + 1e-3 * torch.randn(found.shape, generator=torch.Generator().manual_seed(0))
    return fit_standardiser(moments(found)).apply(found)


def test_float32_ends_where_scikit_learn_ends_in_float64(frames):
    """Per frame within 1e-4 after the same iterations, at a width where components are left out."""
    options = {"tol": 0.0, "max_iter": 4, "reg_covar": 1e-3}
    found = GaussianMixture(8, **options)
    start = found.initialise(frames).parameters_
    expected = Reference(
        8,
        weights_init=start.weights,
        means_init=start.means,
        precisions_init=start.precisions,
        **options,
    ).fit(frames.double().numpy())
    found.fit(frames, start=start)
    double = frames.double().numpy()
    assert found.score(frames) == pytest.approx(expected.score(double), abs=1e-4)
    agree = np.mean(found.predict(frames).numpy() == expected.predict(double))
    assert agree > 0.999


def test_memory_does_not_grow_with_the_number_of_frames():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, check=True, capture_output=True, text=True
    )
    few, many = json.loads(done.stdout)
    assert many - few < 4 * 2**20  # of 8 more blocks, posteriors alone would be 8 MiB
