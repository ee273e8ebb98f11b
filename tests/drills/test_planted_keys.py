"""Keys are in the environment of every node and driver, and nowhere else."""

from pathlib import Path

import pytest
from drill import Drill, Outcome
from s3_server import S3Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600), pytest.mark.xdist_group("drills")]


def test_no_file_holds_a_key(drill: Drill, undisturbed: Outcome, s3: S3Server) -> None:
    """Logs, records, reports and pages of all drills so far, and what Ray wrote on each node."""
    secrets = [s3.secret.encode(), drill.cluster.environment["RAY_AUTH_TOKEN"].encode()]
    looked, found = 0, []
    for folder in (drill.folder, drill.cluster.folder, s3.root):
        for path in Path(folder).rglob("*"):
            if path.is_file() and not path.is_symlink():
                looked += 1
                data = path.read_bytes()
                found += [str(path) for secret in secrets if secret in data]
    drill.table.add("keys in files", None, f"{len(found)} of {looked} files hold one")
    assert found == []
    assert looked > 50
