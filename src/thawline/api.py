"""The verbs that join floors: a source is checked, an order made and carried out, a model scored and exported.

They return plain data and print nothing; pass `progress` to follow them. What needs torch is imported where it is used,
so that serving a model stays light. `__init__.pyi` lists all verbs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from thawline.core.errors import UsageError
from thawline.core.options import CheckOptions, Options
from thawline.core.progress import Progress
from thawline.core.store import cache_root
from thawline.data.check import check
from thawline.data.sources.places import Place

if TYPE_CHECKING:
    from thawline.features.extract import Extraction
    from thawline.train.hyperparameters import TrainOptions
    from thawline.use.evaluation import Evaluation
    from thawline.use.image_classifier import Model
    from thawline.work.order import Protocol
    from thawline.work.recipe import Recipe
    from thawline.work.run import Run
    from thawline.work.session import Compared

Photos = str | Path | Place


def extract(photos: Photos, options: Options | None = None, *, progress: Progress | None = None) -> Extraction:
    """Return the bank of pooled features at every depth, filled with all pictures of a folder."""
    from thawline.core.runtime import choose_runtime
    from thawline.features.network import rendering_as
    from thawline.work.cluster.extraction import extract_by
    from thawline.work.networks import load_networks

    options = options or Options()
    network, *further = load_networks(options)
    if further:
        raise UsageError("extract: several networks are named. Name one --backbone at a time.")
    dataset, _ = check(photos, options, progress=progress)
    (done,) = extract_by(
        options,
        dataset,
        network=rendering_as(network, dataset.rendering),
        runtime=choose_runtime(options.device, options.dtype, engine=options.engine),
        cache=cache_root(options.cache_dir),
        progress=progress,
    )
    return done


def compare(
    photos: Photos,
    options: Options | None = None,
    *,
    augment: str = "none",
    views: int | None = None,
    progress: Progress | None = None,
) -> Compared:
    """Return the leaderboard of every frozen strategy on a folder of pictures; all of them serve the choosing.

    Args:
        photos: As in `check`.
        options: Of the run.
        augment: Policy of altered views that the best heads learn from too; `none` for none.
        views: Views of a picture, the plain one included; None takes what suits the policy.
        progress: Where to report to.
    """
    from thawline.train.hyperparameters import TrainOptions
    from thawline.work.order import Order
    from thawline.work.session import compare_frozen, open_session

    training = TrainOptions(augment=augment, views=views)
    order = Order(Place.of(photos), options=options or Options(), training=training)
    return compare_frozen(open_session(order, Path(), progress=progress), hold_out=False)


def fit(
    photos: Photos,
    out: Path | str,
    *,
    options: Options | None = None,
    training: TrainOptions | None = None,
    budget_s: float | None = None,
    plans: Sequence[str] = (),
    goal: float | None = None,
    tensorboard: Path | None = None,
    replace: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Do the main job: check, split, extract, compare, train the winner, evaluate it once, report, write the model.

    With a budget the most promising networks are trained too, as long as it lasts. `thawline.work.run.run` says what is
    written.

    Args:
        photos: As in `check`.
        out: Folder of the run; made if need be. An older run of this kind on these pictures is replaced.
        options: Of the run.
        training: How networks are trained; its `augment`, where given, also makes views that frozen heads learn from.
        budget_s: Seconds for the whole run, to be spent on training networks; None trains heads only.
        plans: Candidates for the budget; by default those worth trying on the backbone.
        goal: Accuracy to exceed, in [0, 1]; the report says whether it was.
        tensorboard: Folder for TensorBoard's log of the training runs.
        replace: As in `thawline.work.run.run`.
        progress: Where to report to.

    Raises:
        ThawlineError: Anything that the person can fix; what was extracted is kept.
    """
    from thawline.work.recipe import order_of
    from thawline.work.run import run

    if budget_s is None and plans:
        raise UsageError("fit: plans without a budget. Give one (--budget 15min), or name them to `thawline tune`.")
    order = order_of(photos, plans, options=options, training=training, budget_s=budget_s, goal=goal)
    return run(order, Path(out), replace=replace, progress=progress, tensorboard=tensorboard)


