"""A store that is away, a network that breaks, keys that are refused."""

import signal
import time

import pytest
from drill import Drill, Outcome

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600), pytest.mark.xdist_group("drills")]
AWAY_S = 60.0
AT_WORK = {"dataset": "parts/*", "embed-1": "parts/*", "finetune": "state/latest.json"}


@pytest.mark.parametrize("stage", ["dataset", "finetune"])
def test_a_store_that_is_away(stage: str, drill: Drill, undisturbed: Outcome) -> None:
    """It takes connections, and answers nothing; in training, checkpoints are due then, too."""
    began, name = time.monotonic(), f"away-{stage}"
    drill.begun(name, stage)
    process = drill.start(name)
    with drill.slow():
        drill.wait_for(process, name, f"{stage}/{AT_WORK[stage]}")
    drill.s3.process.send_signal(signal.SIGSTOP)
    try:
        time.sleep(AWAY_S)
    finally:
        drill.s3.process.send_signal(signal.SIGCONT)
    found = drill.finish(name, process, began)
    drill.survived(f"store away for 60 s in {stage}", found, undisturbed)
    assert "waiting for the store" in drill.said(name)


def test_a_bad_network(drill: Drill, undisturbed: Outcome) -> None:
    """The whole chain: each request takes 300 ms, and of some the connection or the body breaks."""
    began, name = time.monotonic(), "network"
    drill.network.latency_s = 0.3
    drill.network.rates = {"reset": 0.05, "truncate": 0.05}
    before = drill.network.happened
    try:
        found = drill.finish(name, drill.start(name), began)
    finally:
        drill.network.latency_s, drill.network.rates = 0.0, {}
    broke = drill.network.happened - before
    assert broke > 20
    drill.survived(f"300 ms, {broke} answers broken", found, undisturbed)


@pytest.mark.parametrize(
    ("code", "words"),
    [("ExpiredToken", "expired"), ("InvalidAccessKeyId", "credentials")],
    ids=["expired", "rotated"],
)
def test_keys_that_end_in_the_middle(
    code: str, words: str, drill: Drill, undisturbed: Outcome
) -> None:
    """One line, soon; with new keys the same command goes on."""
    began, name = time.monotonic(), f"keys-{code}"
    drill.begun(name, "embed-1")
    with drill.slow():
        process = drill.start(name)
        drill.wait_for(process, name, f"embed-1/{AT_WORK['embed-1']}")
        drill.network.refused = code
        try:
            line = drill.refused(name, process)
        finally:
            drill.network.refused = ""
    drill.told(f"keys {words}", time.monotonic() - began, line)
    assert words in line
    assert drill.s3.secret not in line
    found = drill.finish(name, drill.start(name), began)
    drill.survived(f"keys {words}, and new ones", found, undisturbed)


@pytest.mark.parametrize("kind", ["AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"])
def test_wrong_keys(kind: str, drill: Drill, undisturbed: Outcome) -> None:
    """One line, at once, and no key in it."""
    began, name = time.monotonic(), f"wrong-{kind}"
    line = drill.refused(name, drill.start(name, {kind: "anotherkeyanotherkey"}))
    assert "anotherkey" not in line
    assert drill.files(name) == []
    drill.told(f"wrong {kind}", time.monotonic() - began, line)
