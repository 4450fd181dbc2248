"""A model folder -> Core ML's form, `model.mlpackage`, in a folder that proves itself on a Mac; and back, there.

One idea: Core ML runs on Apple's systems only, so what it answers can be checked on macOS only; that is said wherever
the export is. What can be checked anywhere is the program that was written: `mil_program` computes it step by step.
"""

from __future__ import annotations

import io
import logging
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from thawline.core.errors import BundleError, UsageError
from thawline.core.types import InputSpec
from thawline.data.images import MAX_MEGAPIXELS
from thawline.data.load import prepare_each
from thawline.use.answer import Answer, Prepared
from thawline.use.exports.export_source import ExportSource
from thawline.use.exports.golden import write_golden
from thawline.use.exports.graph import Graph
from thawline.use.exports.kinds import MACOS_ONLY
from thawline.use.exports.mil_program import MilProgram
from thawline.use.exports.proof import TENSOR_ALLOWED
from thawline.use.exports.sealed_folder import seal_folder
from thawline.use.onnx_facts import Described, OnnxFacts

__all__ = ["CoreMLModel", "load_coremltools", "open_coreml", "write_coreml"]

KIND, PACKAGE, NOTES = "coreml", "model.mlpackage", "README.md"
LABEL, SHARES, OUTSIDE = "label", "probabilities", "outside"

Item = TypeVar("Item")
Result = TypeVar("Result")


def write_coreml(source: ExportSource, place: Path) -> None:
    """Write a model in Core ML's form: `model.mlpackage`, a classifier in float32 of prepared pictures, and a README.

    Args:
        source: The model.
        place: The folder, which is not there yet.

    Raises:
        BundleError: The model has no form in Core ML.
        UsageError: coremltools is not installed.
    """
    coremltools, facts = load_coremltools("export --to coreml"), source.facts(whole=False)
    place.mkdir()
    with _conversion(source, coremltools):
        _converted(source, coremltools).save(str(place / PACKAGE))
    (place / NOTES).write_text(_notes(facts), encoding="utf-8")
    write_golden(place, source.golden_set(KIND, allowed=TENSOR_ALLOWED))
    seal_folder(place, kind=KIND, facts=facts)


def open_coreml(folder: Path, facts: OnnxFacts) -> CoreMLModel:
    """Return the model of such a folder: run by Core ML on a Mac, elsewhere its program computed step by step.

    What is computed elsewhere shows that the conversion is right, not what Apple's compiler makes of it; it is slow.

    Args:
        folder: As `write_coreml` wrote it, compared with its hashes already.
        facts: What the folder says of the model.

    Raises:
        BundleError: This is no Mac, and the program has a step that only Core ML knows.
        UsageError: coremltools is not installed.
    """
    coremltools, names = load_coremltools(f"load {folder}"), _names(len(facts.inputs))
    if sys.platform == "darwin":
        model = coremltools.models.MLModel(str(folder / PACKAGE))

        def ask(pixels: Prepared) -> dict[str, Any]:
            pictures = {name: Image.fromarray(each) for name, each in zip(names, pixels, strict=True)}
            return dict(model.predict(pictures))

    else:
        program = MilProgram(coremltools, folder / PACKAGE, outputs=[SHARES, *_further(facts)])

        def ask(pixels: Prepared) -> dict[str, Any]:
            planes = [torch.from_numpy(each.copy()).permute(2, 0, 1)[None].float() for each in pixels]
            shares, *outside = program.run(dict(zip(names, planes, strict=True)))
            found: dict[str, Any] = {SHARES: dict(zip(facts.class_names, shares[0].tolist(), strict=True))}
            return found | ({OUTSIDE: outside[0].numpy()} if outside else {})

    return CoreMLModel(ask, facts)


