"""`torchvision:CIFAR10` and its like -> a Listing of the official parts.

The one idea: torchvision knows where a data set is, the checksums of its files and how they are read. Pictures that it
holds as arrays become PNG on a shelf in our cache, once; pictures that are files stay where torchvision put them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from thawline.core.errors import DataError, UsageError
from thawline.core.online import is_reachable
from thawline.core.progress import Progress
from thawline.core.spelling import nearest
from thawline.core.store import cache_root, disk_errors, expand_user
from thawline.data.lossless import encode_png
from thawline.data.sources.listing import Candidate, FileSource, Listing, display_path, settle_roles
from thawline.data.sources.parts import name_role
from thawline.data.sources.places import Place
from thawline.data.sources.shelf import Part, open_shelf

__all__ = ["SETS", "TorchSet", "list_torchvision"]

_SPLITS = {"train": {"split": "train"}, "test": {"split": "test"}}
_THREE = {"train": {"split": "train"}, "validation": {"split": "val"}, "test": {"split": "test"}}
_FLAGS = {"train": {"train": True}, "test": {"train": False}}
_MNIST_FILES = tuple(f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))


@dataclass(frozen=True)
class TorchSet:
    """How a data set of torchvision is opened.

    Attributes:
        host: Where its files come from.
        files: What to copy here where there is no network, as paths below the root.
        parts: Part of the data, or `all` where there is one only → the arguments of torchvision's class.
    """

    host: str
    files: tuple[str, ...]
    parts: Mapping[str, Mapping[str, Any]]


SETS = {
    "CIFAR10": TorchSet("www.cs.toronto.edu", ("cifar-10-python.tar.gz",), _FLAGS),
    "CIFAR100": TorchSet("www.cs.toronto.edu", ("cifar-100-python.tar.gz",), _FLAGS),
    "Country211": TorchSet(
        "openaipublic.azureedge.net", ("country211.tgz",), {**_THREE, "validation": {"split": "valid"}}
    ),
    "DTD": TorchSet("www.robots.ox.ac.uk", ("dtd/dtd-r1.0.1.tar.gz",), _THREE),
    "EuroSAT": TorchSet("huggingface.co", ("eurosat/EuroSAT.zip",), {"all": {}}),
    "FGVCAircraft": TorchSet("www.robots.ox.ac.uk", ("fgvc-aircraft-2013b.tar.gz",), _THREE),
    "FashionMNIST": TorchSet(
        "fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        tuple(f"FashionMNIST/raw/{file}" for file in _MNIST_FILES),
        _FLAGS,
    ),
    "Flowers102": TorchSet(
        "www.robots.ox.ac.uk",
        tuple(f"flowers-102/{file}" for file in ("102flowers.tgz", "imagelabels.mat", "setid.mat")),
        _THREE,
    ),
    "Food101": TorchSet("data.vision.ee.ethz.ch", ("food-101.tar.gz",), _SPLITS),
    "GTSRB": TorchSet(
        "sid.erda.dk",
        tuple(
            f"gtsrb/{file}.zip" for file in ("GTSRB-Training_fixed", "GTSRB_Final_Test_Images", "GTSRB_Final_Test_GT")
        ),
        _SPLITS,
    ),
    "Imagenette": TorchSet(
        "s3.amazonaws.com", ("imagenette2.tgz",), {"train": {"split": "train"}, "validation": {"split": "val"}}
    ),
    "KMNIST": TorchSet("codh.rois.ac.jp", tuple(f"KMNIST/raw/{file}" for file in _MNIST_FILES), _FLAGS),
    "MNIST": TorchSet("ossci-datasets.s3.amazonaws.com", tuple(f"MNIST/raw/{file}" for file in _MNIST_FILES), _FLAGS),
    "OxfordIIITPet": TorchSet(
        "www.robots.ox.ac.uk",
        ("oxford-iiit-pet/images.tar.gz", "oxford-iiit-pet/annotations.tar.gz"),
        {"train": {"split": "trainval"}, "test": {"split": "test"}},
    ),
    "STL10": TorchSet("ai.stanford.edu", ("stl10_binary.tar.gz",), _SPLITS),
    "SUN397": TorchSet("vision.princeton.edu", ("SUN397.tar.gz",), {"all": {}}),
    "SVHN": TorchSet("ufldl.stanford.edu", ("train_32x32.mat", "test_32x32.mat"), _SPLITS),
    "USPS": TorchSet("www.csie.ntu.edu.tw", ("usps.bz2", "usps.t.bz2"), _FLAGS),
}
"""The data sets that are known, by torchvision's names."""

_FILE_FIELDS = (("_image_files", "_labels"), ("_images", "_labels"))


