"""What is known about a dataset before it is prepared: its classes, its size, its fingerprint."""

import hashlib
import math
from collections import Counter
from collections.abc import Set
from functools import partial
from pathlib import Path
from typing import NamedTuple

from models.specs import ImageShape
from tasks.datasets.config import FEWEST_VALIDATED, OWN_IMAGES, DatasetConfig
from tasks.datasets.dataset import DatasetError
from tasks.datasets.downloaded.raw_files import (
    IMAGE_COUNTS,
    PHOTOGRAPHS,
    content_digest,
    find_fault,
    raw_files,
    unverified_files,
)
from tasks.datasets.found_files import counted, describe_ignored, in_natural_order, listed
from tasks.datasets.image_file import MOST_BYTES
from tasks.datasets.own_images import (
    FEWEST_IN_CLASS,
    check_size,
    classes_in,
    count_by_class,
    count_images,
    files_of,
    rare_classes,
    shape_of_images,
    split_sizes,
)
from tasks.datasets.readers import BUNDLED, DIGIT_NAMES
from tasks.system.files import sha256_of

FASHION = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot"
CIFAR10 = "airplane,automobile,bird,cat,deer,dog,frog,horse,ship,truck"
CIFAR100 = """apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus
butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab
crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard
lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom
oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout
tulip turtle wardrobe whale willow_tree wolf woman worm"""
CLASS_NAMES = {  # as torchvision names them, in the order of their labels
    "fashion_mnist": FASHION.split(","),
    "cifar10": CIFAR10.split(","),
    "cifar100": CIFAR100.split(),
    "kmnist": ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"],
}


class Inventory(NamedTuple):
    """What a dataset has, before it is prepared.

    ``classes`` are the names of classes in the order of their labels, none without labels;
    ``tested`` are the labels that images for training and testing have. ``image_shape`` are the
    channels, height and width of prepared images. ``n_train`` leaves out the ``n_validation``
    training images that are set aside. ``notes`` say how a user's own files were understood.
    """

    classes: list[str]
    tested: list[int]
    n_train: int
    n_test: int
    image_shape: ImageShape
    notes: list[str]
    n_validation: int = 0


def take_inventory(config: DatasetConfig) -> Inventory:
    """Find the files of a dataset and count them. No image is read.

    Raises DatasetError if there are no images, or if the files may mean two things, or if too many
    images are to be set aside for validation.
    """
    found = _take_inventory(config)
    share, n = config.validation, found.n_train
    if share is None:
        return found
    aside = share if isinstance(share, int) else math.ceil(share * n)
    fewest = max(len(found.classes), FEWEST_VALIDATED)
    if aside < fewest or n - aside < fewest:
        raise DatasetError(
            f"dataset.validation: {share} of {n:,} training images leaves {n - aside:,} to train "
            f"and {aside:,} to validate; both need at least {fewest:,}"
        )
    note = f"{aside:,} of {n:,} training images are set aside for validation"
    return found._replace(n_train=n - aside, n_validation=aside, notes=[*found.notes, note])


def _take_inventory(config: DatasetConfig) -> Inventory:
    """All but what is set aside for validation."""
    if config.name not in OWN_IMAGES:
        if bundled := BUNDLED.get(config.name):
            classes, shape = bundled.classes, bundled.image_shape
            limited = _limited(config, *split_sizes(bundled.n, Counter()))
        else:
            classes = CLASS_NAMES.get(config.name, DIGIT_NAMES)
            shape = (3, 32, 32) if config.name in PHOTOGRAPHS else (1, 28, 28)
            limited = _limited(config, *IMAGE_COUNTS[config.name])
        return Inventory(classes, [*range(len(classes))], *limited, shape, notes=[])
    found = files_of(config)
    counts, sizes = count_by_class(found), count_images(found)
    for name, n in sizes.items():
        check_size(config, name, n)
        if found.is_idx and counts[name] and counts[name].total() != n:
            raise DatasetError(
                f"dataset.path: {found.parts[name].labels} has {counts[name].total():,} labels for "
                f"{n:,} images; expected one label for each"
            )
    classes = classes_in(counts)
    tested = [i for i, name in enumerate(classes) if all(one[name] for one in counts.values())]
    if "all" in sizes:
        n_train, n_test = split_sizes(sizes["all"], counts["all"])
    else:
        n_train, n_test = sizes["train"], sizes["test"]
    shape = shape_of_images(found, config)
    inventory = Inventory(classes, tested, *_limited(config, n_train, n_test), shape, [])
    if min(inventory.n_train, inventory.n_test) < len(tested):
        raise DatasetError(
            f"dataset: {inventory.n_train:,} training and {inventory.n_test:,} test images cannot "
            f"have {len(tested):,} classes each; raise dataset.train_limit or dataset.test_limit"
        )
    first = [_count(inventory)]
    if found.ignored:
        first.append(describe_ignored(found.ignored))
    notes = ["; ".join(first), *found.notes, *_compare_parts(counts, sizes)]
    numbered = all(name.isdecimal() for name in classes)
    if classes and (found.is_idx or (found.arrays and numbered)):
        notes += _describe_labels(classes, sum(counts.values(), Counter()))
    return inventory._replace(notes=notes)


