"""The examples for Ray's own launcher are what its schema takes."""

import json
from pathlib import Path

import jsonschema
import pytest
import ray
import yaml

VMS = Path(__file__).resolve().parents[3] / "cluster" / "vms"
SCHEMA = json.loads((Path(ray.__file__).parent / "autoscaler" / "ray-schema.json").read_text())


@pytest.mark.parametrize("path", sorted(VMS.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_launcher_takes_it(path: Path) -> None:
    found = yaml.safe_load(path.read_text())
    jsonschema.Draft202012Validator(SCHEMA).validate(found)
    types = found["available_node_types"]
    assert found["head_node_type"] in types
    assert types[found["head_node_type"]]["resources"] == {"CPU": 0}
    workers = {name: each for name, each in types.items() if name != found["head_node_type"]}
    assert workers and all(each["min_workers"] == 0 for each in workers.values())
    assert "aws_secret" not in path.read_text().lower()


def test_there_is_one() -> None:
    assert [*VMS.glob("*.yaml")]
