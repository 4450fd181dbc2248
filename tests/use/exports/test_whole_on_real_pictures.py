"""On real pictures of odd shapes and modes a whole file says what the folder says, for every fit and filter."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from thawline.features.network import Network, load_backbone
from thawline.heads.linear import fit_linear
from thawline.use.answer import row_of
from thawline.use.bundle import Training, load_bundle, save_bundle
from thawline.use.classifier import Classifier
from thawline.use.exports.export_source import ExportSource
from thawline.use.exports.proof import PIXELS_ALLOWED
from thawline.use.exports.write_export import write_export
from thawline.use.onnx_facts import DOUBT_CODES
from thawline.use.onnx_model import open_onnx

pytestmark = [pytest.mark.pictures, pytest.mark.slow]


def encoded(image, kind="PNG", **words):
    buffer = io.BytesIO()
    image.save(buffer, kind, **words)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def odd_pictures(shared_data):
    """Return real pictures as they are, cut to lines and strips, large, turned, and in other modes."""
    files = sorted((shared_data / "monkeys" / "validation").rglob("*.jpg"))[::23]
    images = [Image.open(file).convert("RGB") for file in files]
    first, second, third = images[:3]
    turned = Image.Exif()
    turned[0x0112] = 6
    clear = second.copy()
    clear.putalpha(Image.linear_gradient("L").resize(second.size))
    deep = Image.fromarray((np.asarray(third.convert("L")).astype(np.uint16) << 8) + 77)
    return [
        *(file.read_bytes() for file in files),
        encoded(first.crop((0, 0, first.width, 3))),
        encoded(first.crop((10, 0, 11, first.height))),
        encoded(first.resize((1, 1))),
        encoded(first.resize((1700, 1300)), "JPEG"),
        encoded(second.resize((40, 900)), "JPEG"),
        encoded(first, "JPEG", exif=turned),
        encoded(third.convert("L")),
        encoded(third.convert("P")),
        encoded(third.convert("CMYK"), "JPEG"),
        encoded(clear),
        encoded(deep),
    ]


@pytest.fixture(scope="module")
def bundle_for(odd_pictures, tmp_path_factory):
    """Return what saves a model of the bundled backbone with a preparation of its own."""

    def make(*, fit, interpolation):
        network = load_backbone(size_px=96, fit=fit)
        spec = replace(network.backbone.input, interpolation=interpolation)
        network = Network(replace(network.backbone, input=spec), network.model)
        last = len(network.backbone.cuts) - 1
        kept = {"blocks": [(last - 3, "mean"), (last, "mean")], "storage": "float16", "temperature": 0.8}
        from thawline.core.runtime import Runtime

        kept |= {"class_names": ("a", "b", "c")}
        runtime = Runtime("cpu", "float32", 8)
        blank = Classifier([network], runtime, head=None, **kept)  # type: ignore[arg-type]
        pixels = np.stack([blank.prepare(data)[0][0] for data in odd_pictures])
        head = fit_linear(blank.reader.read(pixels), np.arange(len(pixels)) % 3, l2=1e-3, num_classes=3)
        place = tmp_path_factory.mktemp("real") / "model"
        training = Training("drawn", "0" * 64, [], odd_pictures, {}, "0.0.0")
        save_bundle(place, Classifier([network], runtime, head=head, **kept), training=training)
        return load_bundle(place, device="cpu")

    return make


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("fit", ["crop", "letterbox", "stretch"])
def test_the_whole_file_answers_as_the_folder(bundle_for, odd_pictures, tmp_path, fit, interpolation):
    bundle = bundle_for(fit=fit, interpolation=interpolation)
    done = write_export(ExportSource(bundle), "onnx", place=tmp_path / "model.onnx")
    assert (done.num_golden, done.agreement) == (len(odd_pictures), 1)
    assert done.max_difference <= PIXELS_ALLOWED
    model = open_onnx(done.path)
    for data in odd_pictures:
        answer = bundle.classifier.answers_to([bundle.classifier.prepare(data)[0]])
        (picture,), remarks = model.prepare(data)
        outputs = model.outputs(picture[None])
        assert np.abs(outputs["probabilities"] - answer.probabilities).max() <= PIXELS_ALLOWED
        row = row_of(bundle.classifier, "a", answer=answer, place=0, remarks=remarks)
        assert DOUBT_CODES[outputs["doubt"][0]] == (row.doubt or "answer")
