"""Network addresses that may contain a user and a password: checked, and shown without them."""

import re
from urllib.parse import urlsplit

# Up to the last "@" of a word: a password may contain "@" itself.
CREDENTIALS = re.compile(r"(?<=://)[^/\s]\S*@")


def without_credentials(text: str) -> str:
    """An address, or a text that contains addresses, without users and passwords."""
    return CREDENTIALS.sub("", text)


def is_valid_address(address: str) -> bool:
    """Whether an address has a host, a usable port if any, and no "@" after them.

    An "@" there means that a password contains "/", "?" or "#" that are not percent-encoded.
    """
    try:
        parts = urlsplit(address)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return has_host and "@" not in parts.path + parts.query + parts.fragment
