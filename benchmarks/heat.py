"""Whether maps of where a model looks tell the truth: `python benchmarks/heat.py`.

The winner that `fit` chooses on `monkeys/`, among heads that read several depths, is asked about 100 of its 272 test
pictures, drawn by a fixed seed. Each is erased to the mean colour, and filled in from it, cell by cell of a 14 × 14
grid in ten steps, in the order of the model's map, of a map that looks at the middle, and of three random ones. What is
scored is the area under the probability of the predicted class: small for erasing, large for filling in, and their
difference. `--blur` fills in from a blurred picture, as Petsiuk et al. (2018) do; `--plain` adds Grad-CAM as captum has
it, summed over the depths that the head reads; `--covered` adds the map of the service, which covers parts of the
picture and asks the model again, without gradients.

Needs the real pictures (THAWLINE_DATA, or ../shared/data next to the project).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from captum.attr import LayerGradCam
from PIL import Image, ImageFilter
from torch import nn
from torch.nn.functional import interpolate

from pictures import DATA, fewer, need
from record import record
from thawline.core.options import Options
from thawline.core.progress import progress_for_stderr
from thawline.core.types import Floats, Ints, Pixels
from thawline.data.load import load_pixels
from thawline.data.sources.places import Place
from thawline.use.classifier import Classifier
from thawline.use.occlusion import Seen, covered, covers, heat_of_covers
from thawline.vet import heat
from thawline.vet.heat import SIDE, heat_scores
from thawline.vet.heat_check import HeatCheck, centre_scores, check_heat, random_scores
from thawline.work.model import frozen_model
from thawline.work.order import Order
from thawline.work.session import compare_frozen, open_session

NUM_RANDOM, BLUR_PX = 3, 5
OTHERS = ("random", "the centre")
NAMES = {
    "map": "as it is shown: mean over picture, mirror image and eight halves",
    "Grad-CAM": "Grad-CAM of captum, summed over the depths",
    "covered": "the service's, by covering 36 windows and 64 halves (`--covered`, 7 × 7 cells)",
    "centre": "the centre",
    "random": "random",
}


def model_and_pictures(name: str, num: int) -> tuple[Classifier, Pixels]:
    """Return the best fused model, as it is measured on the test, and some of the test pictures as it sees them."""
    order = Order(Place.of(str(DATA / name)), options=Options())
    compared = compare_frozen(open_session(order, Path("unused"), progress=progress_for_stderr()))
    trial = next(trial for trial in compared.leaderboard.trials if trial.strategy.is_fused)
    comparison = compared.comparison
    labels = compared.dataset.labels[comparison.rows]
    classifier = frozen_model(compared, trial, logits=comparison.held_out_logits, labels=labels).classifier
    rows = np.sort(np.random.default_rng(0).permutation(compared.split.test)[:num])
    print(f"{trial.name}, {len(rows)} of {len(compared.split.test)} test pictures\n")
    return classifier, np.stack([load_pixels(compared.dataset.samples[row], classifier.inputs[0]) for row in rows])


class Through(nn.Module):
    """Activations -> scores, each through a layer that Grad-CAM can be asked of."""

    def __init__(self, score: nn.Module, num_leaves: int) -> None:
        super().__init__()
        self.score, self.passed = score, nn.ModuleList(nn.Identity() for _ in range(num_leaves))

    def forward(self, *activations: torch.Tensor) -> torch.Tensor:
        """Return (B, K) scores."""
        return self.score(*(layer(h) for layer, h in zip(self.passed, activations, strict=True)))


def plain_grad_cam(classifier: Classifier, pixels: Pixels, classes: Ints) -> Floats:
    """Return (B, 14, 14) of Grad-CAM: gradients averaged over places, times activations, summed over depths."""
    reader = classifier.reader.readers[0]
    readout = heat._Readout(classifier.networks[0], reader.blocks)
    model, maps = Through(heat._Score(classifier.head, [readout]), len(readout.leaves)), []
    for place, label in enumerate(classes.tolist()):
        leaves = tuple(heat._activations(reader, readout, pixels[place : place + 1]))
        found = [
            LayerGradCam(model, layer).attribute(leaves, target=label, relu_attributions=True) for layer in model.passed
        ]
        maps.append(sum(interpolate(torch.nan_to_num(one), (SIDE, SIDE), mode="bilinear")[0, 0] for one in found))
    return torch.stack(maps).detach().numpy()


def covered_maps(classifier: Classifier, pixels: Pixels, classes: Ints) -> Floats:
    """Return (B, 7, 7) of the service's map: windows and halves are covered."""
    kept, maps, whole = covers(), [], (0.0, 0.0, 1.0, 1.0)
    colour = np.round(255 * np.array(classifier.inputs[0].mean)).astype(np.uint8)
    for one, label in zip(pixels, classes.tolist(), strict=True):
        views = np.stack([view for (view,) in covered(Seen((one,), (whole,), (colour,), whole), kept)])
        parts = [classifier.probabilities(views[at : at + 4])[:, label] for at in range(0, len(views), 4)]
        share = float(classifier.probabilities(one[None])[0, label])
        maps.append(heat_of_covers(share, np.concatenate(parts), kept=kept).astype(np.float64))
    return np.stack(maps)