def list_torchvision(place: Place, *, cache_dir: Path | None = None, progress: Progress | None = None) -> Listing:
    """Return the pictures of a data set that torchvision knows, in its official parts.

    Its files are in the folder `THAWLINE_TORCHVISION`, else in `torchvision/` in the cache; what is missing is
    downloaded where there is a network. CIFAR's own files are pickles, and reading one runs what is in it: torchvision
    compares each with its known md5 before it reads it, and what does not match is refused.

    Args:
        place: What the person named: `torchvision:` and one of `SETS`.
        cache_dir: Our cache, or None for the usual one.
        progress: Where to report to.

    Raises:
        UsageError: No such data set; the nearest is named.
        DataError: Its files are not here and cannot be downloaded, or are damaged; says which to copy where.
        StoreError: The cache cannot be written.
    """
    name = place.rest
    if name not in SETS:
        near = nearest(name, SETS)
        hint = f"Did you mean torchvision:{near[0]}?" if near else f"There are {', '.join(SETS)}."
        raise UsageError(f"{place}: there is no such data set. {hint}")
    own = os.environ.get("THAWLINE_TORCHVISION")
    root = expand_user(own) if own else cache_root(cache_dir) / "torchvision"
    request = {"source": "torchvision", "name": name, "root": str(root.resolve()) if own else None}
    shelf = open_shelf(request, cache_dir)
    if shelf.is_filled:
        return shelf.list(place)
    parts = {part: _open(place, name, root, arguments) for part, arguments in SETS[name].parts.items()}
    first = next(iter(parts.values()))
    if hasattr(first, "data"):
        rows = [Part(part, _array_rows(opened), len(opened)) for part, opened in parts.items()]
        shelf.fill(rows, class_names=_class_names(first), progress=progress)
        return shelf.list(place)
    return _list_files(place, root, parts)


def _open(place: Place, name: str, root: Path, arguments: Mapping[str, Any]) -> Any:
    """Return torchvision's object for one part, its files downloaded first where they are not there.

    Archives that a person copied there are verified and unpacked by torchvision as if it had downloaded them.
    """
    import torchvision.datasets

    known, kind = SETS[name], getattr(torchvision.datasets, name)
    try:
        return kind(str(root), download=False, **arguments)
    except (RuntimeError, FileNotFoundError):  # not there, or not what its md5 says
        pass
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise _damaged(place, root, error) from None
    missing = [file for file in known.files if not (root / file).is_file()]
    if missing and not is_reachable(f"https://{known.host}"):
        raise DataError(
            f"list: {place}: its files are not in {display_path(root)}, or not as torchvision knows "
            f"them, and {known.host} cannot be reached. On a machine with a network "
            f"download from there {', '.join(missing)}, and put them into that folder under these paths "
            "(THAWLINE_TORCHVISION names another folder)."
        )
    try:
        with disk_errors("download", root):
            root.mkdir(parents=True, exist_ok=True)
            return kind(str(root), download=True, **arguments)
    except (RuntimeError, OSError, ValueError, EOFError, KeyError) as error:
        raise _damaged(place, root, error) from None


def _damaged(place: Place, root: Path, error: Exception) -> DataError:
    """Return the error for files that cannot be downloaded or read."""
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return DataError(
        f"list: {place}: its files in {display_path(root)} cannot be read or downloaded: {reason.rstrip('.')}. "
        f"Put {', '.join(SETS[place.rest].files)} there again."
    )


def _array_rows(opened: Any) -> Iterator[tuple[bytes, int]]:
    """Yield every picture as PNG, with its class."""
    pixels = np.asarray(opened.data)
    if pixels.ndim == 4 and pixels.shape[1] == 3:  # channels first
        pixels = pixels.transpose(0, 2, 3, 1)
    for picture, label in zip(pixels, _array_labels(opened), strict=True):
        yield encode_png(picture), label


def _array_labels(opened: Any) -> list[int]:
    """Return the class of every picture that torchvision holds in an array."""
    return [int(label) for label in (opened.targets if hasattr(opened, "targets") else opened.labels)]


def _class_names(opened: Any) -> list[str]:
    """Return torchvision's names of the classes, the first of several for one; else their numbers, of equal length."""
    names = getattr(opened, "classes", None)
    if names:
        return [name if isinstance(name, str) else name[0] for name in names]
    count = max(_array_labels(opened) if hasattr(opened, "data") else [label for _, label in _files(opened)]) + 1
    return [f"{number:0{len(str(count - 1))}d}" for number in range(count)]


def _files(opened: Any) -> list[tuple[Path, int]]:
    """Return file and class of every picture that torchvision reads from a file."""
    samples = getattr(opened, "samples", None) or getattr(opened, "_samples", None)
    for files, labels in _FILE_FIELDS:
        if samples is None and hasattr(opened, files):
            samples = zip(getattr(opened, files), getattr(opened, labels), strict=True)
    if samples is None:
        raise DataError(
            f"list: this torchvision keeps the files of {type(opened).__name__} in an unknown way. "
            "Name their folder instead."
        )
    return [(Path(path), int(label)) for path, label in samples]


def _list_files(place: Place, root: Path, parts: Mapping[str, Any]) -> Listing:
    """Return the files of a data set where they lie."""
    class_names = _class_names(next(iter(parts.values())))
    candidates = [
        Candidate(display_path(os.path.relpath(path, root)), class_names[label], name_role(part), FileSource(path))
        for part, opened in parts.items()
        for path, label in _files(opened)
    ]
    names = tuple(sorted({candidate.label for candidate in candidates}))
    return Listing(place, names, settle_roles(candidates))
