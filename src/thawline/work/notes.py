"""A comparison and what came of its rows -> sentences on what was decided for the person.

One idea: a note says only what was not asked for by name, or what would be misread without it.
"""

from __future__ import annotations

import numpy as np

from thawline.core.errors import first_few
from thawline.core.types import InputSpec
from thawline.data.findings import untaught_text
from thawline.features.joined_bank import banks_in
from thawline.work.order import Expected
from thawline.work.race import race_words
from thawline.work.refit import draws_test
from thawline.work.rows import Outcome
from thawline.work.session import Compared

__all__ = ["notes", "num_refitted", "stated", "warnings"]

FITS = {
    "crop": "the shorter side fills the square; the ends of the longer side are cut off",
    "letterbox": "the whole picture is kept and padded to a square",
    "stretch": "the whole picture is kept and squeezed into a square",
}


def warnings(compared: Compared) -> tuple[str, ...]:
    """Return sentences without which scores would be misread."""
    untaught = compared.session.report.untaught
    found = (compared.split.warning, untaught_text(untaught) if untaught else "")
    return tuple(text for text in found if text)


def notes(compared: Compared, outcome: Outcome) -> list[str]:
    """Return sentences on what was decided for the person, and what a reader should know."""
    order, split, board = compared.session.order, compared.split, outcome.leaderboard
    has_own_test = any(sample.split == "test" for sample in compared.dataset.samples)
    if outcome.rows:
        return _row_notes(compared, outcome, has_own_test=has_own_test)
    num_test, whole = f"{len(split.test):,}", compared.dataset.never_parted
    but = ", but for those that were dealt out one by one" if split.warning else ""
    said = [
        f"Test: your held-out folder, {num_test} pictures."
        if has_own_test
        else f"Test: there was no held-out folder, so {num_test} pictures were held out, {whole} kept together{but}.",
        f"Choice: {compared.ranked.rule}; scores are {board.metric.replace('_', ' ')}.",
        _input_note(compared.session.context.network.backbone.input),
    ]
    if compared.sample is not None:
        said.append(
            "Memory does not hold the features of all pictures, so strategies were ranked on a sample; a head on "
            "the frozen network then learns from all. Forecast and intervals are of heads that learn from the sample."
        )
    runtime = compared.session.context.runtime
    if runtime.dtype != "float32":
        said.append(f"Strategies were compared by features in {runtime.dtype}; the model answers in float32.")
    others = sorted({bank.spec.engine for bank in banks_in(compared.bank)} - {"eager"})
    if others:
        said.append(f"Features were computed by {' and '.join(others)}; the model, and its test, by PyTorch itself.")
    adjusts = compared.comparison.frozen.rows.adjusts
    if adjusts:
        part = "the logarithm" if adjusts == 1 else "half the logarithm"
        said.append(f"Classes differ in size: {part} of each one's share is taken off its logit in linear heads.")
    elif compared.comparison.balanced:
        said.append("Classes were weighted equally in training, since they differ in size.")
    if compared.raced:
        said.append(race_words(compared.raced))
    if order.options.refit == "auto" and draws_test(compared) and not num_refitted(compared, outcome):
        said.append(
            "The delivered model is the measured one: a trained network learns from the test pictures too with "
            "`--refit all` alone, in a second training run."
        )
    return said


def _input_note(spec: InputSpec) -> str:
    """Return the sentence on how a picture becomes the square."""
    if spec.fit == "crop" and spec.crop_share < 1:
        return (
            f"Input: `--fit crop --crop-share {spec.crop_share:g}`: the square shows the middle of the picture, "
            f"{100 * spec.crop_share:.3g} % of its shorter side."
        )
    return f"Input: `--fit {spec.fit}`: {FITS[spec.fit]}."


def _row_notes(compared: Compared, outcome: Outcome, *, has_own_test: bool) -> list[str]:
    """Return sentences on how rows that were answered one by one are scored."""
    order, split, by_folds = compared.session.order, compared.split, compared.session.order.protocol == "folds"
    test = (
        "your own test folder" if has_own_test else f"a stratified fifth, {compared.dataset.never_parted} kept together"
    )
    said = [
        f"Held out: every picture, by {split.rule}; each was answered by models that never saw it."
        if by_folds
        else f"Held out: {test}, {len(split.test):,} pictures; every row answered them once, and nothing was chosen by "
        "them."
    ]
    why = "named in the recipe beforehand"
    if outcome.delivered != order.delivered:
        why = f"the last one that fitted the budget: “{order.delivered}”, named in the recipe, did not"
    said.append(f"The model kept is that of the row “{outcome.delivered}”, {why}.")
    if any(row.plan and order.training_of(row).watches for row in order.rows):
        said.append("Where a training run watched pictures on its way, they are a tenth of its training pictures.")
    if by_folds and split.num_repeats > 1:
        said.append("The scores of a row are those of the first drawing of the folds; tests and ties take them all.")
    if by_folds and any(row.drift for row in order.rows):
        said.append("How far training moved the backbone is measured on held-out pictures: --protocol test.")
    if "epochs" in order.overrides:
        epochs = order.overrides["epochs"]
        words = "one epoch" if epochs == 1 else f"{epochs} epochs"
        said.append(f"A quick look: {words} instead of the recipe's; its stated scores do not apply.")
    elif shortened := [result.name for result in outcome.tried if result.is_shortened]:
        said.append(f"Shortened to fit the budget: {first_few(shortened, 5)}; the recipe's stated scores do not apply.")
    elif stated(compared, outcome) is None:
        said.append("The recipe states no scores for these pictures, labels, backbone and options; none are compared.")
    return said


def stated(compared: Compared, outcome: Outcome) -> Expected | None:
    """Return what the recipe states for these pictures, labels, backbone and protocol, trained whole; else None."""
    session = compared.session
    if any(result.is_shortened for result in outcome.tried):
        return None
    wanted = (compared.dataset.labelled_key, session.context.network.backbone.name, session.order.protocol)
    entries = session.order.expectations.expected
    return next((one for one in entries if (one.pictures, one.backbone, one.protocol) == wanted), None)


def num_refitted(compared: Compared, outcome: Outcome) -> int:
    """Return how many held-out pictures the delivered model learnt from after they were read."""
    return len(np.intersect1d(outcome.final.rows, compared.split.test))
