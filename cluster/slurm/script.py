"""A batch script out of the template: every value is one word to the shell."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from cluster.slurm.settings import SlurmSettings
from cluster.templates import templates

TEMPLATE = "run.sbatch.jinja"


def rendered(
    settings: SlurmSettings,
    *,
    name: str,
    gpus: int,
    command: Sequence[str],
    variables: Mapping[str, str],
) -> str:
    """The batch script.

    Args:
        settings: what was chosen.
        name: of the job.
        gpus: of each node.
        command: the words that run on the first node.
        variables: of all nodes; they hold no secrets.
    """
    minutes = max(1, round(settings.hours * 60))
    return _TEMPLATES.get_template(TEMPLATE).render(
        settings=settings,
        name=name,
        gpus=gpus,
        time=f"{minutes // 60}:{minutes % 60:02d}:00",
        command=Markup(shlex.join(command)),  # noqa: S704 - quoted, word by word
        variables=variables,
    )


def _word(value: Any) -> Any:
    """Called for each value in the template."""
    return value if isinstance(value, Markup) else Markup(shlex.quote(str(value)))  # noqa: S704


_TEMPLATES = templates(Path(__file__).parent, _word)
