import pytest

from tasks.system.addresses import is_valid_address, without_credentials


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:secret@host/db", "postgresql://host/db"),
        ("http://secret@host:5000", "http://host:5000"),
        ("http://me:a@b@host/path", "http://host/path"),
        ("http://me:a/b@host/path", "http://host/path"),
        ("no http://a:b@one, no https://c:d@two", "no http://one, no https://two"),
        ("http://host/path?x=1", "http://host/path?x=1"),
        ("file:///folder/me@home", "file:///folder/me@home"),
        ("me@home: no address", "me@home: no address"),
    ],
)
def test_users_and_passwords_are_left_out(text, shown):
    assert without_credentials(text) == shown


@pytest.mark.parametrize(
    "address",
    ["http://host", "http://me:p%2F%40ss@host:5000/path?x=1", "http://[::1]:5000", "s3://bucket"],
)
def test_an_address_has_a_host_and_perhaps_more(address):
    assert is_valid_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "host",
        "host:5000",
        "http://",
        "http://:5000",
        "file:///folder",
        "http://host:0",
        "http://host:65536",
        "http://host:port",
        "http://[::1",
        "http://me/b@host",
        "http://me?b@host",
        "http://me#b@host",
    ],
)
def test_an_address_without_host_or_with_an_ambiguous_password_is_not_valid(address):
    assert not is_valid_address(address)
