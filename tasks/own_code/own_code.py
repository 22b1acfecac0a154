"""A function of a user as data: the texts of its files, or where it is installed."""

import re
from functools import cached_property
from pathlib import PurePosixPath
from typing import NamedTuple

from pydantic import Field

from models.messages import shown
from models.specs import ConfigError, Value
from tasks.cache.canonical import digest

EXAMPLES = "write FILE.py:FUNCTION, like nets.py:encoder, or package.module:FUNCTION"


class OwnCode(Value):
    """A top-level function or class of a user's file, or of an installed package.

    Of a file it holds the file's text and those of the files beside it that it imports, as they
    were when the study was read. These texts travel and are run; the files are not read again.
    """

    function: str = Field(description="The name of the function or class.")
    module: str = Field(description="The entry file below the folder, or an import path.")
    files: dict[str, str] = Field({}, description="Texts by name below the folder of the file.")
    distribution: str = Field("", description="What is installed, as ``name version``.")
    folder: str = Field("", description="Where the files were read. It is in no key.")

    @property
    def is_installed(self) -> bool:
        """Whether this is imported from what is installed; then there are no texts."""
        return not self.files

    @property
    def reference(self) -> str:
        """How messages name it, like ``nets.py:encoder``."""
        return f"{self.module}:{self.function}"

    @cached_property
    def content(self) -> str:
        """Digest of all texts, also of what is not reached and of comments."""
        return digest([self.module, self.files, self.distribution])

    def path(self, file: str) -> str:
        """The path of a file as tracebacks show it."""
        return str(PurePosixPath(self.folder) / file) if self.folder else file


class Reference(NamedTuple):
    """The parts of ``nets.py:encoder`` or ``package.module:encoder``."""

    place: str
    function: str

    @property
    def is_file(self) -> bool:
        """Whether the place is a file, and not an import path."""
        return self.place.endswith(".py") or "/" in self.place or "\\" in self.place


def parse_reference(reference: str) -> Reference:
    """Split a reference. Raises ConfigError for one in another form."""
    place, _, function = reference.rpartition(":")
    found = Reference(place.strip(), function.strip())
    names = re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", found.place)
    if not found.function.isidentifier() or not found.place or not (found.is_file or names):
        raise ConfigError(f"{shown(reference)} names no function; {EXAMPLES}")
    return found