def tune(
    photos: Photos,
    out: Path | str,
    *,
    plans: Sequence[str],
    options: Options | None = None,
    training: TrainOptions | None = None,
    goal: float | None = None,
    tensorboard: Path | None = None,
    replace: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Train the networks that `plans` name, compare them with every frozen strategy, and deliver the best of them.

    Writes what `fit` writes. A run that was cut off goes on with `resume`.

    Args:
        photos: As in `check`.
        out: Folder of the run.
        plans: What to train, in words: `last 20 %`, `head, then all`, `simple_cnn from nothing`.
        options: As in `fit`.
        training: As in `fit`.
        goal: As in `fit`.
        tensorboard: As in `fit`.
        replace: As in `thawline.work.run.run`.
        progress: Where to report to.

    Raises:
        ThawlineError: Anything that the person can fix; the last good checkpoint is kept.
    """
    from thawline.work.recipe import order_of
    from thawline.work.run import run

    if not plans:
        raise UsageError('tune: no plan is named. Name one or more: --plan "last 20 %" --plan "head, then all".')
    order = order_of(photos, plans, options=options, training=training, goal=goal)
    return run(order, Path(out), replace=replace, progress=progress, tensorboard=tensorboard)


def forecast(
    photos: Photos,
    options: Options | None = None,
    *,
    training: TrainOptions | None = None,
    plans: Sequence[str] = (),
    progress: Progress | None = None,
) -> tuple[Mapping[str, Any], ...]:
    """Return what every strategy will take on this machine: rows of `strategy, seconds, memory_bytes, disk_bytes`.

    A few batches are measured; nothing is trained and nothing is written.

    Args:
        photos: As in `check`.
        options: As in `fit`.
        training: As in `fit`.
        plans: As in `fit`.
        progress: Where to report to.
    """
    from thawline.work.recipe import order_of
    from thawline.work.run import forecast as forecast_order

    return forecast_order(order_of(photos, plans, options=options, training=training), progress=progress)


def run_recipe(
    recipe: Recipe | str,
    photos: Photos | None = None,
    *,
    out: Path | str | None = None,
    changes: Mapping[str, Any] | None = None,
    protocol: Protocol | None = None,
    budget_s: float | None = None,
    goal: float | None = None,
    outside: Path | str | None = None,
    tensorboard: Path | None = None,
    replace: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Run a recipe's comparison again: every row trained, scored with an interval and reported; writes a run's folder.

    Args:
        recipe: Its name, the path of a TOML file, or the recipe itself.
        photos: As in `check`; None: what the recipe names.
        out: Folder of the run; None: `runs/` and the recipe's name.
        changes: Options of the run or of training runs that go before the recipe's and its rows' own, by name:
            `{"backbone": "resnet18", "epochs": 1}`.
        protocol: `test` holds a test part out, `folds` every picture once; None: the recipe's.
        budget_s: Seconds for the whole run: rows that do not fit it are shortened or left out; None: all run whole.
        goal: Instead of the recipe's, as in `fit`.
        outside: Pictures from outside the set, to try the delivered model on.
        tensorboard: As in `fit`.
        replace: As in `thawline.work.run.run`.
        progress: Where to report to.

    Raises:
        ThawlineError: Anything that the person can fix; what was extracted and trained is kept.
    """
    from thawline.work.recipe import load_recipe
    from thawline.work.run import run

    checked = load_recipe(recipe) if isinstance(recipe, str) else recipe
    options, training = checked.parted(changes or {})
    order = checked.order(
        photos,
        protocol=protocol or checked.protocol or "test",
        options=options,
        training=training,
        budget_s=budget_s,
        goal=goal,
        outside=None if outside is None else Path(outside),
    )
    folder = Path(out or Path("runs") / checked.name)
    return run(order, folder, replace=replace, progress=progress, tensorboard=tensorboard)


def evaluate(
    model: Model,
    photos: Photos,
    *,
    options: CheckOptions | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> Evaluation:
    """Return the scores of a model on labelled pictures: their test part where they have one, else all of them.

    Pictures that the model was trained on, or whose copies it was, count as leaked.

    Args:
        model: As in `load`, but for an exported file alone, which does not know what it learnt from.
        photos: As in `check`.
        options: As in `check`; groups come from where the model's run took them, unless they say otherwise.
        device: Where a folder's network runs; a loaded model has its own.
        progress: Where to report to.

    Raises:
        DataError: A class that the model does not know.
    """
    from thawline.use.evaluate_model import check_for, evaluate_model
    from thawline.use.image_classifier import bundle_of

    bundle = bundle_of(model, device=device)
    return evaluate_model(bundle, check_for(bundle, photos, options=options, progress=progress), progress=progress)
