"""Addresses that may hold a user and a password: read with care, shown without."""

import re
from urllib.parse import urlsplit

CREDENTIALS = re.compile(r"(?<=://)[^/\s]\S*@")


def without_credentials(text: str) -> str:
    """An address, or a text with addresses in it, without users and passwords."""
    return CREDENTIALS.sub("", text)


def readable(address: str) -> bool:
    """Whether an address names a host, and what is secret in it ends before that."""
    try:
        parts = urlsplit(address)
        named = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return named and "@" not in parts.path + parts.query + parts.fragment