def checks(
    classifier: Classifier, pixels: Pixels, *, label: int, maps: dict[str, list[Floats]], blur: bool
) -> dict[str, HeatCheck]:
    """Return the mean areas of each kind of map on one picture."""
    spec = classifier.inputs[0]
    colour = np.round(255 * np.array(spec.mean)).astype(np.uint8)
    blurred = np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(BLUR_PX)))
    answer: Callable[[Pixels], Floats] = lambda pictures: classifier.probabilities(pictures)[:, label]  # noqa: E731
    found = {}
    for name, several in maps.items():
        erased = [check_heat(answer, pixels, scores=one, fill=colour) for one in several]
        filled = [check_heat(answer, pixels, scores=one, fill=blurred) for one in several] if blur else erased
        areas = [np.mean([one.deletion for one in erased]), np.mean([one.insertion for one in filled])]
        found[name] = HeatCheck(*map(float, areas))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", default="monkeys")
    parser.add_argument("--pictures", type=int, default=fewer(100, 3))
    parser.add_argument("--quick", action="store_true", help="three drawn pictures: whether it runs")
    parser.add_argument("--blur", action="store_true")
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--covered", action="store_true")
    arguments = parser.parse_args()
    need(arguments.set)
    classifier, pixels = model_and_pictures(arguments.set, arguments.pictures)
    classes = np.concatenate([classifier.probabilities(one[None]).argmax(1) for one in pixels])
    start = time.process_time()
    own = {"map": heat_scores(classifier, pixels, classes=classes)}
    print(f"{(time.process_time() - start) / len(pixels):.3f} s of a processor a map\n")
    if arguments.plain:
        own["Grad-CAM"] = plain_grad_cam(classifier, pixels, classes)
    if arguments.covered:
        start = time.process_time()
        own["covered"] = covered_maps(classifier, pixels, classes)
        print(f"{(time.process_time() - start) / len(pixels):.3f} s of a processor a map that is covered for\n")
    rows = []
    for place, label in enumerate(classes.tolist()):
        maps = {name: [scores[place]] for name, scores in own.items()}
        maps["centre"] = [centre_scores(SIDE)]
        maps["random"] = [random_scores(SIDE, seed=NUM_RANDOM * place + draw) for draw in range(NUM_RANDOM)]
        rows.append(checks(classifier, pixels[place], label=label, maps=maps, blur=arguments.blur))
    for name in rows[0]:
        areas = {
            other: np.array([[r[other].deletion, -r[other].insertion, -r[other].gain] for r in rows])
            for other in rows[0]
        }
        better = {other: (areas[name] < areas[other]).mean(0) for other in ("random", "centre")}
        than_all = np.mean([(areas[name] < areas[other])[:, 2] for other in ("random", "centre")], axis=0) == 1
        cells = [", ".join(f"{100 * share:.0f} %" for share in better[other]) for other in ("random", "centre")]
        print(f"{name}: better than random and the centre in both on {100 * than_all.mean():.0f} %", flush=True)
        row = {"area, erased": f"{areas[name][:, 0].mean():.3f}", "area, filled in": f"{-areas[name][:, 1].mean():.3f}"}
        row |= {
            f"better than {other}: erased, filled in, both": cell for other, cell in zip(OTHERS, cells, strict=True)
        }
        record("heat", NAMES[name], row, reach="≥ 90 %" if name == "map" else None)


if __name__ == "__main__":
    main()
