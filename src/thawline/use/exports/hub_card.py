"""A model folder, and the scores of its run next to it -> the README of an export, for Hugging Face's hub.

One idea: it says what a stranger needs: what the model is, how good with intervals, how to load it, what its form
leaves out. Unlike the model card of a run it holds no command and no path: it is made to be published.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from thawline.core.scores import SCORES
from thawline.core.version import __version__
from thawline.use.bundle import Bundle

__all__ = ["hub_card"]

SHOWN_CLASSES = 100
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~$&-])")
FITS = {"crop": "its middle is shown", "letterbox": "it is padded", "stretch": "it is stretched"}


def hub_card(bundle: Bundle, library: Literal["timm", "onnx"]) -> str:
    """Return the README: Hugging Face's block of facts, and Markdown for people.

    Args:
        bundle: The model; `metrics.json` and `run.json` of its run are read where they lie next to it. The run's folder
            gives the name.
        library: What the export is made for.
    """
    folder = bundle.directory.resolve().parent
    scores, run = _json_of(folder / "metrics.json"), _json_of(folder / "run.json")
    title = folder.name
    lines = [*_facts(bundle, title, library, scores), "", f"# {_plain(title)}", "", *_what(bundle, library), ""]
    for heading, paragraphs in (
        ("How to use it", _timm_usage() if library == "timm" else _onnx_usage(bundle)),
        ("How good it is", _quality(scores, run)),
        ("Limits", _limits(bundle, library)),
        ("Classes", _classes(bundle)),
    ):
        lines += [f"## {heading}", "", *paragraphs, ""]
    text = "\n".join(lines).rstrip() + "\n"
    return text.encode("utf-8", "replace").decode("utf-8")


def _plain(text: object) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(text).split()))


def _json_of(path: Path) -> Mapping[str, Any]:
    """Return the content of a file of the run, or nothing where there is none that can be read."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _listed(scores: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, float]]]:
    """Yield name, title and values of the scores that a run wrote, in their order."""
    for kind in SCORES:
        found = scores.get(kind.name)
        if isinstance(found, dict) and {"value", "low", "high", "n"} <= set(found):
            yield kind.name, kind.title, found


def _facts(bundle: Bundle, title: str, library: str, scores: Mapping[str, Any]) -> Iterator[str]:
    """Yield the block of facts; values are JSON, which is YAML, so nothing in a name is read as anything else."""
    found = bundle.manifest.backbone.license.strip().lower()
    is_known = re.fullmatch(r"[a-z0-9][a-z0-9.-]*", found) and found not in {"unknown", "none"}
    tags = ["image-classification", *(["timm", "transformers"] if library == "timm" else ["onnx"]), "thawline"]
    yield "---"
    yield f"license: {json.dumps(found if is_known else 'other')}"
    yield f"library_name: {library}"
    yield "pipeline_tag: image-classification"
    yield f"tags: {json.dumps(tags)}"
    listed = list(_listed(scores))
    if listed:
        yield f"metrics: {json.dumps([name for name, _, _ in listed])}"
        yield "model-index:"
        yield f"- name: {json.dumps(title)}"
        yield "  results:"
        yield "  - task:"
        yield "      type: image-classification"
        yield "    dataset:"
        yield f"      name: {json.dumps(title)}"
        yield "      type: imagefolder"
        yield "      split: test"
        yield "    metrics:"
        for name, label, score in listed:
            yield f"    - type: {name}"
            told = f"{label}, 95 % interval {_span(score)} of {int(score['n']):,} pictures"
            yield f"      name: {json.dumps(told)}"
            yield f"      value: {score['value']:.6f}"
    yield "---"


def _span(score: Mapping[str, float]) -> str:
    return f"{score['low']:.3f} to {score['high']:.3f}"


