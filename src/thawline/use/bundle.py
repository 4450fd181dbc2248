"""A trained classifier becomes a folder that anyone can carry away, and that folder becomes the same classifier again.

One idea: the folder proves itself. `manifest.json` names every file with its hash, and a few golden pictures lie beside
the answers that they must get; loading checks both. Nothing in it is executed: weights are safetensors, the rest JSON.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors
from safetensors.torch import save as save_torch

from thawline.core.errors import BundleError, first_few
from thawline.core.runtime import Runtime, choose_runtime
from thawline.core.store import disk_errors, replace_directory, staging_directory, write_bytes, write_json
from thawline.core.types import Floats, InputSpec, Pixels
from thawline.data.images import prepare
from thawline.features.backbones import Network, load_backbone
from thawline.features.extract import FeatureReader
from thawline.heads.calibrate import probabilities
from thawline.heads.head import Head, head_from_tensors, head_tensors

__all__ = ["Bundle", "Classifier", "Manifest", "Training", "load_bundle", "save_bundle"]

FORMAT: Literal[1] = 1
BACKBONE_FILE, HEAD_FILE, PICTURES_FILE = "backbone.safetensors", "head.safetensors", "pictures.safetensors"
GOLDEN_TOLERANCE = 0.02

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^(golden/)?[a-z0-9][a-z0-9_.-]*$", max_length=80)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class BackboneFacts(_Strict):
    """Which network, and whose."""

    name: str
    architecture: str
    weights_sha256: Sha256
    license: str
    weights_origin: str


class InputFacts(_Strict):
    """`InputSpec` as JSON."""

    size_px: Annotated[int, Field(ge=8, le=4096)]
    mean: list[float] = Field(min_length=3, max_length=3)
    std: list[float] = Field(min_length=3, max_length=3)
    interpolation: Literal["bilinear", "bicubic"]
    fit: Literal["crop", "letterbox", "stretch"]


class Golden(_Strict):
    """A picture of the bundle and the answer that it must get."""

    file: FileName
    probabilities: list[float]


class Manifest(_Strict):
    """Everything about a bundle that is not a tensor.

    Attributes:
        format: Version of this layout.
        thawline: Version of the program that wrote it.
        class_names: K names in the order of the outputs.
        strategy: Name of the strategy.
        backbone: The network.
        input: Input preparation.
        compute: Number format of the network, part of what was trained on.
        storage: Number format that features are rounded to.
        blocks: (cut, pooling) pairs that the head reads, in order.
        temperature: Divides the logits.
        num_pictures: Pictures that the head was trained on.
        images_key: Hash of the data set's pictures.
        files: Name → SHA-256 of every other file.
        golden: Pictures with their answers.
        provenance: Versions, seed, options: for people.
    """

    format: Literal[1]
    thawline: str
    class_names: list[str] = Field(min_length=2)
    strategy: str
    backbone: BackboneFacts
    input: InputFacts
    compute: Literal["float32", "bfloat16", "float16"]
    storage: Literal["float16", "float32"]
    blocks: list[tuple[int, str]] = Field(min_length=1)
    temperature: Annotated[float, Field(gt=0)]
    num_pictures: int
    images_key: Sha256
    files: dict[FileName, Sha256]
    golden: list[Golden]
    provenance: dict[str, Any]


class Classifier:
    """Prepared pixels in, class probabilities out: what a bundle holds, in memory.

    Attributes:
        class_names: K names.
        head: Reads the features.
        temperature: Divides the logits.
        reader: Reads the pictures.
    """

    def __init__(
        self,
        network: Network,
        runtime: Runtime,
        *,
        blocks: Sequence[tuple[int, str]],
        storage: Literal["float16", "float32"],
        head: Head,
        temperature: float,
        class_names: Sequence[str],
    ) -> None:
        self.network = network
        self.reader = FeatureReader(network, runtime, blocks, storage)
        self.head = head
        self.temperature = temperature
        self.class_names = tuple(class_names)

    @property
    def input(self) -> InputSpec:
        """How pictures are prepared."""
        return self.network.backbone.input

    def probabilities(self, pixels: Pixels) -> Floats:
        """Return (B, K) float32 probabilities of (B, H, W, 3) uint8 pixels prepared as `input` says."""
        return probabilities(self.head.logits(self.reader.read(pixels)), self.temperature)


@dataclass(frozen=True)
class Bundle:
    """A model folder, verified and loaded.

    Attributes:
        directory: Where it lies.
        manifest: What it says of itself.
        classifier: The model.
        training_digests: SHA-256 digests of the pictures that it was trained on.
    """

    directory: Path
    manifest: Manifest
    classifier: Classifier
    training_digests: frozenset[str]

    @property
    def class_names(self) -> tuple[str, ...]:
        """K names in the order of the outputs."""
        return self.classifier.class_names


@dataclass(frozen=True)
class Training:
    """What a bundle records of how it came about.

    Attributes:
        strategy: Name of the strategy.
        images_key: Hash of the data set's pictures.
        sha256s: Hashes of the pictures that the head was trained on.
        golden: Encoded pictures to keep as proof, two or more.
        provenance: Versions, seed, options.
        version: Of Thawline.
    """

    strategy: str
    images_key: str
    sha256s: Sequence[str]
    golden: Sequence[bytes]
    provenance: Mapping[str, Any]
    version: str


def save_bundle(directory: Path, classifier: Classifier, training: Training) -> Manifest:
    """Write the classifier to `directory` and return its manifest; an older bundle there is replaced as a whole.

    Writes `manifest.json`, three safetensors files and `golden/*.jpg`.

    Raises:
        StoreError: The disk is full or cannot be written; an older bundle stays.
    """
    backbone = classifier.network.backbone
    digests = np.frombuffer(bytes.fromhex("".join(training.sha256s)), dtype=np.uint8).reshape(-1, 32)
    with disk_errors("write the model", directory):
        directory.parent.mkdir(parents=True, exist_ok=True)
        with staging_directory(directory.parent) as staged:
            tensors = {name: value.contiguous() for name, value in classifier.network.model.state_dict().items()}
            write_bytes(staged / BACKBONE_FILE, save_torch(tensors))
            write_bytes(staged / HEAD_FILE, save_tensors(head_tensors(classifier.head)))
            write_bytes(staged / PICTURES_FILE, save_tensors({"sha256": digests}))
            golden = []
            for number, data in enumerate(training.golden):
                name = f"golden/{number}.jpg"
                write_bytes(staged / name, data)
                answer = classifier.probabilities(prepare(data, classifier.input)[None])[0]
                golden.append(Golden(file=name, probabilities=[float(share) for share in answer]))
            names = [BACKBONE_FILE, HEAD_FILE, PICTURES_FILE, *(picture.file for picture in golden)]
            spec = asdict(classifier.input)
            manifest = Manifest(
                format=FORMAT,
                thawline=training.version,
                class_names=list(classifier.class_names),
                strategy=training.strategy,
                backbone=BackboneFacts(**{name: getattr(backbone, name) for name in BackboneFacts.model_fields}),
                input=InputFacts(**{**spec, "mean": list(spec["mean"]), "std": list(spec["std"])}),
                compute=classifier.reader.runtime.dtype,
                storage="float32" if classifier.reader.storage == np.float32 else "float16",
                blocks=list(classifier.reader.blocks),
                temperature=classifier.temperature,
                num_pictures=len(digests),
                images_key=training.images_key,
                files={name: _sha256(staged / name) for name in names},
                golden=golden,
                provenance=dict(training.provenance),
            )
            write_json(staged / "manifest.json", manifest.model_dump())
            replace_directory(staged, directory)
    return manifest


def load_bundle(directory: Path | str, *, device: str = "auto") -> Bundle:
    """Return the model of a folder, after checking every file's hash, every tensor and the golden pictures.

    The network runs in the number format that it was trained with, whatever this machine is fastest at.

    Raises:
        BundleError: A file is missing, altered or unknown; or the golden pictures get other answers here.
    """
    directory = Path(directory)
    manifest = _read_manifest(directory)
    _verify_files(directory, manifest)
    runtime = choose_runtime(device, manifest.compute)
    facts = manifest.input
    network = load_backbone(
        manifest.backbone.architecture, weights=directory / BACKBONE_FILE, fit=facts.fit, size_px=facts.size_px
    )
    spec = InputSpec(
        facts.size_px, _triple(facts.mean), _triple(facts.std), interpolation=facts.interpolation, fit=facts.fit
    )
    network = Network(replace(network.backbone, name=manifest.backbone.name, input=spec), network.model)
    if network.backbone.weights_sha256 != manifest.backbone.weights_sha256:
        raise BundleError(f"load {directory}: the backbone's tensors are not those of the manifest. Write it again.")
    head_file = _tensors(directory / HEAD_FILE)
    classifier = Classifier(
        network,
        runtime,
        blocks=_checked_blocks(manifest, network, directory),
        storage=manifest.storage,
        head=head_from_tensors(
            head_file, num_columns=len(head_file.get("mean", ())), num_classes=len(manifest.class_names)
        ),
        temperature=manifest.temperature,
        class_names=manifest.class_names,
    )
    _verify_golden(directory, manifest, classifier)
    digests = _tensors(directory / PICTURES_FILE).get("sha256", np.zeros((0, 32), np.uint8))
    return Bundle(directory, manifest, classifier, frozenset(row.tobytes().hex() for row in digests))


def _read_manifest(directory: Path) -> Manifest:
    path = directory / "manifest.json"
    try:
        raw = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise BundleError(
            f"load {directory}: there is no manifest.json. Name the `model` folder that `thawline fit` wrote."
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"load {directory}: manifest.json cannot be read: {error}. Copy the bundle again.") from None
    try:
        return Manifest.model_validate(raw, strict=False)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
        raise BundleError(
            f"load {directory}: manifest.json does not describe a bundle of format {FORMAT}: {first_few(wrong, 3)}. "
            "It was altered, or written by another version."
        ) from None


def _verify_files(directory: Path, manifest: Manifest) -> None:
    """Refuse files that are missing, altered or not named by the manifest."""
    required = {BACKBONE_FILE, HEAD_FILE, PICTURES_FILE, *(picture.file for picture in manifest.golden)}
    found = {path.relative_to(directory).as_posix() for path in directory.rglob("*") if not path.is_dir()}
    unknown = found - set(manifest.files) - {"manifest.json"}
    missing = (required | set(manifest.files)) - found
    unnamed = required - set(manifest.files)
    if unknown or missing or unnamed:
        said = [f"unknown file {name}" for name in sorted(unknown)]
        said += [f"missing file {name}" for name in sorted(missing | unnamed)]
        raise BundleError(f"load {directory}: {first_few(said)}. Copy the bundle again, whole and nothing else.")
    altered = sorted(name for name, digest in manifest.files.items() if _sha256(directory / name) != digest)
    if altered:
        raise BundleError(f"load {directory}: {first_few(altered)}: the contents are not what the manifest says.")


def _checked_blocks(manifest: Manifest, network: Network, directory: Path) -> list[tuple[int, str]]:
    """Return the blocks, after making sure that the network has those cuts."""
    num_cuts = len(network.backbone.cuts)
    for cut, pooling in manifest.blocks:
        if not 0 <= cut < num_cuts or not re.fullmatch(r"mean|std|max|grid|token", pooling):
            raise BundleError(f"load {directory}: {network.backbone.name} has no {pooling!r} at cut {cut}.")
    return list(manifest.blocks)


def _verify_golden(directory: Path, manifest: Manifest, classifier: Classifier) -> None:
    """Refuse a model that answers otherwise here than where it was trained."""
    for picture in manifest.golden:
        answer = classifier.probabilities(prepare((directory / picture.file).read_bytes(), classifier.input)[None])[0]
        if len(picture.probabilities) != len(answer):
            raise BundleError(f"load {directory}: {picture.file} has answers for another number of classes.")
        off = float(np.abs(answer - np.array(picture.probabilities)).max())
        if not off <= GOLDEN_TOLERANCE:
            raise BundleError(
                f"load {directory}: {picture.file} gets probabilities that differ by {off:.3f} from those of training "
                f"({GOLDEN_TOLERANCE} is allowed). This machine or its libraries compute something else: try "
                "--device cpu, and the versions that the manifest names."
            )


def _tensors(path: Path) -> dict[str, Any]:
    try:
        return load_tensors(path.read_bytes())
    except (OSError, SafetensorError, ValueError) as error:
        raise BundleError(f"load {path}: not a safetensors file: {error}. Copy the bundle again.") from None


def _triple(values: Sequence[float]) -> tuple[float, float, float]:
    return values[0], values[1], values[2]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
