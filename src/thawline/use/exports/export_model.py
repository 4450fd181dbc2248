"""A run, a model folder or a loaded model -> its other forms, in their places: the verb.

One idea: what can be refused is refused before anything heavy is loaded, and several forms share what they are made of.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from thawline.core.errors import UsageError
from thawline.core.progress import Progress
from thawline.use.exports.kinds import WITH_NEIGHBOURS, kind_named
from thawline.use.image_classifier import ImageClassifier
from thawline.use.model_place import MODEL, ModelPlace, find_model

if TYPE_CHECKING:  # they need torch
    from thawline.use.bundle import Bundle
    from thawline.use.exports.write_export import Exported

__all__ = ["export", "export_all"]


def export(
    model: ImageClassifier | Bundle | Path | str,
    to: str = "onnx",
    *,
    out: Path | str | None = None,
    photos: Path | str | None = None,
    ort_web: Path | None = None,
    with_neighbours: bool = False,
    progress: Progress | None = None,
) -> Exported:
    """Write a model in another form, which answers as its folder does, and return what is known of it.

    Args:
        model: A run's folder, a model folder, or one that is loaded.
        to: The form, by its name in `thawline.use.exports.kinds.KINDS`.
        out: The file or folder; None takes the form's usual name in the folder `exports` of the run, or next to the
            model folder.
        photos: Of a form that gives other numbers (`onnx-int8`), which is chosen and measured on pictures: where those
            of the run lie now, if they moved; or labelled ones that the model has not learnt from. With
            `with_neighbours`, where those lie that it has learnt from.
        ort_web: Of `web`, the tarball of onnxruntime-web as npm packs it; None fetches it once.
        with_neighbours: Of `onnx` and `onnx-tensor`: put up to 5,000 training pictures next to the file, as thumbnails
            with their labels, so that a service shows those that are most like a picture. They are pictures of
            whoever trained the model: whoever gets the file sees them.
        progress: Where to report to.

    Raises:
        BundleError: The model has no such form, or the form answers otherwise; nothing is written.
        UsageError: There is no such form, or what it needs is not installed.
    """
    (done,) = export_all(
        model, [to], out=out, photos=photos, ort_web=ort_web, with_neighbours=with_neighbours, progress=progress
    )
    return done


def export_all(
    model: ImageClassifier | Bundle | Path | str,
    to: Sequence[str],
    *,
    out: Path | str | None = None,
    photos: Path | str | None = None,
    ort_web: Path | None = None,
    with_neighbours: bool = False,
    progress: Progress | None = None,
) -> tuple[Exported, ...]:
    """Write a model in several forms, in order; as `export` otherwise, which does it for one.

    Args:
        model: As in `export`.
        to: Names of forms.
        out: Of one form its file or folder, of several the folder that they are written into.
        photos: As in `export`.
        ort_web: As in `export`.
        with_neighbours: As in `export`.
        progress: Where to report to.

    Raises:
        BundleError: As `export`; the forms before it are written.
        UsageError: As `export`; nothing is written.
    """
    kinds = [kind_named(name) for name in dict.fromkeys(to)]
    for kind in kinds:
        kind.require_installed()
        if with_neighbours and kind.name not in WITH_NEIGHBOURS:
            raise UsageError(
                f"export --with-neighbours: --to {kind.name} has no room for training pictures. It goes with "
                f"{' and '.join(WITH_NEIGHBOURS)}: export the others without it."
            )
    if isinstance(model, ImageClassifier):
        model = model.bundle
    place = find_model(model if isinstance(model, str | Path) else model.directory)
    if place.folder is None:
        raise UsageError(f"export {place.named}: it is exported already. Name the run or its model folder.")
    from thawline.use.bundle import load_bundle
    from thawline.use.exports.export_source import ExportSource
    from thawline.use.exports.write_export import write_export

    bundle = load_bundle(place.folder, device="cpu") if isinstance(model, str | Path) else model
    source = ExportSource(
        bundle,
        run=_run_of(place),
        photos=photos,
        ort_web=ort_web,
        with_neighbours=with_neighbours,
        progress=progress,
    )
    folder = place.exports if out is None else Path(out)
    is_file = out is not None and len(kinds) == 1
    return tuple(write_export(source, kind, place=folder if is_file else folder / kind.place) for kind in kinds)


def _run_of(place: ModelPlace) -> Path | None:
    """Return the run that a model lies in, where it was not named itself."""
    if place.run is not None or place.folder is None:
        return place.run
    around = place.folder.resolve().parent
    return around if place.folder.resolve().name == MODEL and (around / "run.json").is_file() else None
