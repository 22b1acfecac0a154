"""How a folder of images is understood: its parts, its classes, and what is left out.

Image files are ``<path>/<class>/<image>``, or ``<path>/<image>`` without labels. Both are also
possible below folders named like the parts of a dataset, such as ``train`` and ``test``. A folder
that may mean two things is refused; whatever is left out is counted.
"""

from collections import Counter
from pathlib import Path

from tasks.datasets.dataset import DatasetError
from tasks.datasets.found_files import FoundFiles, PartFiles, counted, in_natural_order, listed
from tasks.datasets.image_file import FORMATS
from tasks.datasets.scanned_folder import Folder, scan

PART_NAMES = {  # in small letters; "-" and "_" are left out
    "train": {"train", "training", "trn", "trainset", "trainingset", "traindata", "trainingdata"},
    "test": {"test", "testing", "tst", "testset", "testingset", "testdata", "testingdata"},
    "validation": {
        *{"val", "valid", "validation", "validate", "dev", "eval", "evaluation"},
        *{"valset", "validationset", "devset", "evalset", "valdata", "validationdata"},
    },
}


def find_images(path: Path) -> FoundFiles:
    """Understand a folder of images.

    Raises DatasetError if there are no images, or if the folder may mean two things.
    """
    try:
        root = scan(path)
    except DatasetError:
        if path.is_dir():
            raise
        root = Folder(path)  # a path that leads nowhere has no images
    notes: list[str] = []
    top = _unwrap(root)
    if top is not root:
        notes.append(f"the images are those in {_name(root, top)}")
    folders = _parts(top, notes)
    parts = {name: _part(folder, root, notes) for name, folder in folders.items()}
    if not any(part.images for part in parts.values()):
        raise DatasetError(
            f"dataset.path: no images in {path.absolute()}; expected <path>/<class>/<image>.png, "
            f"or <path>/<image>.png without labels{_advice(root.all_others())}"
        )
    empty = [one for one in top.walk() if one is not top and not one.any() and one.all_others()]
    named = [_name(root, one) for one in empty if not one.folders]
    if named:
        notes.append(f"without images that can be read: {listed(sorted(named))}")
    ignored = root.all_others()
    if advice := _advice(ignored):
        notes.append(advice.removeprefix("; "))
    return FoundFiles(parts, notes, ignored)


def _name(root: Folder, folder: Folder) -> str:
    return folder.path.relative_to(root.path).as_posix()


def _advice(ignored: Counter[str]) -> str:
    """What to install to read images that were ignored."""
    unread = {suffix for suffixes in FORMATS.values() for suffix in suffixes} & ignored.keys()
    if not unread:
        return ""
    if unread <= FORMATS["HEIF"]:
        return f"; to read {listed(sorted(unread))}: pip install 'latent-study[heic]'"
    return f"; this Pillow cannot read {listed(sorted(unread))}; install a newer one"


def _role(name: str) -> str | None:
    """The part of a dataset that a folder's name means, if it means one."""
    plain = name.lower().replace("-", "").replace("_", "").replace(" ", "")
    return next((part for part, names in PART_NAMES.items() if plain in names), None)


def _by_role(folder: Folder) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in in_natural_order(folder.folders):
        if (role := _role(name)) is not None:
            found.setdefault(role, []).append(name)
    return found


def _is_split(folder: Folder) -> bool:
    """Whether a folder has a part to train on, and another or nothing else."""
    roles = _by_role(folder).keys()
    others = [name for name in folder.with_images() if _role(name) is None]
    return "train" in roles and (len(roles) > 1 or not others)


def _unwrap(root: Folder) -> Folder:
    """The folder with the parts of the dataset, where only one folder leads to it."""
    folder = root
    while not folder.images and not _by_role(folder) and len(folder.with_images()) == 1:
        (folder,) = folder.with_images().values()
        if _is_split(folder):
            return folder
    return root


def _parts(top: Folder, notes: list[str]) -> dict[str, Folder]:
    """The folders of the parts; the whole folder as ``all`` if it has none.

    Raises DatasetError if names of parts are among those of classes.
    """
    roles = _by_role(top)
    if not _is_split(top):
        _check_classes_named_like_parts(top, roles)
        return {"all": top}
    for names in roles.values():
        if len(names) > 1:
            raise DatasetError(
                f"dataset.path: {top.path} contains the folders {' and '.join(names)}, which mean "
                "the same part; remove one, or put its files into the other"
            )
    found = {role: top.folders[name] for role, (name,) in roles.items()}
    _check_others(top, found)
    if top.images:
        notes.append(_beside(top, top))
    if "test" in found and "validation" in found:
        unused = found["validation"]
        notes.append(
            f"{unused.path.name} is not used ({counted(len(unused.all_images()), 'image')})"
        )
    elif "validation" in found:
        found["test"] = found["validation"]
        notes.append(f"{found['test'].path.name} is used as the test set")
    if "test" not in found:
        notes.append(f"{found['train'].path.name} is split, because there is no test set")
        return {"all": found["train"]}
    return {part: found[part] for part in ("train", "test")}


def _check_others(top: Folder, parts: dict[str, Folder]) -> None:
    used = {folder.path.name for folder in parts.values()}
    others = [name for name in top.with_images() if name not in used]
    if others:
        raise DatasetError(
            f"dataset.path: {top.path} contains the folders {', '.join(sorted(used))}, and also "
            f"{listed(others)}; move these out of it"
        )


def _check_classes_named_like_parts(top: Folder, roles: dict[str, list[str]]) -> None:
    names = [name for found in roles.values() for name in found if top.folders[name].any()]
    others = top.with_images().keys() - set(names)
    if names and not others:
        raise DatasetError(
            f"dataset.path: {top.path} has the folder {names[0]} and none to train on; expected "
            "train beside it"
        )
    for name in names:
        if top.folders[name].with_images():
            raise DatasetError(
                f"dataset.path: {top.path} has the folder {name} with classes in it beside "
                f"{listed(in_natural_order(others))}; if it is a part of the dataset, move the "
                "others out; if it is a class, put its images directly into it"
            )


def _part(folder: Folder, root: Folder, notes: list[str]) -> PartFiles:
    """The images of a part, and their classes.

    Raises DatasetError if it is unclear which folders are classes.
    """
    classes = folder.with_images()
    if not classes:
        return PartFiles(folder.images, [])
    if not folder.images and len(classes) == 1:
        ((name, only),) = classes.items()
        below = only.with_images()
        if below and _role(name) is not None and _role(name) == _role(folder.path.name):
            return _part(only, root, notes)  # train/train/<class>
        if len(below) > 1:
            where = f"set dataset.path to {only.path}"
            if folder.path != root.path:
                where = f"move them up into {_name(root, folder)}"
            raise DatasetError(
                f"dataset.path: {folder.path} has only the folder {name}, with {listed(below)} in "
                f"it; if these are the classes, {where}; if {name} is the only class, put its "
                "images directly into it"
            )
    for name, one in classes.items():
        if _is_split(one):
            raise DatasetError(
                f"dataset.path: the class {name} contains {listed(one.with_images())}; expected "
                "the parts above the classes, like train/<class>"
            )
    if folder.images:
        notes.append(_beside(folder, root))
    images = [(image, name) for name, one in classes.items() for image in one.all_images()]
    return PartFiles([image for image, _ in images], [name for _, name in images])


def _beside(folder: Folder, root: Folder) -> str:
    place = "" if folder is root else f" in {_name(root, folder)}"
    return f"{counted(len(folder.images), 'image')}{place} beside the folders: not used"
