"""A model folder -> a folder that `timm.create_model("local-dir:…", pretrained=True)` loads; and it, opened again.

One idea: a model whose head is one dense layer on a network's last cut is a network with another classifier. The
head's own scaling of its columns and the temperature are folded into that layer, so a softmax over timm's logits gives
the probabilities. Where a model is more than that, a sentence says what of it timm has no form for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from thawline.core.errors import BackboneError, BundleError
from thawline.core.runtime import Runtime
from thawline.core.types import Floats
from thawline.data.images import MAX_MEGAPIXELS
from thawline.data.load import prepare_each
from thawline.features.extract import in_streams
from thawline.features.reader import to_input
from thawline.features.timm_form import load_timm_folder, timm_form
from thawline.heads.linear import LinearHead
from thawline.use.answer import Answer, Prepared
from thawline.use.bundle import Bundle
from thawline.use.classifier import Classifier
from thawline.use.doubt import Doubt
from thawline.use.exports.export_source import ExportSource
from thawline.use.exports.golden import GoldenPicture, write_golden
from thawline.use.exports.hub_card import hub_card
from thawline.use.exports.proof import PIXELS_ALLOWED, TENSOR_ALLOWED, prove
from thawline.use.exports.sealed_folder import seal_folder
from thawline.use.onnx_facts import OnnxFacts

__all__ = ["TimmModel", "open_timm", "why_no_timm", "write_timm"]

KIND = "timm"
WEIGHTS_FILE, CONFIG_FILE, CARD_FILE = "model.safetensors", "config.json", "README.md"
NO_FORM = "this model cannot be one of timm's"
BATCH_SIZE = 4

Item = TypeVar("Item")
Result = TypeVar("Result")


class TimmModel:
    """A model of timm's as `Answering`: pictures are prepared as in training, not by timm. Threads may share it.

    Attributes:
        facts: What its folder says.
        model: As timm made it.
        inputs: How a picture is prepared.
        doubt: The least probability of an answer; what tells strange pictures is not in timm's form.
    """

    def __init__(self, model: nn.Module, facts: OnnxFacts) -> None:
        self.model = model
        self.facts = facts
        self.doubt: Doubt | None = facts.doubt and facts.doubt.model_copy(update={"read_from": None})
        self.inputs = tuple(one.spec() for one in facts.inputs)
        self._runtime = Runtime("cpu", "float32", BATCH_SIZE)

    @property
    def class_names(self) -> tuple[str, ...]:
        """K names in the order of the probabilities."""
        return tuple(self.facts.class_names)

    @property
    def batch_size(self) -> int:
        """Pictures that it answers at once."""
        return self._runtime.batch_size

    def prepare(self, data: bytes, *, max_megapixels: int = MAX_MEGAPIXELS) -> tuple[Prepared, tuple[str, ...]]:
        """Return an encoded picture as in training, and what is odd about it, in words.

        Raises:
            DataError: As `thawline.data.images.prepare`.
        """
        return prepare_each(data, self.inputs, max_megapixels=max_megapixels)

    def answers_to(self, batch: Sequence[Prepared]) -> Answer:
        """Return what the model says of prepared pictures, in order."""
        pixels = np.stack([prepared for (prepared,) in batch])
        with torch.inference_mode():
            logits = self.model(to_input(pixels, self.inputs[0], runtime=self._runtime))
            return Answer(torch.softmax(logits, dim=1).numpy(), None)

    def in_streams(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield work(item) in order, computed by one thread a processor; in each torch uses a single thread."""
        return in_streams(work, items)


