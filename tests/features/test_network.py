"""A name becomes a frozen network: reading it at its cuts, its inputs and sizes, and errors."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from safetensors.torch import save_file

from thawline.core.errors import BackboneError
from thawline.core.runtime import Runtime
from thawline.features.network import frozen_for_inference, load_backbone

PRIMATES = range(365, 385)


def test_a_description_is_plain_json(lite0):
    assert json.loads(json.dumps(dataclasses.asdict(lite0.backbone)))["cuts"][16]["module"] == "conv_head"


def test_a_loaded_network_is_frozen(lite0):
    for network in (lite0, frozen_for_inference(lite0, Runtime("cpu", "bfloat16", 8))):
        assert not any(parameter.requires_grad for parameter in network.model.parameters())
        assert not any(module.training for module in network.model.modules())


def test_inference_runs_without_batch_norms_in_the_format_asked_for(lite0):
    frozen = frozen_for_inference(lite0, Runtime("cpu", "bfloat16", 8))
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in frozen.model.modules())
    x = torch.randn(2, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    plain = frozen_for_inference(lite0, Runtime("cpu", "float32", 8))
    for cut in lite0.backbone.cuts:
        assert torch.allclose(plain.prefix(x, cut.index), lite0.prefix(x, cut.index), atol=1e-4, rtol=1e-4), cut
    assert {parameter.dtype for parameter in frozen.model.parameters()} == {torch.bfloat16}
    assert frozen.prefix(torch.randn(1, 3, 64, 64).bfloat16(), 16).dtype == torch.bfloat16


def test_one_pass_yields_the_cuts_in_order_and_stops_at_the_deepest(lite0):
    ran = []
    hooks = [
        module.register_forward_hook(lambda _, __, ___, name=name: ran.append(name))
        for name, module in lite0.suffix_modules(0)
    ]
    assert [cut for cut, _ in lite0.features(torch.randn(1, 3, 64, 64), [5, 2, 5])] == [2, 5]
    for hook in hooks:
        hook.remove()
    assert ran == [cut.module for cut in lite0.backbone.cuts[1:6]]
    with pytest.raises(BackboneError, match=r"there is no cut 17\. Choose from 0 to 16"):
        lite0.prefix(torch.randn(1, 3, 64, 64), 17)


def test_an_architecture_without_a_table_says_why_it_cannot_be_continued():
    network = load_backbone("dla34", pretrained=False, size_px=64)
    assert not network.backbone.has_suffix
    with pytest.raises(BackboneError, match=r"dla34: DLA can be read at its stages but not continued"):
        network.suffix(torch.zeros(1, 512, 2, 2), 3)


def test_a_vit_takes_another_size(tmp_path):
    big = load_backbone("vit_tiny_patch16_224", pretrained=False)
    small = load_backbone("vit_tiny_patch16_224", pretrained=False, size_px=96)
    assert small.backbone.input.size_px == 96
    assert small.prefix(torch.randn(1, 3, 96, 96), 3).shape == (1, 37, 192)
    save_file(big.model.state_dict(), tmp_path / "w.safetensors")
    resized = load_backbone("vit_tiny_patch16_224", weights=tmp_path / "w.safetensors", size_px=96)
    assert resized.model.pos_embed.shape == (1, 37, 192)
    with pytest.raises(BackboneError, match="an input of 16 px is too small"):
        load_backbone("resnet18", pretrained=False, size_px=16)


def test_a_crop_shows_what_the_weights_were_made_with(tmp_path):
    def share(name="efficientnet_lite0", **changes):
        return load_backbone(name, pretrained=False, **changes).backbone.input.crop_share

    assert share() == share(size_px=352) == 0.875
    assert (share(crop_share=1.0), share(crop_share=0.5), share(fit="stretch"), share(fit="letterbox")) == (
        1,
        0.5,
        1,
        1,
    )
    assert (share("resnet18.a1_in1k"), share("simple_cnn")) == (0.95, 1.0)
    config = {"architecture": "resnet18", "pretrained_cfg": {"input_size": [3, 64, 64]}}
    for said, expected in ({}, 1.0), ({"crop_pct": 0.9}, 0.9):
        content = {**config, "pretrained_cfg": {**config["pretrained_cfg"], **said}}
        (tmp_path / "config.json").write_text(json.dumps(content), encoding="utf-8")
        assert share(f"local-dir:{tmp_path}") == expected


@pytest.mark.pictures
def test_the_bundled_weights_know_monkeys(lite0, shared_data):
    from PIL import Image
    from torchvision.transforms import v2

    spec = lite0.backbone.input
    prepare = v2.Compose(
        [
            v2.ToImage(),
            v2.Resize(256, interpolation=v2.InterpolationMode.BICUBIC, antialias=True),
            v2.CenterCrop(spec.size_px),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(spec.mean, spec.std),
        ]
    )
    paths = [sorted(folder.glob("*.jpg"))[0] for folder in sorted((shared_data / "monkeys" / "validation").iterdir())]
    x = torch.stack([prepare(Image.open(path).convert("RGB")) for path in paths])
    top = lite0.forward(x).topk(5).indices
    primates = sum(int(label) in PRIMATES for label in top[:, 0])
    assert primates >= len(paths) - 1
    assert sum(int(label) in PRIMATES for label in top.flatten()) > 0.75 * top.numel()
