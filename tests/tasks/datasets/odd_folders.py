"""Folders of images as users have them: UNDERSTOOD with what must be said, REFUSED with why."""

from PIL import Image

CAT_AND_DOG = {"cat/*.png": 12, "dog/*.png": 12}
PARTS = {"train/cat/*.png": 12, "train/dog/*.png": 12, "test/cat/*.png": 10, "test/dog/*.png": 10}
SAID_OF_PARTS = "2 classes (cat, dog), 24 training and 20 test images"
SAID_OF_SPLIT = "2 classes (cat, dog), 19 training and 5 test images"


def below(place, files):
    return {f"{place}/{name}": n for name, n in files.items()}


def renamed(train, test):
    """PARTS with other names of the parts."""
    inner = {"train": train, "test": test}
    split = {name: name.split("/", 1) for name in PARTS}
    return {f"{inner[part]}/{rest}": PARTS[name] for name, (part, rest) in split.items()}


def write_files(root, files):
    """Write images, each of another level, and files that are none: ``{"cat/*.png": 12}``."""
    level = 0
    for pattern, n in files.items():
        for index in range(n):
            path = root / pattern.replace("*", f"{index:03d}")
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix.lower() in {".png", ".jpg", ".jfif", ".tif", ".avif", ".jp2", ".heic"}:
                level += 1
                Image.new("L", (30, 30), level % 256).save(path)
            else:
                path.write_bytes(b"no image")


