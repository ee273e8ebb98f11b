"""Manifests are what KubeRay takes, whatever the values in them are."""

import shlex
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from kuberay import validator

from cluster.kubernetes.manifest import Group, entrypoint, rendered
from cluster.kubernetes.settings import KubernetesSettings, ManifestError

CPU = Group(name="cpu", least=1, most=8, cpus=4, memory_gib=16)
GPU = Group(name="gpu", least=0, most=2, cpus=8, memory_gib=32, gpus=1)
NAMES = {"secret": "keys", "token_secret": "token"}
COMMAND = ("pmam", "run", "--preset", "demo", "--out", "s3://bucket/run")
ODD = "it's \"#: - {a}\n\t%&*!|>@` $HOME $(HOME) \\ \u2028 \x7f é 😀 yes 0x1"
# YAML has no way to say a lone half of a character, and Linux none to pass a zero byte.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


def made(chosen: KubernetesSettings, **other: Any) -> Any:
    values: dict[str, Any] = {
        "ray_version": "2.60.0",
        "groups": [CPU, GPU],
        "name": "pmam-1",
        "command": COMMAND,
        "variables": {},
    }
    return yaml.safe_load(rendered(chosen, **values | other))


def cluster_of(found: Any) -> Any:
    return found["spec"]["rayClusterSpec"] if found["kind"] == "RayJob" else found["spec"]


def pods_of(found: Any) -> list[Any]:
    cluster = cluster_of(found)
    return [
        group["template"]["spec"]
        for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])
    ]


@pytest.mark.parametrize("kind", ["job", "cluster"])
@pytest.mark.parametrize("groups", [[CPU], [CPU, GPU], [GPU]], ids=["CPU", "both", "GPU"])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {**NAMES, "namespace": "x", "service_account": "who"},
    ],
    ids=["plain", "all"],
)
def test_the_schema_takes_it(kind: Any, groups: list[Group], more: dict[str, Any]) -> None:
    found = made(KubernetesSettings(kind=kind, **more), groups=groups, variables={"A": "b"})
    validator(found["kind"]).validate(found)


def test_the_schema_of_these_tests_takes_no_misspelt_field() -> None:
    found = made(KubernetesSettings())
    found["spec"]["rayClusterSpec"]["headGroupSpec"]["templat"] = {}
    with pytest.raises(jsonschema.ValidationError, match="templat"):
        validator("RayJob").validate(found)


def test_a_job() -> None:
    found = made(KubernetesSettings(hours=1.5, retries=2, keep_hours=0.5, idle_s=90))
    assert (found["apiVersion"], found["kind"]) == ("ray.io/v1", "RayJob")
    job = found["spec"]
    assert job["submitterConfig"] == {"backoffLimit": 0}
    assert (job["backoffLimit"], job["activeDeadlineSeconds"]) == (2, 5400)
    assert (job["shutdownAfterJobFinishes"], job["ttlSecondsAfterFinished"]) == (True, 1800)
    assert shlex.split(job["entrypoint"]) == list(COMMAND)
    cluster = job["rayClusterSpec"]
    assert cluster["rayVersion"] == "2.60.0"
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["enableInTreeAutoscaling"] is True
    assert cluster["autoscalerOptions"]["idleTimeoutSeconds"] == 90
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def test_groups_and_their_pods() -> None:
    found = made(KubernetesSettings())
    cpu, gpu = cluster_of(found)["workerGroupSpecs"]
    assert [cpu[name] for name in ("minReplicas", "replicas", "maxReplicas")] == [1, 1, 8]
    assert [gpu[name] for name in ("minReplicas", "replicas", "maxReplicas")] == [0, 0, 2]
    head, cpu_pod, gpu_pod = pods_of(found)
    for pod, cpus, memory in ((head, 2, "8Gi"), (cpu_pod, 4, "16Gi"), (gpu_pod, 8, "32Gi")):
        [container] = pod["containers"]
        resources = container["resources"]
        assert resources["requests"] == resources["limits"]
        assert (resources["limits"]["cpu"], resources["limits"]["memory"]) == (cpus, memory)
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert container["image"] == "pmam:cuda"
    assert gpu_pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert "nvidia.com/gpu" not in cpu_pod["containers"][0]["resources"]["limits"]
    only = made(KubernetesSettings(), groups=[CPU])
    assert pods_of(only)[0]["containers"][0]["image"] == "pmam:cpu"


def test_a_cluster_has_no_command() -> None:
    found = made(KubernetesSettings(kind="cluster", name="mine"), command=())
    assert (found["kind"], found["metadata"]["name"]) == ("RayCluster", "mine")
    assert "entrypoint" not in found["spec"]


def test_secrets_are_named_and_not_held() -> None:
    found = made(KubernetesSettings(**NAMES))
    for pod in pods_of(found):
        assert pod["containers"][0]["envFrom"] == [{"secretRef": {"name": "keys"}}]
    assert cluster_of(found)["authOptions"] == {"mode": "token", "secretName": "token"}
    assert "envFrom" not in pods_of(made(KubernetesSettings()))[0]["containers"][0]


def expanded(text: str, variables: dict[str, str]) -> str:
    """As Kubernetes does it in arguments and values; `$$(` stands for `$(`."""
    done = ""
    while text:
        if text.startswith("$$("):
            done, text = done + "$(", text[3:]
        elif text.startswith("$(") and ")" in text:
            name, _, rest = text[2:].partition(")")
            done, text = done + variables.get(name, f"$({name})"), rest
        else:
            done, text = done + text[0], text[1:]
    return done


@settings(max_examples=60, deadline=None)
@given(words=st.lists(TEXT, max_size=3), value=TEXT)
def test_any_text_arrives(words: list[str], value: str) -> None:
    """Through YAML, Kubernetes' own variables and the shell."""
    words = ["pmam", ODD, *words]
    found = made(KubernetesSettings(), command=words, variables={"NAME": value, "ODD": ODD})
    there = {"HOME": "not this", "NAME": "nor this"}
    said = expanded(found["spec"]["entrypoint"], there)
    assert shlex.split(said) == words
    for pod in pods_of(found):
        held = {each["name"]: each["value"] for each in pod["containers"][0]["env"]}
        assert expanded(held["ODD"], there) == ODD
        assert expanded(held["NAME"], {}) == expanded(value.replace("$(", "$$("), {}) == value


def test_nothing_is_put_in_by_kubernetes() -> None:
    said = entrypoint(["pmam", "$(RAY_AUTH_TOKEN)"])
    assert expanded(said, {"RAY_AUTH_TOKEN": "secret"}) == said


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Has Capitals"},
        {"name": "x" * 41},
        {"name": "a\nb: c"},
        {"namespace": "-"},
        {"cpu_pods": (3, 2)},
        {"gpu_pods": (-1, 2)},
        {"gpus": 0},
        {"cpus": 0},
        {"hours": 0.0},
        {"retries": -1},
    ],
)
def test_what_cannot_be_chosen(wrong: dict[str, Any]) -> None:
    with pytest.raises(ManifestError, match="expected"):
        KubernetesSettings(**wrong)


def test_no_pods_at_all() -> None:
    with pytest.raises(ManifestError, match="no worker pods"):
        made(
            KubernetesSettings(), groups=[Group(name="cpu", least=0, most=0, cpus=1, memory_gib=1)]
        )
