"""Schemas of KubeRay's objects, where they are at hand."""

import functools
import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT.parent / "shared" / "data" / "kuberay"


@functools.cache
def validator(kind: str) -> jsonschema.Draft202012Validator:
    """Checks objects of a kind by its openAPIV3Schema.

    A CRD's schema lets unknown fields pass, and the API server drops them in silence: here a
    misspelt field is an error.
    """
    folder = Path(os.environ.get("PMAM_KUBERAY_DIR", FOLDER))
    path = folder / f"{kind.lower()}s.v1.schema.json"
    if not path.exists():
        pytest.skip(f"{path} not found: KubeRay's schemas are no part of the checkout")
    found: dict[str, Any] = json.loads(path.read_text())
    # The API server's own fields, which the CRD leaves to it.
    found["properties"]["metadata"] = {"type": "object"}
    return jsonschema.Draft202012Validator(_closed(found))  # without a check of the schema


def _closed(part: Any) -> Any:
    if isinstance(part, list):
        return [_closed(each) for each in part]
    if not isinstance(part, dict):
        return part
    closed = {name: _closed(value) for name, value in part.items()}
    fields = part.get("properties")
    is_object = isinstance(fields, dict) and part.get("type") == "object"
    if (
        is_object
        and "additionalProperties" not in part
        and not part.get("x-kubernetes-preserve-unknown-fields")
    ):
        closed["additionalProperties"] = False
    return closed