class CoreMLModel(Described):
    """A package of Core ML's as `Answering`: pictures are prepared as in training, one is asked for at a time.

    Attributes:
        facts: What its folder says.
        inputs: How a picture is prepared, in one way or several.
    """

    def __init__(self, ask: Callable[[Prepared], dict[str, Any]], facts: OnnxFacts) -> None:
        self._ask = ask
        self.facts = facts
        self.inputs = tuple(one.spec() for one in facts.inputs)

    @property
    def batch_size(self) -> int:
        """Pictures that it answers at once."""
        return 1

    def prepare(self, data: bytes, *, max_megapixels: int = MAX_MEGAPIXELS) -> tuple[Prepared, tuple[str, ...]]:
        """Return an encoded picture as in training, and what is odd about it, in words.

        Raises:
            DataError: As `thawline.data.images.prepare`.
        """
        return prepare_each(data, self.inputs, max_megapixels=max_megapixels)

    def answers_to(self, batch: Sequence[Prepared]) -> Answer:
        """Return what the model says of prepared pictures, in order."""
        found = [self._ask(prepared) for prepared in batch]
        shares = np.array([[one[SHARES][name] for name in self.class_names] for one in found], dtype=np.float32)
        if OUTSIDE not in found[0]:
            return Answer(shares, None)
        return Answer(shares, np.array([np.ravel(one[OUTSIDE])[0] for one in found], dtype=np.float32))

    def in_streams(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield work(item) in order, one after the other: Core ML uses the whole machine by itself."""
        yield from map(work, items)


class _Pictures(nn.Module):
    """(1, 3, H, W) float pixels from 0 to 255, as Core ML gives a picture -> what `Graph` answers."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.answers = graph

    def forward(self, *pictures: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        answer: Tensor | tuple[Tensor, Tensor] = self.answers(*(picture.permute(0, 2, 3, 1) for picture in pictures))
        return answer


def _converted(source: ExportSource, coremltools: Any) -> Any:
    """Return the model of coremltools: a classifier in float32 whose inputs are pictures of their size."""
    bundle = source.bundle
    module = _Pictures(source.graph).eval()
    examples = tuple(torch.zeros(1, 3, spec.size_px, spec.size_px) for spec in bundle.classifier.inputs)
    with torch.no_grad():
        program = torch.export.export(module, examples).run_decompositions({})
    for node in list(program.graph.nodes):
        if node.target is torch.ops.aten.alias.default:  # another name, which coremltools does not know
            node.replace_all_uses_with(node.args[0])
            program.graph.erase_node(node)
    names = _names(len(examples))
    layout = coremltools.colorlayout.RGB
    shares = str(program.graph_signature.user_outputs[0])
    model = coremltools.convert(
        program,
        convert_to="mlprogram",
        inputs=[
            coremltools.ImageType(name=name, shape=tuple(example.shape), color_layout=layout)
            for name, example in zip(names, examples, strict=True)
        ],
        classifier_config=coremltools.ClassifierConfig(
            list(bundle.class_names), predicted_feature_name=LABEL, predicted_probabilities_output=shares
        ),
        compute_precision=coremltools.precision.FLOAT32,  # in float16 probabilities would be off by more
        minimum_deployment_target=coremltools.target.iOS16,
        skip_model_load=True,
    )
    spec = model.get_spec()
    for output in list(spec.description.output):
        if output.name != LABEL:
            wanted = SHARES if output.type.WhichOneof("Type") == "dictionaryType" else OUTSIDE
            coremltools.utils.rename_feature(spec, output.name, wanted)
    spec.description.metadata.shortDescription = f"{bundle.manifest.strategy}, made by Thawline"
    spec.description.metadata.license = " + ".join(
        dict.fromkeys(network.backbone.license for network in bundle.manifest.networks)
    )
    return coremltools.models.MLModel(spec, weights_dir=model.weights_dir, skip_model_load=True)


@contextmanager
def _conversion(source: ExportSource, coremltools: Any) -> Iterator[None]:
    """Turn what coremltools raises into our error, and keep its progress and warnings about versions to itself."""
    logger = logging.getLogger("coremltools")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):  # bars of its own
            warnings.simplefilter("ignore")
            yield
    except (AssertionError, AttributeError, IndexError, KeyError, NotImplementedError, RuntimeError, TypeError,
            ValueError) as error:  # fmt: skip
        reason = (" ".join(str(error).split()) or type(error).__name__)[:200]
        raise BundleError(
            f"export --to coreml: {source.bundle.classifier.name} cannot be expressed in Core ML by coremltools "
            f"{coremltools.__version__}: {reason}. Nothing was written: export --to onnx."
        ) from error
    finally:
        logger.setLevel(level)


def load_coremltools(doing: str) -> Any:
    """Return the library, without its complaints about newer versions of others.

    Args:
        doing: Names the operation in errors.

    Raises:
        UsageError: It is not installed.
    """
    logger = logging.getLogger("coremltools")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import coremltools
    except ImportError as error:
        raise UsageError(
            f"{doing}: coremltools is needed and cannot be loaded ({error}). Run `pip install 'thawline[coreml]'`."
        ) from None
    finally:
        logger.setLevel(level)
    return coremltools


def _names(count: int) -> list[str]:
    """Return the names of the inputs of a model that takes a picture in `count` ways."""
    return ["picture", *(f"picture_{number}" for number in range(2, count + 1))]


def _further(facts: OnnxFacts) -> list[str]:
    """Return the names of the numbers that a model answers with besides the probabilities."""
    return [OUTSIDE] if facts.doubt is not None and facts.doubt.read_from is not None else []


def _notes(facts: OnnxFacts) -> str:
    """Return what whoever builds an app must know, in Markdown."""
    specs = [one.spec() for one in facts.inputs]
    lines = [
        "# A Core ML classifier, made by Thawline",
        "",
        f"`{PACKAGE}` answers on macOS 13 and iOS 16 or newer. {MACOS_ONLY}: `thawline verify` does it",
        "on a Mac with coremltools. Elsewhere only the program itself was checked, step by step.",
        "",
        "## What goes in",
        "",
        *(f"- `{name}`: {_picture_words(spec)}" for name, spec in zip(_names(len(specs)), specs, strict=True)),
        "",
        "Mean and standard deviation are in the model. Turn the picture upright first.",
        "",
        *_vision_words(specs),
        "",
        "## What comes out",
        "",
        f"- `{LABEL}`: the most probable class",
        f"- `{SHARES}`: the probability of each class",
    ]
    if _further(facts) and facts.doubt is not None:
        limit = 1 - facts.doubt.false_alarms
        lines.append(f'- `{OUTSIDE}`: how strange the picture looks, from 0 to 1; above {limit:g} say "none of these"')
    if facts.doubt is not None and facts.doubt.min_probability is not None:
        lines.append(f'\nBelow a probability of {facts.doubt.min_probability:.3f} say "not sure".')
    return "\n".join([*lines, "", f"Licence of the weights: {facts.license}.", ""])


def _picture_words(spec: InputSpec) -> str:
    side = f"{spec.size_px} × {spec.size_px} RGB pixels"
    if spec.fit == "crop":
        share = f"{spec.crop_share:g} of its shorter side"
        return f"{side}: the middle square of the picture, {share}, resized ({spec.interpolation})"
    if spec.fit == "letterbox":
        red, green, blue = (round(255 * value) for value in spec.mean)
        return f"{side}: the whole picture, resized ({spec.interpolation}) and padded with RGB {red}, {green}, {blue}"
    return f"{side}: the whole picture, stretched ({spec.interpolation})"


def _vision_words(specs: Sequence[InputSpec]) -> Iterator[str]:
    """Yield how Apple's Vision prepares the same square, or that it cannot."""
    first = specs[0]
    if len(specs) > 1:
        yield "Vision gives a model one picture; this one takes several, so prepare them yourself."
        return
    option = {"crop": "centerCrop", "letterbox": "scaleFit", "stretch": "scaleFill"}[first.fit]
    yield f"With Vision: `request.imageCropAndScaleOption = .{option}`"
    if first.fit == "crop" and first.crop_share < 1:
        yield (
            f"and `request.regionOfInterest` the middle {first.crop_share:g} of the shorter side (of a square picture "
            f"`CGRect(x: {(1 - first.crop_share) / 2:.4f}, y: {(1 - first.crop_share) / 2:.4f}, "
            f"width: {first.crop_share:g}, height: {first.crop_share:g})`): without it the model sees more around the "
            "thing than it learnt from."
        )
    if first.fit == "letterbox":
        yield "pads with black where Thawline pads with the colour above: pad the picture yourself first."
    yield "Vision resizes in its own way; answers differ a little from Thawline's."
