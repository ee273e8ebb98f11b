"""A manifest out of the template: every value is put in as a YAML scalar that cannot be misread."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup

from cluster.kubernetes.settings import KubernetesSettings, ManifestError
from cluster.templates import templates

TEMPLATE = "ray.yaml.jinja"


@dataclass(frozen=True, kw_only=True)
class Group:
    """Pods that are alike."""

    name: str
    least: int
    most: int
    cpus: int
    memory_gib: int
    gpus: int = 0


def rendered(
    settings: KubernetesSettings,
    *,
    ray_version: str,
    groups: Sequence[Group],
    name: str,
    command: Sequence[str],
    variables: Mapping[str, str],
) -> str:
    """The YAML of a RayJob or a RayCluster.

    Args:
        settings: what was chosen.
        ray_version: of the image.
        groups: of worker pods.
        name: where the settings give none.
        command: the words of the job; a cluster has none.
        variables: of every pod; they hold no secrets, which come from `settings.secret`.

    Raises:
        ManifestError: no pods at all.
    """
    there = [group for group in groups if group.most > 0]
    if not there:
        raise ManifestError("no worker pods: give --kubernetes.cpu-pods or --kubernetes.gpu-pods")
    has_gpus = any(group.gpus for group in there)
    return _TEMPLATES.get_template(TEMPLATE).render(
        settings=settings,
        name=settings.name or name,
        image=settings.image or ("pmam:cuda" if has_gpus else "pmam:cpu"),
        ray_version=ray_version,
        groups=there,
        entrypoint=entrypoint(command),
        # Kubernetes puts variables in for $(NAME), in values too.
        variables={key: value.replace("$(", "$$(") for key, value in variables.items()},
        seconds=lambda hours: round(hours * 3600),
    )


def entrypoint(command: Sequence[str]) -> str:
    """A command for a shell, in which Kubernetes finds no variable of its own to put in.

    KubeRay's submitter has the command in its container's arguments, where `$(NAME)` is replaced
    whatever a shell would make of it. Inside single quotes, `$''(` is the same to the shell.
    """
    return shlex.join(command).replace("$(", "$''(")


def _scalar(value: Any) -> Any:
    """Called for each value in the template: strings are quoted, numbers and flags are not."""
    if isinstance(value, Markup):  # a part of the template
        return value
    if isinstance(value, bool):
        return Markup("true" if value else "false")  # noqa: S704 - no text of anybody's
    if isinstance(value, int | float):
        return Markup(str(value))  # noqa: S704 - as above
    if not isinstance(value, str):
        raise TypeError(f"{value!r} in a manifest")
    text = yaml.safe_dump(value, default_style='"', width=float("inf"), allow_unicode=True)
    return Markup(text.removesuffix("\n"))  # noqa: S704 - a quoted scalar


_TEMPLATES = templates(Path(__file__).parent, _scalar)
