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
        ("s3://bucket/a@v1/c", "s3://bucket/a@v1/c"),
        ("s3://bucket/a:b@v1", "s3://bucket/a:b@v1"),
        ("s3://key:sec/r@t@bucket/a", "s3://bucket/a"),
        ("http://host:5000/a:b@c?mail=x@y", "http://host:5000/a:b@c?mail=x@y"),
        ("http://host?mail=x@y", "http://host?mail=x@y"),
        ("git+https://me:token@host/a@v1", "git+https://host/a@v1"),
        ("https://token@host/a@v1#b@c", "https://host/a@v1#b@c"),
        ("http://me:a?b#c@host", "http://host"),
        ("http://[::1]:5000/a@b", "http://[::1]:5000/a@b"),
        ("http://me:[x]@[::1]:5000/a@b", "http://[::1]:5000/a@b"),
        ("postgresql://me:p@ss@host:5432/db", "postgresql://host:5432/db"),
        ("postgresql+psycopg2://me:1234/5@host/db", "postgresql+psycopg2://host/db"),
        ("mysql+pymysql://me:p@ss/w@host/db?x=1", "mysql+pymysql://host/db?x=1"),
        ("postgresql://host:5432/db", "postgresql://host:5432/db"),
        ("sqlite:////home/me@home/a:b@c.db", "sqlite:////home/me@home/a:b@c.db"),
        ("sqlite:///C:/me@home/mlflow.db", "sqlite:///C:/me@home/mlflow.db"),
        ("file://C:/me@home", "file://C:/me@home"),
        (r"C:\me@home\a:b@c", r"C:\me@home\a:b@c"),
        ("write me@home.org of http://host/a", "write me@home.org of http://host/a"),
        ("s3://one,http://me:a@two;s3://k:s@three", "s3://one,http://two;s3://three"),
        ("'s3://one/a@b', (http://me:a@two)", "'s3://one/a@b', (http://two)"),
        ("a=http://one,b=http://me:x@two", "a=http://one,b=http://two"),
        ("://me:x@host and http:// alone", "://host and http:// alone"),
        ("http://me:p://x@host", "http://host"),
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