UNDERSTOOD = {
    "classes": (CAT_AND_DOG, SAID_OF_SPLIT),
    "no classes": ({"*.png": 10}, "no labels, 8 training and 2 test images"),
    "parts": (PARTS, SAID_OF_PARTS),
    "parts in capitals": (renamed("Train", "TEST"), SAID_OF_PARTS),
    "training and testing": (renamed("training", "testing"), SAID_OF_PARTS),
    "sets": (renamed("train_set", "Test-Set"), SAID_OF_PARTS),
    "train and val": (renamed("train", "val"), SAID_OF_PARTS, "val is used as the test set"),
    "train and validation": (
        renamed("TRAIN", "Validation"),
        SAID_OF_PARTS,
        "Validation is used as the test set",
    ),
    "three parts": (
        PARTS | {"val/cat/*.png": 5},
        SAID_OF_PARTS,
        "val is not used (5 images)",
    ),
    "only train": (
        below("train", CAT_AND_DOG),
        SAID_OF_SPLIT,
        "train is split, because there is no test set",
    ),
    "only train without classes": (
        {"Training/*.png": 12},
        "no labels, 9 training and 3 test images",
        "Training is split, because there is no test set",
    ),
    "parts below a folder": (below("foo", PARTS), SAID_OF_PARTS, "the images are those in foo"),
    "parts below two folders": (
        below("foo/bar", PARTS),
        SAID_OF_PARTS,
        "the images are those in foo/bar",
    ),
    "only train below a folder": (
        below("foo/train", CAT_AND_DOG),
        SAID_OF_SPLIT,
        "the images are those in foo",
        "train is split, because there is no test set",
    ),
    "parts in folders of their names": (
        below("train/train", CAT_AND_DOG) | below("test/test", CAT_AND_DOG),
        "2 classes (cat, dog), 24 training and 24 test images",
    ),
    "no images beside parts": (
        PARTS | {"annotations/*.xml": 3},
        SAID_OF_PARTS + "; 3 files ignored: 3 .xml",
        "without images that can be read: annotations",
    ),
    "one class": ({"cat/*.png": 12}, "1 class (cat), 9 training and 3 test images"),
    "folders below a class": (
        {"cat/tabby/*.png": 6, "cat/manx/*.png": 6, "dog/*.png": 12},
        SAID_OF_SPLIT,
    ),
    "a class named train": (
        {"bus/*.png": 12, "train/*.png": 12},
        "2 classes (bus, train), 19 training and 5 test images",
        "train is taken as a class; if it is the training set, move the other folders out",
    ),
    "parts with a name before": (renamed("seg_train", "seg_test"), SAID_OF_PARTS),
    "parts with numbers": (renamed("1_train", "2_test"), SAID_OF_PARTS),
    "parts with years": (
        renamed("train2017", "val2017") | {"annotations/*.json": 2},
        SAID_OF_PARTS + "; 2 files ignored: 2 .json",
        "val2017 is used as the test set",
        "without images that can be read: annotations",
    ),
    "parts of images": (renamed("train_images", "test_images"), SAID_OF_PARTS),
    "parts in folders of their names with a name before": (
        below("seg_train/seg_train", CAT_AND_DOG) | below("seg_test/seg_test", CAT_AND_DOG),
        "2 classes (cat, dog), 24 training and 24 test images",
    ),
    "a class with train in its name": (
        {"bullet_train/*.png": 12, "freight_car/*.png": 12},
        "2 classes (bullet_train, freight_car), 19 training and 5 test images",
    ),
    "a class named test": (
        {"control/*.png": 12, "test/*.png": 12},
        "2 classes (control, test), 19 training and 5 test images",
        "test is taken as a class; if it is a test set, put the other folders into a folder train",
    ),
    "a class named as a test set": (
        CAT_AND_DOG | {"Test_Set/*.png": 12},
        "3 classes (Test_Set, cat, dog), 28 training and 8 test images",
        "Test_Set is taken as a class; if it is a test set, put the other folders into a folder "
        "train",
    ),
    "a class named val in the only part": (
        below("train", CAT_AND_DOG | {"val/*.png": 12}),
        "3 classes (cat, dog, val), 28 training and 8 test images",
        "train is split, because there is no test set",
        "val is taken as a class; if it is a validation set, move it beside train",
    ),
    "images beside classes": (
        CAT_AND_DOG | {"*.png": 3},
        SAID_OF_SPLIT,
        "3 images beside the folders: not used",
    ),
    "images beside parts": (
        PARTS | {"*.png": 1},
        SAID_OF_PARTS,
        "1 image beside the folders: not used",
    ),
    "images beside the classes of a part": (
        PARTS | {"train/*.png": 2},
        SAID_OF_PARTS,
        "2 images in train beside the folders: not used",
    ),
    "parts without classes": (
        {"train/*.png": 12, "test/*.png": 10},
        "no labels, 12 training and 10 test images",
    ),
    "classes of one part": (
        PARTS | {"train/emu/*.png": 3, "test/fox/*.png": 2},
        "4 classes (cat, dog, emu, fox), 27 training and 22 test images",
        "classes only in train: emu (3)",
        "classes only in test: fox (2)",
    ),
    "classes that differ in case": (
        PARTS | {"train/emu/*.png": 3, "test/Emu/*.png": 2, "test/emu/*.png": 1},
        "4 classes (Emu, cat, dog, emu), 27 training and 23 test images",
        "classes only in test: Emu (2)",
        "names that differ only in case are several classes: Emu and emu; rename the folders if "
        "they mean one",
    ),
    "letters with accents in one character and in two": (
        PARTS | {"train/caf\xe9/*.png": 3, "test/cafe\u0301/*.png": 2},
        "3 classes (caf\xe9, cat, dog), 27 training and 22 test images",
    ),
    "parts with accents in characters of their own": (
        below("e\u0301te\u0301_train/e\u0301te\u0301_train", CAT_AND_DOG)
        | below("\xe9t\xe9_test", CAT_AND_DOG),
        "2 classes (cat, dog), 24 training and 24 test images",
    ),
    "folders of systems": (
        CAT_AND_DOG
        | {"@eaDir/*.png": 9, "cat/@eaDir/small/*.jpg": 9, "Thumbs.db": 1, "$RECYCLE.BIN/*.png": 3}
        | {"__MACOSX/cat/*.png": 4, ".git/*.png": 4, "cat/._*.png": 4},
        SAID_OF_SPLIT,
    ),
    "other files": (
        CAT_AND_DOG | {"cat/*.xcf": 30, "cat/*.TXT": 7, "README": 1},
        SAID_OF_SPLIT + "; 38 files ignored: 30 .xcf, 7 .txt, 1 without an ending",
    ),
    "a class without images": (
        CAT_AND_DOG | {"emu/*.svg": 30},
        SAID_OF_SPLIT + "; 30 files ignored: 30 .svg",
        "without images that can be read: emu",
    ),
    "formats of cameras and the web": (
        {"cat/a*.JPG": 6, "cat/b*.avif": 6, "dog/c*.jp2": 6, "dog/d*.jfif": 3, "dog/e*.tif": 3},
        SAID_OF_SPLIT,
    ),
    "numbers": (
        {f"{label}/*.png": 10 for label in range(12)},
        "12 classes (0, 1, 2, 3, 4 and 7 more), 96 training and 24 test images",
    ),
    "numbers in names": (
        {f"class {label}/*.png": 10 for label in (1, 2, 10)},
        "3 classes (class 1, class 2, class 10), 24 training and 6 test images",
    ),
    "names in any script": (
        {"chat gris/*.png": 12, "猫/*.png": 12},
        "2 classes (chat gris, 猫), 19 training and 5 test images",
    ),
}
REFUSED = {
    "only test": ({"test/cat/*.png": 12}, "has test and no folder to train on; expected train"),
    "val and test": (renamed("val", "test"), "has test, val and no folder to train on; expected"),
    "two folders to train on": (
        PARTS | {"Training/cat/*.png": 3},
        "contains the folders Training and train, which mean the same part; remove one",
    ),
    "a class beside parts": (
        PARTS | {"extra/*.png": 3},
        "contains the folders test, train, and also extra; move these out of it",
    ),
    "classes in one folder": (
        below("images", CAT_AND_DOG),
        "has only the folder images, with cat, dog in it; if these are the classes, set "
        "dataset.path to ",
    ),
    "classes in one folder of a part": (
        below("train/images", CAT_AND_DOG) | below("test/images", CAT_AND_DOG),
        "train has only the folder images, with cat, dog in it; if these are the classes, move "
        "them up into train; if images is the only class, put its images directly into it",
    ),
    "a part to predict": (
        renamed("seg_train", "seg_test") | {"seg_pred/*.png": 12},
        "contains the folders seg_test, seg_train, and also seg_pred; move these out of it",
    ),
    "unlabelled test images with a number": (
        {"train/cat/*.png": 12, "train/dog/*.png": 12, "test1/*.png": 12},
        "train has classes (cat, dog), and the 12 images of test have none",
    ),
    "test and validation with sizes": (
        {"data_256/a/*.png": 12, "val_256/*.png": 12, "test_256/*.png": 12},
        "has test_256, val_256 and no folder to train on; expected train beside it",
    ),
    "batches": (
        {"data_batch_1/*.png": 12, "data_batch_2/*.png": 12, "test_batch/*.png": 12},
        "has test_batch beside data_batch_1, data_batch_2; if these are parts of a dataset, name "
        "them train and test",
    ),
    "images to train on and others": (
        {"train/*.png": 12, "extra/*.png": 12},
        "has train beside extra; if these are parts of a dataset",
    ),
    "images to train on and masks": (
        {"train/*.png": 12, "masks/*.png": 12},
        "has train beside masks; if these are parts of a dataset",
    ),
    "two datasets": (
        below("a_train", CAT_AND_DOG)
        | below("a_test", CAT_AND_DOG)
        | below("b_train", CAT_AND_DOG)
        | below("b_test", CAT_AND_DOG),
        "contains several datasets: ",
    ),
    "classes in two folders": (
        below("a/b", CAT_AND_DOG),
        "has only the folder a, with cat, dog in it; if these are the classes, set dataset.path to",
    ),
    "classes in two folders of a part": (
        below("train/images/all", CAT_AND_DOG) | below("test/images/all", CAT_AND_DOG),
        "has only the folder images, with cat, dog in it; if these are the classes, move them up",
    ),
    "the same classes in several folders": (
        below("2019", CAT_AND_DOG) | below("2020", CAT_AND_DOG),
        "all contain the folders cat, dog; if these are the classes, set dataset.path to the",
    ),
    "parts below classes": (
        below("cat", {"train/*.png": 9, "test/*.png": 9}) | {"dog/train/*.png": 9},
        "the class cat contains test, train; expected the parts above the classes",
    ),
    "a class named train with folders": (
        {"bus/*.png": 12, "train/ice/*.png": 12},
        "has the folder train with classes in it beside bus; if it is a part of the dataset, move "
        "the others out; if it is a class, put its images directly into it",
    ),
    "test without classes": (
        below("train", CAT_AND_DOG) | {"test/*.png": 10},
        "train has classes (cat, dog), and the 10 images of test have none; sort these into "
        "classes, or remove test to set a fifth of train aside",
    ),
    "train without classes": (
        {"train/*.png": 12, "test/cat/*.png": 10},
        "test has classes (cat), and the 12 images of train have none; sort these into classes",
    ),
    "two classes that look the same": (
        PARTS | {"train/caf\xe9/*.png": 3, "train/cafe\u0301/*.png": 2},
        "two folders in ",
        "/train are shown as caf\xe9; rename one, or put its images into the other",
    ),
    "no class in common": (
        {"train/cat/*.png": 12, "test/Cat/*.png": 12},
        "no class is in both parts: train has cat, and test has Cat; they differ only in case: Cat "
        "and cat",
    ),
    "a class that is too small": (
        {"cat/*.png": 20, "dog/*.png": 1},
        "21 images in 2 classes are too few to set a fifth aside; every class needs at least 5, "
        "unlike dog (1)",
    ),
    "no images": ({"cat/*.txt": 3}, "expected <path>/<class>/<image>.png, or <path>/<image>.png"),
    "no test images": ({"train/cat/*.png": 10, "test/x.txt": 1}, "no test images in "),
}