def why_no_timm(bundle: Bundle) -> str | None:
    """Return why a model has no form of timm's and what to do instead, in a sentence; None where it has one.

    Whether timm's classifier reads what the head reads is found when it is written.
    """
    classifier = bundle.classifier
    instead = (
        'Export --to onnx, or train one that has: `thawline tune PHOTOS --plan "last 20 %"`, or `--plan head` for the '
        "same frozen network with a dense layer."
    )
    head, blocks = classifier.head, classifier.reader.blocks
    if len(classifier.networks) > 1:
        return f"it joins {len(classifier.networks)} networks, and a model of timm's is one. {instead}"
    if len(blocks) > 1:
        num_depths = len({cut for cut, _ in blocks})
        what = f"{num_depths} depths" if num_depths > 1 else f"{len(blocks)} poolings"
        return f"its head reads {what} of the network, and timm's classifier reads one mean of the last. {instead}"
    if not isinstance(head, LinearHead):
        kinds = {"NeighbourHead": "compares with training pictures", "TogetherHead": "is several heads"}
        said = kinds.get(type(head).__name__, "has a hidden layer")
        return f"its head {said}, and timm's classifier is one dense layer. {instead}"
    if num_rooted := int(head.columns.rooted.sum()):
        return f"its head takes the square root of {num_rooted:,} columns, which no dense layer does. {instead}"
    if blocks[0][0] != len(classifier.networks[0].backbone.cuts) - 1:
        label = classifier.networks[0].backbone.cuts[blocks[0][0]].label
        return f"its head reads cut {label}, and timm's classifier reads the last. {instead}"
    return None


def write_timm(source: ExportSource, place: Path) -> None:
    """Write a model in timm's form: `config.json`, `model.safetensors` and a README.

    Golden pictures must get the probabilities that the model folder gives without rounding its features, within
    `TENSOR_ALLOWED`. Of a folder that rounds them to float16, `PIXELS_ALLOWED` is what its own answers may differ by:
    timm's form has no rounding.

    Args:
        source: The model.
        place: The folder, which is not there yet.

    Raises:
        BundleError: The model has no form of timm's, as `why_no_timm` says, or the form answers otherwise.
    """
    if (reason := why_no_timm(source.bundle)) is not None:
        raise BundleError(f"export --to timm: {NO_FORM}: {reason}")
    classifier = source.bundle.classifier
    network, (block,) = classifier.networks[0], classifier.reader.blocks
    weight, bias = _folded(classifier)
    try:
        form = timm_form(
            network, block, weight=weight, bias=bias, class_names=classifier.class_names, spec=classifier.inputs[0]
        )
    except BackboneError as error:
        raise BundleError(
            f"export --to timm: {NO_FORM}: {error}. Export --to onnx, or tune a network of another family."
        ) from None
    place.mkdir()
    save_file(dict(form.tensors), place / WEIGHTS_FILE, metadata={"format": "pt"})
    (place / CONFIG_FILE).write_text(json.dumps(form.config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (place / CARD_FILE).write_text(hub_card(source.bundle, "timm"), encoding="utf-8")
    facts, is_exact = source.facts(whole=False), classifier.reader.storage == np.float32
    unrounded = [_unrounded(classifier, picture) for picture in source.golden]
    proof = prove(open_timm(place, facts), unrounded, allowed=TENSOR_ALLOWED)
    if not proof.passed:
        raise BundleError(f"export --to timm: {proof.words()}. Nothing was written: export --to onnx.")
    write_golden(place, source.golden_set(KIND, allowed=TENSOR_ALLOWED if is_exact else PIXELS_ALLOWED))
    seal_folder(place, kind=KIND, facts=facts)


def open_timm(folder: Path, facts: OnnxFacts) -> TimmModel:
    """Return the model of such a folder as timm makes it.

    Args:
        folder: As `write_timm` wrote it, compared with its hashes already.
        facts: What the folder says of the model.

    Raises:
        BundleError: timm cannot read it.
    """
    try:
        return TimmModel(load_timm_folder(folder), facts)
    except BackboneError as error:
        raise BundleError(str(error)) from None


def _folded(classifier: Classifier) -> tuple[Floats, Floats]:
    """Return the (C, K) weight and (K,) bias of the layer, the temperature in them."""
    assert isinstance(classifier.head, LinearHead)
    weight, bias = classifier.head.folded()
    return (weight / classifier.temperature).astype(np.float32), (bias / classifier.temperature).astype(np.float32)


def _unrounded(classifier: Classifier, picture: GoldenPicture) -> GoldenPicture:
    """Return a golden picture with the answer of the same model when its features are not rounded."""
    exact = Classifier(
        classifier.networks,
        classifier.reader.runtime,
        blocks=classifier.reader.blocks,
        storage="float32",
        head=classifier.head,
        temperature=classifier.temperature,
        class_names=classifier.class_names,
    )
    shares = exact.answer(picture.picture)
    return picture.model_copy(update={"probabilities": [float(share) for share in shares], "outside": None})
