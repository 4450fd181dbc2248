"""ReportData -> the model card: what the model is for, how good it is, what it was made from, in Markdown.

One idea: it says what the report says, from the same numbers, in the form that Hugging Face and people who were not
there expect. Names come from strangers: nothing in them is Markdown or YAML here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from thawline.core.counting import counted
from thawline.core.scores import Score, ScoreKind
from thawline.use.evaluation import ALL_LEAKED, Evaluation
from thawline.view.outcome import refit_text, source_text
from thawline.view.report_data import ReportData
from thawline.view.words import moment, printable, score_span, score_text, training

__all__ = ["model_card"]

SHOWN_CLASSES = 100
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~$&-])")


def model_card(data: ReportData) -> str:
    """Return the model card of a run: Hugging Face's block of facts, and Markdown for people.

    Args:
        data: Of a run that kept a model and tested it.
    """
    lines = [*_facts(data), "", f"# {_plain(data.title)}", "", *_what(data), ""]
    for heading, paragraphs in (
        ("Intended use", _use(data)),
        ("How good it is", _scores(data)),
        ("Limits", _limits(data)),
        ("Classes and data", _data(data)),
        ("How it was made", _making(data)),
        ("How to use it", _commands()),
    ):
        lines += [f"## {heading}", "", *paragraphs, ""]
    text = "\n".join(lines).rstrip() + "\n"
    return text.encode("utf-8", "replace").decode("utf-8")


def _plain(text: object) -> str:
    """Return text that Markdown and HTML show as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", printable(str(text)))


def _facts(data: ReportData) -> Iterator[str]:
    """Yield the block of facts; values are JSON, which is YAML, so nothing in a name is read as anything else."""
    backbone = _backbone(data)
    yield "---"
    yield f"license: {_json(_licence(backbone))}"
    yield "library_name: thawline"
    yield "pipeline_tag: image-classification"
    yield f"tags: {_json(['image-classification', 'transfer-learning'])}"
    if backbone.get("name"):
        yield f"base_model_name: {_json(backbone['name'])}"
    if data.evaluation is not None:
        listed = data.evaluation.listed_scores
        yield f"metrics: {_json([kind.name for kind, _ in listed])}"
        yield "model-index:"
        yield f"- name: {_json(data.title)}"
        yield "  results:"
        yield "  - task:"
        yield "      type: image-classification"
        yield "    dataset:"
        yield f"      name: {_json(data.title)}"
        yield "      type: imagefolder"
        yield "      split: test"
        yield "    metrics:"
        for kind, score in listed:
            yield f"    - type: {kind.name}"
            yield f"      value: {score.value:.6f}"
    yield "---"


def _backbone(data: ReportData) -> Mapping[str, Any]:
    """Return what is known of the (first) backbone."""
    found = data.provenance.get("backbone", {})
    return found if isinstance(found, Mapping) else {"name": found}


def _json(value: object) -> str:
    return json.dumps(value)  # ASCII: names may be no text at all


def _licence(backbone: Mapping[str, Any]) -> str:
    """Return the licence of the weights as Hugging Face calls it, or `other` where it is not known."""
    found = str(backbone.get("licence") or "").strip().lower()
    return found if re.fullmatch(r"[a-z0-9][a-z0-9.-]*", found) else "other"


def _what(data: ReportData) -> Iterator[str]:
    """Yield what the model is, in a paragraph."""
    backbone, board = _backbone(data), data.leaderboard
    delivered = data.comparison.delivered if data.comparison else board.trials[board.winner].name
    named = f" on features of {_plain(backbone['name'])}" if backbone.get("name") else ""
    count = f"{counted(len(data.class_names), 'classes')}"
    yield f"An image classifier of {count}, made by Thawline{named}: {_plain(delivered)}."


def _use(data: ReportData) -> Iterator[str]:
    yield (
        "It takes a picture of the kind that it learnt from and says which of its "
        f"{counted(len(data.class_names), 'classes')} it shows, with a probability of each."
    )
    yield ""
    yield "It was not made to decide about people, and not tested for it."


