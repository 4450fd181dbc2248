"""Classifier -> model folder that can be copied anywhere -> the same classifier again.

One idea: the folder proves itself. `manifest.json` has the hash of every file and a seal, which is its own hash, and
a few golden pictures with the answers that they must get; loading checks all three. Nothing in it is executed
and nothing outside it is read: weights are safetensors, the rest JSON, and links are refused.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors
from safetensors.torch import save as save_torch

from thawline.core.errors import BackboneError, BundleError, ThawlineError, first_few
from thawline.core.remembered import recalled
from thawline.core.runtime import choose_runtime
from thawline.core.store import disk_errors, file_sha256, replace_directory, staging_directory, write_json
from thawline.data.formats import format_of
from thawline.features.joined import own_blocks
from thawline.features.network import Network, load_backbone
from thawline.features.pooling import POOLINGS, pooling_columns
from thawline.heads.head import head_from_tensors, head_tensors
from thawline.heads.outsider_tensors import outsider_tensors, outsiders_from_tensors
from thawline.use.classifier import Classifier
from thawline.use.manifest import (
    HEAD_FILE,
    OUTSIDERS_FILE,
    PICTURES_FILE,
    Golden,
    Manifest,
    left_behind,
    read_manifest,
    require_own_bundle,
    weight_files,
)
from thawline.use.network_facts import BackboneFacts, InputFacts, NetworkFacts

__all__ = ["Bundle", "Training", "golden_tolerance", "load_bundle", "replace_bundle", "save_bundle", "write_bundle"]

GOLDEN_TOLERANCE = 0.002
"""How far a probability of a golden picture may be from the one in the folder."""

ROUGH_TOLERANCE = 0.02
"""The same for folders of earlier versions, whose network computes in bfloat16 or float16."""

VERIFIED = 4
"""Golden pictures that are looked at when a folder is loaded, or a few more."""

DIGEST_BYTES = 32


@dataclass(frozen=True)
class Bundle:
    """A model folder, verified and loaded.

    Attributes:
        directory: The folder.
        manifest: The content of its `manifest.json`.
        classifier: The model.
        training_digests: SHA-256 digests of the pictures that it was trained on.
    """

    directory: Path
    manifest: Manifest = field(repr=False)
    classifier: Classifier
    training_digests: frozenset[str] = field(repr=False)

    @property
    def class_names(self) -> tuple[str, ...]:
        """K names in the order of the outputs."""
        return self.classifier.class_names


@dataclass(frozen=True)
class Training:
    """What a bundle records about its training run.

    Attributes:
        strategy: Name of the strategy.
        images_key: Hash of the data set's pictures.
        sha256s: SHA-256 digests of the pictures that the head was trained on.
        golden: Encoded pictures to keep as proof, one or more.
        provenance: Versions, seed, options.
        version: Version of Thawline.
    """

    strategy: str
    images_key: str
    sha256s: Sequence[str] = field(repr=False)
    golden: Sequence[bytes] = field(repr=False)
    provenance: Mapping[str, Any] = field(repr=False)
    version: str


def save_bundle(directory: Path, classifier: Classifier, *, training: Training) -> Manifest:
    """Write the classifier to `directory` and return its manifest; an older bundle there is replaced as a whole.

    Raises:
        StoreError: The disk is full or cannot be written, or something else than a bundle, or one that was changed,
            stands there; it stays.
    """
    with disk_errors("write the model", directory):
        directory.parent.mkdir(parents=True, exist_ok=True)
        with staging_directory(directory.parent) as staged:
            manifest = write_bundle(staged / "model", classifier, training=training)
            replace_bundle(staged / "model", directory)
    return manifest


def replace_bundle(staged: Path, directory: Path, *, doing: str = "write the model", older: bool = False) -> None:
    """Put a finished bundle in the place of an older one; what a system has left in that one is taken along.

    Args:
        staged: The finished bundle, in a folder of our own on the same file system.
        directory: Where it belongs.
        doing: As in `require_own_bundle`.
        older: As in `require_own_bundle`.

    Raises:
        StoreError: What stands there is not a bundle as it was written; it stays.
    """
    for path in left_behind(directory):
        copy = staged / path.relative_to(directory)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    replace_directory(staged, directory, require=partial(require_own_bundle, doing=doing, older=older))


def write_bundle(folder: Path, classifier: Classifier, *, training: Training) -> Manifest:
    """Write the classifier to a new folder of our own and return its manifest.

    Writes `manifest.json`, three safetensors files and pictures in `golden/`; the weights of every further network are
    one more file, unless they are those of an earlier one that reads pictures in another way; what tells strange
    pictures is `outsiders.safetensors`.

    Raises:
        StoreError: The disk is full or cannot be written.
    """
    first, *further = [
        NetworkFacts(
            backbone=BackboneFacts(**{name: getattr(backbone, name) for name in BackboneFacts.model_fields}),
            input=InputFacts.of(backbone.input),
        )
        for backbone in (network.backbone for network in classifier.networks)
    ]
    digests = np.frombuffer(bytes.fromhex("".join(training.sha256s)), dtype=np.uint8).reshape(-1, DIGEST_BYTES)
    with disk_errors("write the model", folder):
        (folder / "golden").mkdir(parents=True)
        weights = weight_files([first, *further])
        for name, network in dict(zip(weights, classifier.networks, strict=True)).items():
            tensors = {key: value.contiguous() for key, value in network.model.state_dict().items()}
            (folder / name).write_bytes(save_torch(tensors))
        (folder / HEAD_FILE).write_bytes(save_tensors(head_tensors(classifier.head)))
        (folder / PICTURES_FILE).write_bytes(save_tensors({"sha256": digests}))
        names = [*dict.fromkeys(weights), HEAD_FILE, PICTURES_FILE]
        if classifier.outsiders is not None:
            (folder / OUTSIDERS_FILE).write_bytes(save_tensors(outsider_tensors(classifier.outsiders)))
            names.append(OUTSIDERS_FILE)
        answers = _answers_to_golden(classifier, training.golden)
        golden = []
        for number, (data, (shares, outside)) in enumerate(zip(training.golden, answers, strict=True)):
            name = f"golden/{number}{format_of(data).endings[0]}"
            (folder / name).write_bytes(data)
            golden.append(Golden(file=name, probabilities=shares, outside=outside))
        names += [picture.file for picture in golden]
        manifest = Manifest(
            format=3 if classifier.doubt else 2 if further else 1,
            thawline=training.version,
            class_names=list(classifier.class_names),
            strategy=training.strategy,
            backbone=first.backbone,
            input=first.input,
            further=further or None,
            compute=classifier.reader.runtime.dtype,
            storage="float32" if classifier.reader.storage == np.float32 else "float16",
            blocks=list(classifier.reader.blocks),
            temperature=classifier.temperature,
            doubt=classifier.doubt,
            num_pictures=len(digests),
            images_key=training.images_key,
            files={name: file_sha256(folder / name) for name in names},
            golden=golden,
            provenance=dict(training.provenance),
            seal="0" * 64,
        ).sealed()
        write_json(folder / "manifest.json", manifest.model_dump())
    return manifest


def _answers_to_golden(classifier: Classifier, pictures: Sequence[bytes]) -> list[tuple[list[float], float | None]]:
    """Return of each picture the probability of every class, and how strange it looks."""

    def answered() -> list[tuple[list[float], float | None]]:
        answers = [classifier.answers_to([classifier.prepare(data)[0]]) for data in pictures]
        return [([float(share) for share in answer.probabilities[0]], answer.outside_of(0)) for answer in answers]

    model = classifier.determined_by
    return recalled("golden", [*model, classifier.outsiders, classifier.doubt, pictures], make=answered)


def load_bundle(directory: Path | str, *, device: str = "auto") -> Bundle:
    """Return the model of a folder, after checking every file's hash, every tensor and the golden pictures.

    The network runs in the number format that it answered in when it was written: float32 but for older folders.

    Raises:
        BundleError: A file is missing, altered, unknown or a link; or the golden pictures get different answers here.
    """
    directory = Path(directory)
    manifest = read_manifest(directory)
    runtime = choose_runtime(device, manifest.compute)
    digests, tensors = _training_digests(directory, manifest), _tensors(directory / HEAD_FILE)
    networks = [
        _load_network(directory, facts, name)
        for facts, name in zip(manifest.networks, weight_files(manifest.networks), strict=True)
    ]
    num_columns = _num_columns(directory, manifest, networks)
    outsiders = None
    if manifest.doubt is not None and manifest.doubt.read_from is not None:
        read = _tensors(directory / OUTSIDERS_FILE)
        outsiders = outsiders_from_tensors(read, num_columns=num_columns, read_from=manifest.doubt.read_from)
    classifier = Classifier(
        networks,
        runtime,
        blocks=manifest.blocks,
        storage=manifest.storage,
        head=head_from_tensors(tensors, num_columns=num_columns, num_classes=len(manifest.class_names)),
        temperature=manifest.temperature,
        class_names=manifest.class_names,
        doubt=manifest.doubt,
        outsiders=outsiders,
    )
    _verify_golden(directory, manifest, classifier=classifier)
    return Bundle(directory, manifest, classifier, digests)


def _load_network(directory: Path, network: NetworkFacts, name: str) -> Network:
    """Return a backbone of the bundle, under its own name and with its own input preparation.

    Args:
        directory: The bundle.
        network: What the manifest says of it.
        name: Of the file with its weights.
    """
    facts, spec, path = network.backbone, network.input, directory / name
    with path.open("rb") as file:
        if file.read(9)[8:] != b"{":  # without a JSON header it would be read as a pickle
            raise BundleError(f"load {path}: not a safetensors file. Copy the bundle again.")
    try:
        loaded = load_backbone(facts.architecture, weights=path, size_px=spec.size_px)
    except BackboneError as error:
        raise BundleError(f"load {directory}: its backbone: {error}") from None
    if loaded.backbone.weights_sha256 != facts.weights_sha256:
        raise BundleError(f"load {directory}: the backbone's tensors are not those of the manifest. Write it again.")
    backbone = replace(
        loaded.backbone,
        name=facts.name,
        license=facts.license,
        weights_origin=facts.weights_origin,
        input=spec.spec(),
    )
    return Network(backbone, loaded.model)


def _num_columns(directory: Path, manifest: Manifest, networks: Sequence[Network]) -> int:
    """Return how many columns the head reads; refuses blocks that the networks do not have, or that leave one out."""
    backbones = [network.backbone for network in networks]
    again = "Write the bundle again with `thawline fit`."
    try:
        parts = own_blocks(manifest.blocks, [len(backbone.cuts) for backbone in backbones])
    except ValueError as error:
        raise BundleError(f"load {directory}: blocks: {error}. {again}") from None
    num_columns = 0
    for backbone, blocks in zip(backbones, parts, strict=True):
        poolings = [name for name in POOLINGS if name != "token" or backbone.has_class_token]
        if not blocks:
            raise BundleError(f"load {directory}: blocks: no cut of {backbone.name} is read. {again}")
        for cut, pooling in blocks:
            if pooling not in poolings:
                raise BundleError(
                    f"load {directory}: {backbone.name} has no {pooling!r} at cut {cut}; it has {first_few(poolings)} "
                    f"at cuts 0 to {len(backbone.cuts) - 1}. {again}"
                )
            num_columns += pooling_columns(pooling, backbone.cuts[cut].channels)
    return num_columns


def golden_tolerance(manifest: Manifest) -> float:
    """Return how far a probability of a golden picture may be from the one in the folder."""
    return GOLDEN_TOLERANCE if manifest.compute == "float32" else ROUGH_TOLERANCE


def _verify_golden(directory: Path, manifest: Manifest, *, classifier: Classifier) -> None:
    """Refuse a model whose answers here differ from those where it was trained.

    A few pictures, spread over all of them, are enough on loading, which must be quick; every export goes through all.
    """
    step = max(1, len(manifest.golden) // VERIFIED)
    for picture in manifest.golden[::step]:
        try:
            answer = classifier.answer((directory / picture.file).read_bytes())
        except ThawlineError as error:
            raise BundleError(
                f"load {directory}: {picture.file} gets no answer: {error}. Write the bundle again with `thawline fit`."
            ) from None
        if len(picture.probabilities) != len(answer):
            raise BundleError(
                f"load {directory}: {picture.file} has {len(picture.probabilities):,} answers; {len(answer):,} are "
                "required, one a class. Write the bundle again with `thawline fit`."
            )
        off = float(np.abs(answer - np.array(picture.probabilities)).max())
        if not off <= (allowed := golden_tolerance(manifest)):
            raise BundleError(
                f"load {directory}: {picture.file} gets probabilities that differ by {off:.3f} from those of training "
                f"({allowed} is allowed). This machine or its libraries compute different numbers: "
                "try --device cpu, or the versions that the manifest names."
            )


def _training_digests(directory: Path, manifest: Manifest) -> frozenset[str]:
    tensors = _tensors(directory / PICTURES_FILE)
    digests = tensors.get("sha256")
    if (
        digests is None
        or len(tensors) > 1
        or digests.dtype != np.uint8
        or digests.shape != (manifest.num_pictures, DIGEST_BYTES)
    ):
        raise BundleError(
            f"load {directory / PICTURES_FILE}: one tensor sha256 of {manifest.num_pictures:,} digests is required. "
            "Write the bundle again with `thawline fit`."
        )
    return frozenset(row.tobytes().hex() for row in digests)


def _tensors(path: Path) -> dict[str, Any]:
    try:
        return load_tensors(path.read_bytes())
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:  # the last two: types unknown to NumPy
        raise BundleError(f"load {path}: not a safetensors file: {error}. Copy the bundle again.") from None
