"""URLs as messages may show them."""

import re


def shown_url(url: str) -> str:
    """The URL without what may be secret: user, password and query."""
    scheme, mark, rest = url.partition("://")
    if not mark:
        return url
    return f"{scheme}://{re.split('[?#]', rest)[0].rpartition('@')[2]}"
