"""How a folder of images is understood: its parts, its classes, and what is left out.

Image files are ``<path>/<class>/<image>``, or ``<path>/<image>`` without labels. Both are also
possible below folders named like the parts of a dataset, such as ``train`` and ``test``. A folder
that may mean two things is refused; whatever is left out is counted.
"""

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from tasks.datasets.dataset import DatasetError
from tasks.datasets.found_files import FoundFiles, PartFiles, counted, in_natural_order, listed
from tasks.datasets.image_file import FORMATS
from tasks.datasets.scanned_folder import Folder, scan, shown_name

PART_WORDS = {  # in small letters
    **dict.fromkeys(("train", "training", "trn", "trainset", "trainingset"), "train"),
    **dict.fromkeys(("test", "testing", "tst", "testset", "testingset"), "test"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "valset", "dev"), "validation"),
    **dict.fromkeys(("eval", "evaluation", "devset", "validationset"), "validation"),
}
FILLERS = {"set", "data", "dataset", "image", "images", "imgs", "img", "split", "part"}
# folders beside parts of a dataset, which are no classes
BESIDE_PARTS = {
    *{"extra", "unlabeled", "unlabelled", "label", "labels", "mask", "masks", "annotations"},
    *{"pred", "prediction", "predictions", "holdout", "gt", "groundtruth", "metadata"},
}


def find_images(path: Path) -> FoundFiles:
    """Understand a folder of images.

    Raises DatasetError if there are no images, or if the folder may mean two things.
    """
    root = scan(path)
    notes: list[str] = []
    top = _unwrap(root)
    if top is not root:
        notes.append(f"the images are those in {_name(root, top)}")
    folders = _parts(top, notes)
    if "all" in folders:
        notes += _describe_classes_named_like_parts(folders["all"], top)
    parts = {name: _part(folder, root, notes) for name, folder in folders.items()}
    if not any(part.images for part in parts.values()):
        raise DatasetError(
            f"dataset.path: no images in {path.absolute()}; expected <path>/<class>/<image>.png, "
            f"or <path>/<image>.png without labels{_advice(root.all_others())}"
        )
    empty = [one for one in top.walk() if one.others and not one.images and not one.folders]
    if named := sorted(_name(root, one) for one in empty if one is not top):
        notes.append(f"without images that can be read: {listed(named)}")
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


class Role(NamedTuple):
    """The part of a dataset that a folder's name means, and the other words in the name."""

    part: str
    others: tuple[str, ...]


def _words(name: str) -> list[str]:
    return re.findall("[a-z]+", name.lower())


def _role(name: str) -> Role | None:
    """What a name says of a part, such as ``seg_train`` or ``train2017``, if it names one."""
    words = _words(name)
    parts = {PART_WORDS[word] for word in words if word in PART_WORDS}
    if len(parts) != 1:
        return None
    others = [word for word in words if word not in PART_WORDS and word not in FILLERS]
    return Role(parts.pop(), tuple(others))


def _by_role(folder: Folder) -> dict[str, list[str]]:
    """Names of folders that are parts: they differ in the word for the part only."""
    groups: dict[tuple[str, ...], dict[str, list[str]]] = {}
    for name in in_natural_order(folder.folders):
        if (role := _role(name)) is not None:
            groups.setdefault(role.others, {}).setdefault(role.part, []).append(name)
    several = [group for group in groups.values() if len(group) > 1]
    if len(several) > 1:
        names = [name for group in several for found in group.values() for name in found]
        raise DatasetError(
            f"dataset.path: {folder.path} contains several datasets: {listed(names)}; name one"
        )
    return several[0] if several else groups.get((), {})


def _is_split(folder: Folder) -> bool:
    """Whether a folder has a part to train on, and another or nothing else."""
    roles = _by_role(folder)
    names = {name for found in roles.values() for name in found}
    others = folder.with_images().keys() - names
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
    used = {shown_name(folder.path.name) for folder in parts.values()}
    others = [name for name in top.with_images() if name not in used]
    if others:
        raise DatasetError(
            f"dataset.path: {top.path} contains the folders {', '.join(sorted(used))}, and also "
            f"{listed(others)}; move these out of it"
        )


def _check_classes_named_like_parts(top: Folder, roles: dict[str, list[str]]) -> None:
    names = [name for found in roles.values() for name in found if top.folders[name].has_images()]
    others = in_natural_order(top.with_images().keys() - set(names))
    if names and (len(roles) > 1 or not others):
        raise DatasetError(
            f"dataset.path: {top.path} has {listed(names)} and no folder to train on; expected "
            "train beside it"
        )
    for name in names:
        if top.folders[name].with_images():
            raise DatasetError(
                f"dataset.path: {top.path} has the folder {name} with classes in it beside "
                f"{listed(others)}; if it is a part of the dataset, move the others out; if it is "
                "a class, put its images directly into it"
            )
    for name in [*names, *others]:
        role = _role(name)
        if role is None:
            continue
        like = [
            one
            for one in others
            if one != name and (BESIDE_PARTS & {*_words(one)} or _is_like(one, role))
        ]
        if like:
            raise DatasetError(
                f"dataset.path: {top.path} has {name} beside {listed(like)}; if these are parts of "
                "a dataset, name them train and test; if they are classes, give them other names"
            )


def _describe_classes_named_like_parts(folder: Folder, top: Folder) -> list[str]:
    """What to say about classes such as ``test``, which may be parts without a counterpart."""
    how = "put the other folders into a folder train"
    if folder is not top:
        how = f"move it beside {folder.path.name}"
    advice = {
        "train": "if it is the training set, move the other folders out",
        "test": f"if it is a test set, {how}",
        "validation": f"if it is a validation set, {how}",
    }
    names = folder.with_images()
    roles = {name: role for name in names if (role := _role(name)) and not role.others}
    if len(roles) == len(names):
        return []
    return [f"{name} is taken as a class; {advice[role.part]}" for name, role in roles.items()]


def _is_like(name: str, role: Role) -> bool:
    """Whether a name has the other words of a folder to test on, as data_batch of test_batch."""
    is_to_train = role.part == "train"
    return not is_to_train and bool(role.others) and {*role.others} <= {*_words(name)}


def _part(folder: Folder, root: Folder, notes: list[str]) -> PartFiles:
    """The images of a part, and their classes.

    Raises DatasetError if it is unclear which folders are classes.
    """
    classes = folder.with_images()
    if not classes:
        return PartFiles(folder.images, [])
    if not folder.images and len(classes) == 1:
        ((name, only),) = classes.items()
        inside, below = only, only.with_images()
        own, inner = _role(shown_name(folder.path.name)), _role(name)
        if below and own is not None and own == inner:
            return _part(only, root, notes)  # train/train/<class>
        while not inside.images and len(below) == 1:
            (inside,) = below.values()
            below = inside.with_images()
        if len(below) > 1:
            where = f"set dataset.path to {inside.path}"
            if folder.path != root.path:
                where = f"move them up into {_name(root, folder)}"
            raise DatasetError(
                f"dataset.path: {folder.path} has only the folder {name}, with {listed(below)} in "
                f"it; if these are the classes, {where}; if {name} is the only class, put its "
                "images directly into it"
            )
    inner_names = {frozenset(one.with_images()) for one in classes.values()}
    if len(classes) > 1 and len(inner_names) == 1 and len(*inner_names) > 1:
        raise DatasetError(
            f"dataset.path: {listed(classes)} in {folder.path} all contain the folders "
            f"{listed(in_natural_order(*inner_names))}; if these are the classes, set dataset.path "
            "to the folder of one; otherwise put the images directly into the classes"
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
