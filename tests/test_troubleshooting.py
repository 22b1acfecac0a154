"""The page about messages: each is in the code, and messages that say what to do are on the page.

A message says what to do if it has the form "what was wrong; what to do". It is on the page if an
item of a list quotes it, or if it begins with the text of one of the families. Texts of messages
that are put together in several places are quoted in parts, with ``...`` between them.
"""

import re
from pathlib import Path

import pytest

from tests.error_messages import VARYING, all_texts, raised_messages

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "troubleshooting.md").read_text("utf-8")
LEAST = 8  # characters that do not vary in a quoted message
CODE = r"``(.+?)``|`([^`]+)`"
# a list item begins with one message, or several before its colon
HEADS = re.findall(r"^- (.*?[`])(?=: [A-Z`])", PAGE, re.MULTILINE | re.DOTALL)


def codes(text):
    """What a text has in backticks, in one line each."""
    return [" ".join((two or one).split()) for two, one in re.findall(CODE, text, re.DOTALL)]


QUOTED = [code for head in HEADS for code in codes(head)]
FAMILIES = [
    code
    for row in re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE)
    for code in re.findall(r"`([^`]+)`", row)
]


def pattern(quoted):
    """What finds a quoted message in a text of the code."""
    return re.compile(".*".join(re.escape(part.strip()) for part in quoted.split(VARYING)))


def is_found(quoted, texts):
    """Whether a message is in one of these texts."""
    return any(pattern(quoted).search(text) for text in texts)


def is_on_the_page(message, quoted, families):
    """Whether the page has this message, or its family."""
    return message.startswith(tuple(families)) or any(
        pattern(one).search(message) for one in quoted
    )


def test_the_page_quotes_messages():
    assert len(QUOTED) > 50
    assert len(FAMILIES) > 15
    for quoted in QUOTED:
        assert len(quoted.replace(VARYING, "")) >= LEAST, quoted


@pytest.fixture(scope="module")
def texts():
    return all_texts()


@pytest.mark.parametrize("quoted", QUOTED)
def test_a_quoted_message_is_in_the_code(quoted, texts):
    assert is_found(quoted, texts)


def test_every_family_begins_messages(texts):
    for family in FAMILIES:
        assert any(text.startswith(family) for text in texts), family


def test_messages_that_say_what_to_do_are_on_the_page():
    messages = [one for one in raised_messages() if "; " in one]
    assert len(messages) > 100
    assert [one for one in messages if not is_on_the_page(one, QUOTED, FAMILIES)] == []


def test_a_message_that_is_missing_is_found():
    assert not is_found("no such message; do nothing", all_texts())
    assert not is_on_the_page("a new mistake of ...; correct it", QUOTED, FAMILIES)
