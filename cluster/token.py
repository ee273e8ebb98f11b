"""The token of a cluster that asks for one: found where Ray finds it, and told of where it is not.

Ray 2.60 looks for a token by itself when it finds a cluster on this machine, not when it is given
an address: there it stays without one unless `RAY_AUTH_MODE=token` says so
(docs.ray.io, Ray token authentication). A cluster that asks for none takes a driver that has one.
"""

import logging
import os
from pathlib import Path

from cluster.errors import ClusterError

MODE, TOKEN, TOKEN_PATH = "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"
WHERE = f"in {TOKEN}, in a file that {TOKEN_PATH} names, or in ~/.ray/auth_token"
ANSWER_S = 5.0
TURNED_OFF = f"{MODE} turns tokens off here: unset it, or set it to token"


class TokenError(ClusterError, PermissionError):
    """A cluster wants another token, or a token that cannot be read; the message is one line."""


def find_token() -> bool:
    """Where Ray can find a token, make it use it for addresses too; whether it does.

    What `RAY_AUTH_MODE` says holds. The token itself is not read.

    Raises:
        TokenError: `RAY_AUTH_TOKEN_PATH` names no file with a token; Ray would end the process.
    """
    named = os.environ.get(TOKEN_PATH)
    if named and not os.environ.get(TOKEN):
        try:
            empty = not Path(named).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not a text file"
            raise TokenError(f"{TOKEN_PATH}={named}: {reason}; give a token's file") from error
        if empty:
            raise TokenError(f"{TOKEN_PATH}={named}: the file is empty; give a token's file")
    from ray._private.authentication import authentication_token_setup as setup

    level = setup.logger.level
    setup.logger.setLevel(logging.ERROR)  # it warns that it does what it was asked for
    try:
        return setup.maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
    finally:
        setup.logger.setLevel(level)


def check_token(address: str, *, found: bool) -> None:
    """Ask a cluster whether it takes us: Ray's own way in does not tell why it does not.

    Args:
        address: `host:port` of the cluster.
        found: what `find_token` said.

    Raises:
        TokenError: it wants a token, and gets none or another one.
        RayError: there is no cluster that answers.
    """
    from ray._raylet import GcsClient  # type: ignore[attr-defined]  # compiled
    from ray.exceptions import AuthenticationError

    try:
        GcsClient(address=address).check_alive([], timeout=ANSWER_S)
    except AuthenticationError as error:
        raise TokenError(f"Ray at {address}: {advice(found=found)}") from error


def advice(*, found: bool) -> str:
    """What to do where a cluster refuses the token that it got, or the lack of one."""
    if found:
        return f"the cluster refuses the token that is here; give its own {WHERE}"
    if os.environ.get(MODE):
        return f"the cluster asks for a token, and {TURNED_OFF}"
    return f"the cluster asks for a token, and there is none here; give it {WHERE}"
