"""Addresses of servers and stores: checked, compared, and shown without user and password."""

import re
from urllib.parse import SplitResult, urlsplit

PLAIN_HOST = re.compile(r"[A-Za-z0-9.:@\[\]_-]*")  # of others, programs differ in what the host is
# An address ends at a space, or where another one begins.
ADDRESS = re.compile(
    r"(?P<database>(?:postgres|mysql|mariadb|mssql|oracle)[a-z]*(?:\+\w+)?)?://"
    r"(?P<rest>(?:(?![,;|\"'()<>=][A-Za-z][\w+.-]*://)\S)*)"
)
HOST_AND_PORT = re.compile(r"(\[[^]]*]|[^]:@[]*)(:\d*)?")


def without_credentials(text: str) -> str:
    """An address, or a text that contains addresses, without users and passwords.

    Only what is before the host can be one: the "@" in ``s3://bucket/part@v1`` stays. A password
    may contain "/", "?" and "#", though they should be written as %2F, %3F and %23.
    """
    return ADDRESS.sub(_without_user, text)


def _without_user(found: re.Match[str]) -> str:
    rest = found["rest"]
    before_path = re.split("[/?#]", rest, maxsplit=1)[0]
    end = before_path.rfind("@")
    if before_path and (
        (found["database"] and ":" in before_path)  # SQLAlchemy takes "/" for part of a password
        or (end < 0 and not HOST_AND_PORT.fullmatch(before_path))
    ):
        end = rest.rfind("@")
    return f"{found['database'] or ''}://{rest[end + 1 :]}"


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


def is_same_store(address: str, root: str) -> bool:
    """Whether two addresses name the same bucket or host, with the same scheme."""
    try:
        one, other = urlsplit(address), urlsplit(root)
    except ValueError:
        return False
    return _is_plain(address, one) and (one.scheme, one.netloc) == (other.scheme, other.netloc)


def is_served_by(address: str, server: str) -> bool:
    """Whether MLflow sends requests for artifacts at this address to this tracking server.

    It sends the server's password with them, to whatever HTTP address artifacts have.
    """
    try:
        parts, ours = urlsplit(address), urlsplit(server)
    except ValueError:
        return False
    is_web = parts.scheme in {"mlflow-artifacts", "http", "https"} and "@" not in parts.netloc
    if not is_web or not _is_plain(address, parts) or not ours.scheme.startswith("http"):
        return False
    proxied = parts.scheme == "mlflow-artifacts"
    if proxied and not parts.netloc:
        return True
    return _origin(ours.scheme if proxied else parts.scheme, parts) == _origin(ours.scheme, ours)


def _is_plain(address: str, parts: SplitResult) -> bool:
    is_printed = re.match(r"[a-z][a-z0-9-]*:", address) and address.isprintable()
    return bool(is_printed and PLAIN_HOST.fullmatch(parts.netloc))


def _origin(scheme: str, parts: SplitResult) -> tuple[str, str | None, int | None]:
    try:
        port = parts.port
    except ValueError:
        port = -1
    return scheme, parts.hostname, port or {"http": 80, "https": 443}.get(scheme)
