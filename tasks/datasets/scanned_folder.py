"""A folder of images as it lies on the disk, without hidden files and those of the system."""

import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tasks.datasets.dataset import DatasetError
from tasks.datasets.found_files import in_natural_order
from tasks.datasets.image_file import readable_suffixes

# made by operating systems and storage devices; in small letters
NOT_OF_USERS = {
    *{"__macosx", "@eadir", "@recycle", "@recently-snapshot", "@tmp", "#recycle", "#snapshot"},
    *{"$recycle.bin", "system volume information", "lost+found", "lost.dir", "__pycache__"},
    *{"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"},
}
MOST_FILES = 5_000_000
DEEPEST = 40  # folders in one another


@dataclass
class Folder:
    """A folder of images: its own images and other files, and its folders by name.

    Hidden files and those of operating systems are not in it.
    """

    path: Path
    images: list[Path] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    folders: dict[str, "Folder"] = field(default_factory=dict)

    def all_images(self) -> list[Path]:
        """The images in it and in the folders below, sorted by path."""
        return sorted(image for folder in self.walk() for image in folder.images)

    def all_others(self) -> Counter[str]:
        """The number of other files in it and below, by the endings of their names."""
        return sum((folder.others for folder in self.walk()), Counter[str]())

    def walk(self) -> "Iterator[Folder]":
        """It and all folders below."""
        yield self
        for folder in self.folders.values():
            yield from folder.walk()

    def with_images(self) -> "dict[str, Folder]":
        """Its folders that have images, in themselves or below, in the order of their names."""
        folders = self.folders
        return {
            name: folders[name] for name in in_natural_order(folders) if folders[name].has_images()
        }

    def has_images(self) -> bool:
        """Whether there is an image in it or below."""
        return any(folder.images for folder in self.walk())


def scan(path: Path) -> Folder:
    """A folder with everything below it. Links to folders are followed, but not in circles.

    Raises DatasetError for a folder that cannot be read, too many files, and too deep folders.
    """
    found = Folder(path)
    left = MOST_FILES
    waiting = [(found, frozenset[tuple[int, int]]())]
    while waiting:
        folder, above = waiting.pop()
        try:
            status = folder.path.stat()
            above |= {(status.st_dev, status.st_ino)}
            with os.scandir(folder.path) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or entry.name.lower() in NOT_OF_USERS:
                        continue
                    left -= 1
                    path = folder.path / entry.name
                    suffix = path.suffix.lower()
                    if _is_folder(entry, above):
                        name = shown_name(entry.name)
                        if name in folder.folders:
                            raise DatasetError(
                                f"dataset.path: two folders in {folder.path} are shown as {name}; "
                                "rename one, or put its images into the other"
                            )
                        inner = folder.folders[name] = Folder(path)
                        waiting.append((inner, above))
                    elif suffix in readable_suffixes():
                        folder.images.append(path)
                    else:
                        folder.others[suffix] += 1
        except OSError as error:
            raise DatasetError(
                f"dataset.path: cannot read {folder.path}: {error.strerror}; name another folder"
            ) from None
        folder.images.sort()
        if left < 0 or len(above) > DEEPEST:
            many = f"more than {MOST_FILES:,} files" if left < 0 else f"{DEEPEST} folders in depth"
            raise DatasetError(f"dataset.path: {found.path} has {many}; name the folder of images")
    return found


def check_folder(path: Path) -> None:
    """Raise DatasetError if a path leads to no folder."""
    path = path.absolute()
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise DatasetError(
            f"dataset.path: {path} does not exist; name the folder of images (a path in a study "
            "file starts at that file, one of --set at the current folder)"
        ) from None
    except OSError as error:
        raise DatasetError(
            f"dataset.path: cannot read {path}: {error.strerror}; name another folder"
        ) from None
    if not stat.S_ISDIR(mode):
        kind = "a file" if stat.S_ISREG(mode) else "no folder"
        raise DatasetError(
            f"dataset.path: {path} is {kind}; name the folder of images (of an archive: unpack it "
            "first)"
        )


def shown_name(name: str) -> str:
    """A file's name as text; bytes that are not UTF-8 become ``\\xff`` and the like.

    Letters with accents are one character each: names from macOS hold letter and accent apart.
    """
    return unicodedata.normalize("NFC", os.fsencode(name).decode(errors="backslashreplace"))


def _is_folder(entry: "os.DirEntry[str]", above: frozenset[tuple[int, int]]) -> bool:
    """Whether an entry is a folder, and no link back to a folder that it is in."""
    try:
        if not entry.is_symlink():
            return entry.is_dir()
        status = entry.stat()
    except OSError:  # a link that leads nowhere, or in a circle
        return False
    return entry.is_dir() and (status.st_dev, status.st_ino) not in above


def images_in(path: Path) -> list[Path]:
    """The image files directly in a folder, sorted, without hidden ones.

    Raises DatasetError if the folder cannot be read.
    """
    return scan(path).images