def _limits(data: ReportData) -> Iterator[str]:
    """Yield what the scores do not cover."""
    yield "- It names one of its classes for every picture, also for one that shows none of them."
    yield "- The scores are of pictures like those tested; another camera, place or season may change them."
    if (test := data.evaluation) is not None:
        unseen = [row.name for row in test.per_class if not row.support]
        if unseen:
            more = f" and {len(unseen) - 10:,} more" if len(unseen) > 10 else ""
            yield f"- Not tested, for want of a test picture: {', '.join(map(_plain, unseen[:10]))}{more}."
        if test.is_all_leaked:
            yield f"- {ALL_LEAKED.format(test.leaked_by)}"
    for warning in data.warnings:
        yield f"- {_plain(warning)}"


def _scores(data: ReportData) -> Iterator[str]:
    """Yield the table of scores, and that of the classes."""
    test = data.evaluation
    if test is None:
        yield "It was not tested."
        return
    if data.expectation is not None and data.expectation.is_pooled:
        found = data.expectation
        kind = next(kind for kind, _ in test.listed_scores if kind.name == found.metric)
        expected = f"{score_text(kind, found.score.value)} ({score_span(kind, found.score)})"
        yield f"To expect on further pictures: {kind.title} {expected}, {_plain(source_text(data))}."
        yield ""
    yield f"Measured on {counted(test.num_images, 'pictures')} that it had not seen, once, after every choice:"
    yield ""
    yield "| score | value | 95 % interval | pictures |"
    yield "|---|---|---|---|"
    for kind, score in test.listed_scores:
        yield _score_row(kind, score)
    if note := refit_text(data):
        yield ""
        yield _plain(note)
    yield ""
    yield from _class_table(test)


def _score_row(kind: ScoreKind, score: Score) -> str:
    return f"| {kind.title} | {score_text(kind, score.value)} | {score_span(kind, score)} | {score.n:,} |"


def _class_table(test: Evaluation) -> Iterator[str]:
    """Yield a row for each of the first classes."""
    yield "| class | test pictures | precision | recall | F1 |"
    yield "|---|---|---|---|---|"
    for row in test.per_class[:SHOWN_CLASSES]:
        cells = [f"{100 * value:.1f} %" for value in (row.precision, row.recall, row.f1)] if row.support else ["–"] * 3
        yield f"| {_plain(row.name)} | {row.support:,} | {' | '.join(cells)} |"
    if len(test.per_class) > SHOWN_CLASSES:
        yield ""
        yield f"And {len(test.per_class) - SHOWN_CLASSES:,} more classes; `report.html` has them all."


def _data(data: ReportData) -> Iterator[str]:
    """Yield how many pictures of each class there were in each part."""
    roles = [role for role in ("train", "validation", "test") if sum(data.counts.get(role, ()))]
    if not roles:
        yield f"{counted(len(data.class_names), 'classes')}."
        return
    totals = ", ".join(f"{role} {sum(data.counts[role]):,}" for role in roles)
    yield f"{counted(len(data.class_names), 'classes')}; pictures: {totals}."
    yield ""
    yield f"| class | {' | '.join(roles)} |"
    yield "|---" * (len(roles) + 1) + "|"
    for k, name in enumerate(data.class_names[:SHOWN_CLASSES]):
        yield f"| {_plain(name)} | {' | '.join(f'{data.counts[role][k]:,}' for role in roles)} |"


def _making(data: ReportData) -> Iterator[str]:
    """Yield what was trained on what, by which command and version."""
    backbone, board = _backbone(data), data.leaderboard
    winner = board.trials[board.winner]
    how, what = training(winner.strategy)
    facts: Sequence[tuple[str, object]] = (
        ("backbone", backbone.get("name")),
        ("its weights", backbone.get("weights")),
        ("their licence", backbone.get("licence")),
        ("their SHA-256", backbone.get("sha256")),
        (how, what),
        (
            "chosen by",
            f"{board.metric.replace('_', ' ')}, {board.rule}, among {counted(len(board.trials), 'strategies')}",
        ),
        ("made", moment(data.created)),
        ("by", f"thawline {data.provenance.get('versions', {}).get('thawline', '')}".strip()),
        ("command", data.command),
    )
    for name, fact in facts:
        if fact:
            yield f"- {name}: {_plain(fact)}"


def _commands() -> Iterator[str]:
    yield "In the folder of the run:"
    yield ""
    yield "```console"
    yield "$ thawline predict model pictures/"
    yield "$ thawline export model"
    yield "```"
    yield ""
    yield "```python"
    yield "import thawline"
    yield ""
    yield 'for row in thawline.predict("model", "pictures/"):'
    yield "    print(row.path, row.label, row.probability)"
    yield "```"
