"""Where to cut a network, as its author found out, against a plain loop that runs the network in every epoch.

The recipe `celebrity`: four cuts, twenty epochs of a new dense layer each, every picture held out once (five folds).
The plain loop does what a tutorial does: in every epoch each picture is decoded, runs through the frozen blocks in
batches of 64, and trains the layer; then the held-out fold is answered. One epoch of each cut is measured on one fold
and counted twenty times and five folds. Thawline is the whole recipe from the shell with a new cache: these rows,
four solved ones and the best frozen strategy.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms

import thawline
from pictures import DATA, need
from record import is_quick, record
from thawline.data.split import make_split
from thawline.features.network import load_backbone

CUTS, EPOCHS, FOLDS = 4, 20, 5


class Pictures(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """Pictures decoded anew whenever they are asked for, as torchvision's folders are."""

    def __init__(self, paths: list[Path], labels: list[int], size_px: int) -> None:
        self.paths, self.labels = paths, labels
        steps = [transforms.Resize(round(size_px / 0.875)), transforms.CenterCrop(size_px), transforms.ToTensor()]
        self.transform = transforms.Compose([*steps, transforms.Normalize([0.498] * 3, [0.502] * 3)])

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
        from PIL import Image

        return self.transform(Image.open(self.paths[row]).convert("RGB")), self.labels[row]


def plain_epochs(photos: Path) -> list[float]:
    """Return the seconds of one epoch at each cut, deepest first: train the layer on four folds, answer the fifth."""
    network = load_backbone("efficientnet_lite0")
    dataset, *_ = thawline.check(photos)
    train, held_out = make_split(dataset, num_folds=FOLDS, num_repeats=1, hold_out=False).folds[0]
    paths = [photos / sample.path for sample in dataset.samples]
    num_classes, seconds = len(dataset.class_names), []
    for cut in network.backbone.cuts[: -CUTS - 1 : -1]:
        head = nn.Linear(cut.channels, num_classes)
        optimizer = torch.optim.Adam(head.parameters(), lr=0.01, weight_decay=1e-4)
        start = time.perf_counter()
        for rows, learns in ((train, True), (held_out, False)):
            part = Pictures([paths[row] for row in rows], dataset.labels[rows].tolist(), network.backbone.input.size_px)
            for x, y in DataLoader(part, batch_size=64, shuffle=learns, num_workers=2):
                with torch.no_grad():
                    features = network.prefix(x, cut.index).mean((2, 3))
                loss = nn.functional.cross_entropy(head(features), y)
                if learns:
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
        seconds.append(time.perf_counter() - start)
    return seconds


def recipe_seconds(photos: Path) -> float:
    """Return what the recipe takes from the shell, with a new cache."""
    with tempfile.TemporaryDirectory(prefix="thawline-sweep-") as scratch:
        command = [sys.executable, "-m", "thawline", "recipe", "run", "celebrity", "--data", str(photos)]
        command += ["--backbone", "efficientnet_lite0", "-o", f"{scratch}/run", "--cache-dir", f"{scratch}/cache"]
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return time.perf_counter() - start


def main() -> None:
    """Measure both and record their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="on a few drawn pictures")
    parser.add_argument("--repeats", type=int, default=3, help="runs of the recipe; their median counts")
    args = parser.parse_args()
    need("celebrities")
    photos = DATA / "celebrities"
    ours = float(np.median([recipe_seconds(photos) for _ in range(1 if is_quick() else args.repeats)]))
    epochs = plain_epochs(photos)
    plain = EPOCHS * FOLDS * sum(epochs)
    record(
        "against_peers",
        "celebrity sweep, 4 cuts × 20 epochs × 5 folds ÷ the plain loop that runs the network in each epoch",
        ours / plain,
        reach="≤ 0.025",
        note=f"{ours:.1f} s ÷ {plain:,.0f} s, of which an epoch of each cut was measured: "
        f"{', '.join(f'{one:.1f}' for one in epochs)} s",
    )


if __name__ == "__main__":
    main()
