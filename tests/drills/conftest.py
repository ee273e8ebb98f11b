"""One cluster for all drills, one store with a proxy before it, and the table of what came."""

import os
from collections.abc import Iterator
from unittest import mock

import pytest
from drill import NODES, Drill, Outcome, Table
from fault_proxy import Faults, fault_proxy
from ray_cluster import ray_cluster
from s3_server import S3Server, s3_server

TABLE = Table()


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def network(s3: S3Server) -> Iterator[Faults]:
    """Between the store and all who use it."""
    with (
        fault_proxy(s3.endpoint) as faults,
        mock.patch.dict(os.environ, {"AWS_ENDPOINT_URL": faults.endpoint}),
    ):
        yield faults


@pytest.fixture(scope="session")
def drill(
    s3: S3Server, network: Faults, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Drill]:
    environment = {**s3.environment, "AWS_ENDPOINT_URL": network.endpoint}
    with ray_cluster(environment, NODES, dashboard=True) as cluster:
        yield Drill(cluster, s3, network, tmp_path_factory.mktemp("drill"), TABLE)


@pytest.fixture(scope="session")
def undisturbed(drill: Drill) -> Outcome:
    """All numbers and bytes that the others must have."""
    return drill.undisturbed()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in TABLE.lines():
        terminalreporter.write_line(line)