def _compare_parts(counts: dict[str, Counter[str]], sizes: dict[str, int]) -> list[str]:
    """What to say about the classes of only one part.

    Raises DatasetError if only one part has classes, or if they have none in common.
    """
    notes = []
    cases = _differ_in_case(*(counts.get(part, {}).keys() for part in ("train", "test")))
    for name, other in (("train", "test"), ("test", "train")):
        mine, theirs = (counts.get(part, Counter[str]()) for part in (name, other))
        if mine and other in counts and not theirs:
            more = ", or remove test to set a fifth of train aside" if name == "train" else ""
            raise DatasetError(
                f"dataset.path: {name} has classes ({listed(in_natural_order(mine))}), and the "
                f"{sizes[other]:,} images of {other} have none; sort these into classes{more}"
            )
        if mine and theirs and not mine.keys() & theirs.keys():
            differ = f"; they differ only in case: {listed(cases)}" if cases else ""
            raise DatasetError(
                f"dataset.path: no class is in both parts: {name} has "
                f"{listed(in_natural_order(mine))}, and {other} has "
                f"{listed(in_natural_order(theirs))}{differ}"
            )
        alone = [f"{one} ({mine[one]:,})" for one in in_natural_order(mine.keys() - theirs)]
        if alone and theirs:
            notes.append(f"classes only in {name}: {listed(alone)}")
    if cases:
        notes.append(
            f"names that differ only in case are several classes: {listed(cases)}; rename the "
            "folders if they mean one"
        )
    return notes


def _differ_in_case(train: Set[str], test: Set[str]) -> list[str]:
    """Classes that one part lacks and that are alike but for their case: ``Cat and cat``."""
    alike: dict[str, list[str]] = {}
    for name in in_natural_order(train | test):
        alike.setdefault(name.lower(), []).append(name)
    found = [names for names in alike.values() if len(names) > 1 and not train & test >= {*names}]
    return [" and ".join(names) for names in found]


def _limited(config: DatasetConfig, n_train: int, n_test: int) -> tuple[int, int]:
    return min(config.train_limit or n_train, n_train), min(config.test_limit or n_test, n_test)


def _count(found: Inventory) -> str:
    """``12 classes, 3,400 training and 850 test images``."""
    labels = "no labels"
    if found.classes:
        labels = f"{counted(len(found.classes), 'class', 'classes')} ({listed(found.classes)})"
    return f"{labels}, {found.n_train:,} training and {found.n_test:,} test images"


def _describe_labels(classes: list[str], counts: Counter[str]) -> list[str]:
    """What to say about labels that are not 0, 1, 2 and so on, and about rare ones."""
    notes = []
    if classes != [str(label) for label in range(len(classes))]:
        notes.append(f"{len(classes):,} different labels from {classes[0]} to {classes[-1]}")
    if rare := rare_classes(counts):
        notes.append(f"labels of fewer than {FEWEST_IN_CLASS} images: {listed(rare)}")
    return notes


def source_fingerprint(config: DatasetConfig) -> str:
    """What identifies the raw images: the name of the dataset, or a SHA-256.

    The name identifies a dataset whose files are all fixed by checksums, or missing: they are
    downloaded and checked. Files that no checksum fixes count by their names and contents: a user's
    own, and those of a downloadable dataset that were put there by hand.
    Raises DatasetError if there are no images, or files that cannot be read.
    """
    if config.path is None:
        files = [] if config.name in BUNDLED else unverified_files(config.name)
        paths = {file.path.name: file.path for file in files}
        if not paths:
            return config.name
    else:
        parts = files_of(config).parts.values()
        found = [one for part in parts for one in (*part.images, part.labels) if one]
        folder = Path(config.path) if Path(config.path).is_dir() else Path(config.path).parent
        paths = {path.relative_to(folder).as_posix(): path for path in found}
    digest_of = partial(sha256_of, limit=MOST_BYTES) if config.path else content_digest
    sha256 = hashlib.sha256()
    bad = []
    for name, path in paths.items():
        try:
            digest = digest_of(path)
        except OSError as error:
            bad.append(f"{path}: {error.strerror}")
            digest = "unreadable"
        # a name may hold bytes that are not UTF-8
        sha256.update(f"{name}\0{digest}\n".encode(errors="surrogateescape"))
    if bad and config.on_bad_image == "error":
        skip = ", or set dataset.on_bad_image: skip" if config.name == "folder" else ""
        raise DatasetError(f"cannot read {listed(bad)}; replace or remove it{skip}")
    return sha256.hexdigest()


def check_unchanged(config: DatasetConfig, source: str) -> None:
    """Check that the raw images, which were just read, are those of an earlier fingerprint.

    Raises DatasetError if they changed.
    """
    files = [] if config.path or config.name in BUNDLED else raw_files(config.name)
    damaged = any(find_fault(file) for file in files)
    if damaged or source_fingerprint(config) != source:
        folder = files[0].path.parent if files else config.path
        raise DatasetError(
            f"dataset: the files in {folder} changed while the study was running; run it again "
            "when they no longer change"
        )
