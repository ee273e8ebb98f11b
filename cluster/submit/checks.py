"""What can be refused before a job is sent: secrets that would be shown, paths of this machine."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cluster.errors import ClusterError

# Names of variables that hold what must not be seen; AWS_PROFILE and the like are no secrets.
SECRET = re.compile(
    r"SECRET|PASSW|CREDENTIAL|PRIVATE|(^|_)(TOKEN|KEY|KEYS|AUTH|PWD|SAS|SIGNATURE)(_ID|$)|API_?KEY",
    re.IGNORECASE,
)
SHORTEST = 8  # characters of a secret: shorter values stand in other words by chance
INSTEAD = (
    "Ray writes a job's variables and command, in clear, to its nodes' logs and shows them to all "
    "who list jobs: give the nodes a role (instance profile, service account), a Kubernetes "
    "Secret, or a credentials file, whose profile --aws-profile names"
)


class SubmitError(ClusterError, ValueError):
    """A job that is not sent; the message is one line."""


def check_environment(variables: Mapping[str, str]) -> None:
    """Refuse variables that would carry secrets with the job.

    Args:
        variables: of the job, by name.

    Raises:
        SubmitError: a name is that of a secret, or a value is one that this process holds.
    """
    for name, value in variables.items():
        if not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise SubmitError(f"--env {name}=...: expected NAME=VALUE")
        if SECRET.search(name):
            raise SubmitError(f"--env {name}=...: not sent, for it names a secret; {INSTEAD}")
        if held := _held(value):
            raise SubmitError(f"--env {name}=...: not sent, for it holds {held}; {INSTEAD}")


def check_words(words: Iterable[str]) -> None:
    """Refuse a command that carries secrets.

    Raises:
        SubmitError: a word holds the value of a secret of this process's environment, or a URL
            has a password in it.
    """
    for word in words:
        if held := _held(word):
            raise SubmitError(f"the command holds {held}, and is not sent; {INSTEAD}")
        if re.search(r"://[^/\s]*:[^/\s]*@", word) or re.search(
            r"[?&](x-amz-signature|sig|signature|token|awsaccesskeyid)=", word, re.IGNORECASE
        ):
            raise SubmitError(
                f"the command holds a URL with credentials in it, and is not sent; {INSTEAD}"
            )


def check_paths(
    paths: Sequence[str], shared: Sequence[str], *, new: Sequence[str] = (), local: bool = False
) -> None:
    """Refuse paths that the nodes of a cluster do not have.

    Args:
        paths: words of a command that may name something; those with `://` and those that are
            neither here nor look like a path are let through.
        shared: folders that all nodes have.
        new: paths of what the command makes, which need not look like one.
        local: the cluster is on this machine, so that its absolute paths are fine.

    Raises:
        SubmitError: a path lies elsewhere.
    """
    roots = [Path(folder) for folder in shared]
    for path in dict.fromkeys([*paths, *new]):
        if "://" in path or path.startswith("pipe:"):
            continue
        if path not in new and not _looks_like_path(path):
            continue
        whole = Path(path).expanduser()
        inside = any(whole.is_relative_to(root) for root in roots)
        if whole.is_absolute() and (inside or local):
            continue
        raise SubmitError(
            f"{path}: a path of this machine, which the nodes of the cluster do not have; give a "
            f"URL such as s3://bucket/{whole.name or 'folder'}, or the absolute path of a folder "
            f"that all nodes share, and name that folder by --shared"
        )


def _looks_like_path(word: str) -> bool:
    if word.startswith(("/", "./", "../", "~")):
        return True
    try:
        return Path(word).exists()
    except OSError:  # too long for a name
        return False


def _held(text: str) -> str | None:
    """The variable of this process whose secret is in a text."""
    for name, value in os.environ.items():
        if SECRET.search(name) and len(value) >= SHORTEST and value in text:
            return f"the value of {name}"
    return None
