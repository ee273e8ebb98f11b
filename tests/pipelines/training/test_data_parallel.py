"""Two processes share a batch: the gradients of one, whatever is frozen, unused or in parts."""

from pathlib import Path

import pytest
import torch
from data_parallel_cases import CASES, SMALL, WORKERS, two_steps, worker

from pmam.encoders.passt.with_cnn import PaSSTCNNEncoder
from pmam.encoders.registry import ENCODERS
from pmam.training.trainer import Workers


@pytest.mark.slow
def test_workers_have_the_gradients_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pmam.encoders.passt.encoder.CLIP_HEADS", 2)
    monkeypatch.setitem(ENCODERS, "passt_cnn", lambda s: PaSSTCNNEncoder(s, SMALL))
    torch.multiprocessing.spawn(worker, (str(tmp_path),), nprocs=WORKERS)
    ranks = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(WORKERS)]
    for name, case in CASES.items():
        expected = two_steps(case, Workers())
        first, second = ranks[0][name], ranks[1][name]
        assert first["values"] == second["values"], name
        assert first["values"] == pytest.approx(expected["values"], rel=1e-4, abs=1e-6), name
        assert first["gradients"].keys() == expected["gradients"].keys(), name
        for parameter, gradient in expected["gradients"].items():
            found = first["gradients"][parameter]
            torch.testing.assert_close(
                found, gradient, rtol=1e-2, atol=1e-5, msg=f"{name}: {parameter}"
            )
