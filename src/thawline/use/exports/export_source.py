"""A loaded model -> what every form of it is made of: its graph in ONNX, its facts, and golden pictures.

One idea: what several forms share is made once, when the first of them asks for it.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from thawline.core.errors import BundleError, DataError
from thawline.core.progress import Progress, SilentProgress
from thawline.core.version import __version__
from thawline.use.answer import Answer, Prepared
from thawline.use.bundle import Bundle, golden_tolerance
from thawline.use.exports.carried_pictures import carried_pictures
from thawline.use.exports.golden import GoldenPicture, GoldenSet
from thawline.use.exports.graph import Graph
from thawline.use.exports.known_pictures import learnt_pictures, yardstick_of
from thawline.use.exports.placed_graph import PlacedGraph, Projection
from thawline.use.exports.tensor_graph import tensor_graph
from thawline.use.exports.yardstick import Yardstick
from thawline.use.neighbours import MOST_PICTURES, Neighbours
from thawline.use.network_facts import InputFacts
from thawline.use.onnx_facts import DOUBT_CODES, OnnxFacts, PlaceFacts

if TYPE_CHECKING:
    import onnx

__all__ = ["ExportSource"]


class ExportSource:
    """A model that is being exported.

    Attributes:
        bundle: The model folder, loaded on the CPU.
        run: Folder of the run that the model came from; None where there is none.
        photos: Where the run's pictures lie now, or labelled ones that the model has not learnt from; None where
            nothing was said. As `yardstick_of` takes them.
        with_neighbours: Whether training pictures are to lie next to what has room for them.
        progress: Where to report to.
        ort_web: The tarball of onnxruntime-web; None where it is fetched.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        run: Path | None = None,
        photos: Path | str | None = None,
        with_neighbours: bool = False,
        progress: Progress | None = None,
        ort_web: Path | None = None,
    ) -> None:
        self.bundle = bundle
        self.run = run
        self.photos = photos
        self.ort_web = ort_web
        self.with_neighbours = with_neighbours
        self.progress = progress or SilentProgress()

    @cached_property
    def graph(self) -> Graph:
        """The model as one torch module in float32, from prepared pixels to its answers.

        Raises:
            BundleError: The head has no form of the kind.
        """
        return Graph(self.bundle.classifier).eval()

    @cached_property
    def _tensor_graph(self) -> bytes:
        with self.progress.stage("graph"):
            return tensor_graph(self.graph, self.bundle)

    @cached_property
    def _placed_graph(self) -> bytes:
        placed = PlacedGraph(self.graph, self._carried[1]).eval()
        with self.progress.stage("graph"):
            return tensor_graph(placed, self.bundle)

    @cached_property
    def _carried(self) -> tuple[Neighbours, Projection]:
        found = learnt_pictures(self.bundle, self.run, photos=self.photos, count=MOST_PICTURES, progress=self.progress)
        return carried_pictures(self.bundle, found, progress=self.progress)

    @property
    def neighbours(self) -> Neighbours | None:
        """Training pictures that lie next to what has room for them; None where they are not wanted.

        Raises:
            UsageError: None were found; says what to pass.
            BundleError: A file of the run is damaged.
        """
        return self._carried[0] if self.with_neighbours else None

    def onnx_graph(self, *, placed: bool = False) -> onnx.ModelProto:
        """Return a copy of the model from prepared pixels to its answers as ONNX, without metadata.

        Args:
            placed: Whether it says where pictures lie too, among `neighbours`.

        Raises:
            BundleError: The model cannot be expressed in ONNX.
            UsageError: The exporter is not installed.
        """
        content = self._placed_graph if placed else self._tensor_graph
        import onnx

        return onnx.load_from_string(content)

    def facts(self, *, whole: bool, placed: bool = False) -> OnnxFacts:
        """Return what an export says of the model.

        Args:
            whole: That it takes pictures as they were decoded.
            placed: That it says where they lie among `neighbours`, if there are any.
        """
        known = self.neighbours if placed else None
        manifest = self.bundle.manifest
        first, *further = map(InputFacts.of, self.bundle.classifier.inputs)
        backbones = [network.backbone for network in manifest.networks]
        return OnnxFacts(
            format=4 if whole else 3 if manifest.doubt else 2 if further else 1,
            thawline=__version__,
            class_names=list(self.bundle.class_names),
            strategy=manifest.strategy,
            backbone=self.bundle.classifier.name,
            license=" + ".join(dict.fromkeys(backbone.license for backbone in backbones)),
            input=first,
            further_inputs=further or None,
            doubt=manifest.doubt,
            takes="pictures" if whole else None,
            doubt_codes=list(DOUBT_CODES) if whole else None,
            place=None if known is None else PlaceFacts(size=known.places.shape[1], neighbours_sha256=known.sha256),
            manifest_seal=manifest.seal,
        )

    @cached_property
    def yardstick(self) -> Yardstick:
        """Pictures to choose by and to measure with, where a form gives other numbers.

        Raises:
            UsageError: None were found; says what to pass.
            BundleError: A file of the run is damaged.
        """
        return yardstick_of(self.bundle, self.run, photos=self.photos, progress=self.progress)

    @cached_property
    def golden(self) -> tuple[GoldenPicture, ...]:
        """The folder's golden pictures, inside, with the answers that the model gives in float32 on this machine.

        Raises:
            BundleError: They are not those of training, within what the folder allows.
        """
        classifier, allowed = self.bundle.classifier, golden_tolerance(self.bundle.manifest)
        pictures = []
        for known in self.bundle.manifest.golden:
            data = (self.bundle.directory / known.file).read_bytes()
            try:
                answer = self._answer(classifier.prepare(data)[0])
            except DataError as error:
                raise BundleError(f"export {self.bundle.directory}: {known.file} gets no answer: {error}.") from None
            shares = answer.probabilities[0]
            drift = float(np.abs(shares - np.array(known.probabilities)).max())
            if not drift <= allowed:
                raise BundleError(
                    f"export {self.bundle.directory}: {known.file} gets probabilities in float32 that differ by "
                    f"{drift:.3f} from those of training ({allowed} is allowed). Nothing was written: predict with the "
                    "folder, or fit again with --dtype float32."
                )
            pictures.append(
                GoldenPicture(
                    file=known.file,
                    probabilities=[float(share) for share in shares],
                    outside=answer.outside_of(0),
                    data=b64encode(data).decode(),
                )
            )
        return tuple(pictures)

    def golden_set(self, kind: str, *, allowed: float) -> GoldenSet:
        """Return what an export of some kind proves itself by: the folder's golden pictures, all of the same class.

        Args:
            kind: By its name in `KINDS`.
            allowed: How far a probability may be off.
        """
        seal, pictures = self.bundle.manifest.seal, list(self.golden)
        return GoldenSet(kind=kind, manifest_seal=seal, allowed=allowed, least_agreement=1.0, pictures=pictures)

    def _answer(self, prepared: Prepared) -> Answer:
        """Return the model's answer to a picture: the folder's own, or torch's in float32 where that is rougher."""
        if self.bundle.manifest.compute == "float32":
            return self.bundle.classifier.answers_to([prepared])
        with torch.inference_mode():
            found = self.graph(*(torch.from_numpy(pixels[None].copy()) for pixels in prepared))
        shares, outside = found if isinstance(found, tuple) else (found, None)
        return Answer(shares.numpy(), None if outside is None else outside.numpy())
