"""A saved program is computed as its format describes it; against coremltools' own idea of shapes, and torch."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest
import torch

pytest.importorskip("coremltools")

from thawline.use.exports.coreml_package import load_coremltools
from thawline.use.exports.mil_program import OPERATIONS, MilProgram, UnknownOperationError

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(sys.platform == "darwin", reason="a Mac runs the package itself"),
]


def package_of(module, place, *, side=12):
    """Return the package of a module that takes (1, 3, side, side) and gives (1, 4) probabilities."""
    ct = load_coremltools("test")
    example = (torch.zeros(1, 3, side, side),)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(module.eval(), example).run_decompositions({})
        model = ct.convert(
            program,
            convert_to="mlprogram",
            inputs=[ct.ImageType(name="picture", shape=(1, 3, side, side), color_layout=ct.colorlayout.RGB)],
            classifier_config=ct.ClassifierConfig(list("abcd")),
            compute_precision=ct.precision.FLOAT32,
            skip_model_load=True,
        )
        model.save(str(place))
    return ct, place


class Net(torch.nn.Module):
    """What networks are built of: padding, strides, groups, pooling, norms, and what attention does."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first = torch.nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm = torch.nn.BatchNorm2d(8)
        self.deep = torch.nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=4)
        self.layer = torch.nn.LayerNorm(8)
        self.last = torch.nn.Linear(8, 4)

    def forward(self, x):
        x = torch.relu(self.norm(self.first(x / 255)))
        x = torch.nn.functional.max_pool2d(x, 3, 2, 1)
        x = torch.nn.functional.hardswish(torch.nn.functional.pad(self.deep(x), (0, 1, 0, 1)))
        tokens = self.layer(x.flatten(2).transpose(1, 2))
        query, key = torch.nn.functional.gelu(tokens).split([4, 4], dim=2)
        mixed = torch.softmax(query @ key.transpose(1, 2), dim=2) @ tokens
        return torch.softmax(self.last(mixed[:, 1:].mean(1)), dim=1)


def test_a_program_gives_what_torch_gives(tmp_path):
    module = Net()
    with torch.no_grad():
        module.norm.running_mean.uniform_(-1, 1)
    ct, place = package_of(module, tmp_path / "net.mlpackage")
    program = MilProgram(ct, place, outputs=["probabilities"])
    for seed in range(3):
        x = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(seed)) * 255
        with torch.no_grad():
            expected = module(x)
        (found,) = program.run({"picture": x})
        assert torch.allclose(found, expected, atol=1e-6)


def test_a_changed_weight_is_seen(tmp_path):
    module = Net()
    ct, place = package_of(module, tmp_path / "net.mlpackage")
    x = torch.rand(1, 3, 12, 12) * 255
    before = MilProgram(ct, place, outputs=["probabilities"]).run({"picture": x})[0]
    weights = place / "Data/com.apple.CoreML/weights/weight.bin"
    content = np.frombuffer(weights.read_bytes(), dtype=np.float32).copy()
    content[np.abs(content - module.deep.weight.detach()[0, 0, 0, 0].item()).argmin()] += 5
    weights.write_bytes(content.tobytes())
    after = MilProgram(ct, place, outputs=["probabilities"]).run({"picture": x})[0]
    assert not torch.allclose(before, after, atol=1e-4)


def test_what_is_not_known_is_refused(tmp_path, monkeypatch):
    ct, place = package_of(Net(), tmp_path / "net.mlpackage")
    monkeypatch.delitem(OPERATIONS, "softmax")
    with pytest.raises(UnknownOperationError, match="its program has softmax, which cannot be computed here"):
        MilProgram(ct, place, outputs=["probabilities"])
