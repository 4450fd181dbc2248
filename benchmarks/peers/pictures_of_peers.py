"""The real sets -> folders `train/CLASS` and `test/CLASS` that every tool can read; the weights as a hub has them.

Run with Thawline's own Python: the pictures held out of `celebrities/` are those that Thawline itself holds out, so
that copies stay on one side for all; the weights get timm's names.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image
from pyarrow import parquet
from safetensors.torch import save_file

import thawline
from thawline.data.split import make_split
from thawline.features.packaged import PACKAGED, file_of, timm_names

SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp"}
NAME = "tf_efficientnet_lite0.in1k"
Picture = tuple[str, bytes]


def lay_out(name: str, data: Path, place: Path) -> Path:
    """Return a folder with `train/` and `test/` of a set, written unless it is there.

    Args:
        name: `monkeys`, `celebrities` or `cifar10`, of which 5,000 and 2,000 pictures are drawn.
        data: Where the sets lie.
        place: Where to write.
    """
    folder = place / name
    if folder.exists():
        return folder
    for part, pictures in {"monkeys": monkeys, "celebrities": celebrities, "cifar10": cifar10}[name](data / name):
        for number, (label, picture) in enumerate(pictures):
            suffix = SUFFIXES[Image.open(io.BytesIO(picture)).format or ""]
            target = folder / part / label / f"{part}-{label}-{number:05}{suffix}".replace(" ", "_")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(picture)
    return folder


def monkeys(data: Path) -> Iterable[tuple[str, Iterable[Picture]]]:
    """Yield the two parts, as their author parted them."""
    for part, source in (("train", "training"), ("test", "validation")):
        files = sorted(path for path in (data / source).rglob("*") if path.is_file())
        yield part, ((path.parent.name, path.read_bytes()) for path in files)


def celebrities(data: Path) -> Iterable[tuple[str, Iterable[Picture]]]:
    """Yield what Thawline learns from and what it holds out, by seed 0."""
    dataset, *_ = thawline.check(data)
    split = make_split(dataset)
    for part, rows in (("train", split.pool), ("test", split.test)):
        samples = [dataset.samples[row] for row in rows]
        yield (
            part,
            ((dataset.class_names[sample.label], (data / sample.path).read_bytes()) for sample in samples),
        )


def cifar10(data: Path) -> Iterable[tuple[str, Iterable[Picture]]]:
    """Yield 5,000 pictures of the training part and 2,000 of the test, drawn by seed 0."""
    for part, count in (("train", 5000), ("test", 2000)):
        table = parquet.read_table(sorted(data.rglob(f"{part}-*.parquet")))
        names = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]["label"]["names"]
        drawn = np.random.default_rng(0).choice(len(table), min(count, len(table)), replace=False)
        rows = table.take(np.sort(drawn)).to_pydict()
        images = rows.get("img") or rows["image"]
        yield part, ((names[label], image["bytes"]) for label, image in zip(rows["label"], images, strict=True))


def lay_weights(place: Path) -> None:
    """Write the bundled weights as the hub's cache holds timm's, so that every tool that builds on timm finds them."""
    import torch

    network = PACKAGED["efficientnet_lite0"]
    tensors = timm_names(torch.load(file_of(network), weights_only=True), network)
    folder = place / "hub" / f"models--timm--{NAME}"
    revision = hashlib.sha256(NAME.encode()).hexdigest()[:40]
    snapshot = folder / "snapshots" / revision
    snapshot.mkdir(parents=True, exist_ok=True)
    (folder / "refs").mkdir(exist_ok=True)
    (folder / "refs" / "main").write_text(revision)
    settings = {"num_classes": 1000, "input_size": [3, 224, 224], "crop_pct": 0.875, "interpolation": "bicubic"}
    settings |= {"mean": [0.498] * 3, "std": [0.502] * 3, "first_conv": "conv_stem", "classifier": "classifier"}
    config = {"architecture": network.architecture, "num_classes": 1000, "num_features": 1280}
    config |= {"pretrained_cfg": {**settings, "tag": "in1k", "pool_size": [7, 7], "fixed_input_size": False}}
    (snapshot / "config.json").write_text(json.dumps(config))
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, snapshot / "model.safetensors")