def _what(bundle: Bundle, library: str) -> Iterator[str]:
    backbones = [network.backbone for network in bundle.manifest.networks]
    softmax = "A softmax over its logits gives probabilities: the temperature that makes them honest is in its weights."
    yield (
        f"An image classifier of {len(bundle.class_names):,} classes on {_plain(bundle.classifier.name)}, made by "
        f"Thawline {__version__}: {_plain(bundle.manifest.strategy)}.{f' {softmax}' if library == 'timm' else ''}"
    )
    yield ""
    for backbone in dict.fromkeys((each.weights_origin, each.license) for each in backbones):
        yield f"- weights that it started from: {_plain(backbone[0])}, licence {_plain(backbone[1])}"
    for spec in bundle.classifier.inputs:
        share = f", of which the middle {spec.crop_share:g} of the shorter side" if spec.fit == "crop" else ""
        yield f"- it sees {spec.size_px} × {spec.size_px} pixels{share}; a picture that is not square: {FITS[spec.fit]}"


def _timm_usage() -> Iterator[str]:
    yield "```python"
    yield "import timm, torch"
    yield "from PIL import Image"
    yield ""
    yield 'model = timm.create_model("local-dir:FOLDER", pretrained=True).eval()  # or "hf-hub:OWNER/NAME"'
    yield "transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))"
    yield 'picture = transform(Image.open("picture.jpg").convert("RGB"))'
    yield "with torch.inference_mode():"
    yield "    probabilities = model(picture[None]).softmax(1)[0]"
    yield 'print(model.pretrained_cfg["label_names"][probabilities.argmax()])'
    yield "```"
    yield ""
    yield '`transformers.pipeline("image-classification", model="OWNER/NAME")` works as well.'


def _onnx_usage(bundle: Bundle) -> Iterator[str]:
    yield "```console"
    yield "$ thawline predict model.onnx pictures/"
    yield "```"
    yield ""
    yield (
        "Or with onnxruntime: upright RGB pictures, uint8, (batch, height, width, 3) as `pictures`; out come "
        f"`probabilities` of the {len(bundle.class_names):,} classes. Names and thresholds are JSON under the metadata "
        "key `thawline`."
    )


def _quality(scores: Mapping[str, Any], run: Mapping[str, Any]) -> Iterator[str]:
    listed = list(_listed(scores))
    if not listed:
        yield "No test scores were recorded next to the model."
        return
    yield "Measured on pictures that the model had not seen, once, after every choice:"
    yield ""
    yield "| score | value | 95 % interval | pictures |"
    yield "|---|---|---|---|"
    for _, label, score in listed:
        yield f"| {_plain(label)} | {score['value']:.3f} | {_span(score)} | {int(score['n']):,} |"
    if run.get("refit"):
        yield ""
        yield "The model then learnt from these pictures too; the scores are of the model before."
    yield ""
    yield "They are of pictures like those tested; another camera, place or season may change them."


def _limits(bundle: Bundle, library: str) -> Iterator[str]:
    """Yield what the model does not do, and what its form leaves out."""
    doubt = bundle.manifest.doubt
    if library == "timm":
        yield (
            "- Thawline decodes 16-bit, transparent and palette pictures in ways of its own and turns all upright; "
            'elsewhere, `ImageOps.exif_transpose(image).convert("RGB")` suits most.'
        )
        if doubt is not None:
            yield '- Thawline\'s own forms say "none of these" of pictures that look strange; this one cannot.'
    if doubt is not None and doubt.min_probability is not None:
        yield f'- It is to say "not sure" below a probability of {doubt.min_probability:.3f}.'
    yield "- It was not made to decide about people, and not tested for it."


def _classes(bundle: Bundle) -> Iterator[str]:
    for number, name in enumerate(bundle.class_names[:SHOWN_CLASSES]):
        yield f"{number + 1}. {_plain(name)}"
    if len(bundle.class_names) > SHOWN_CLASSES:
        yield ""
        yield f"And {len(bundle.class_names) - SHOWN_CLASSES:,} more; `config.json` has them all."
