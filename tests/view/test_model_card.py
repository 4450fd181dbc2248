"""The model card has the report's numbers, a block of facts that YAML reads, and no markup from strangers."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import report_cases as cases

from thawline.view.model_card import model_card


def facts_of(card):
    """Return the first level of the block of facts; each value is JSON."""
    block = card.split("---\n")[1]
    plain = re.findall(r"^(\w+): (.+)$", block, re.MULTILINE)
    return {name: json.loads(value) if value[0] in '["' else value for name, value in plain}


def test_the_block_of_facts_has_what_a_hub_reads():
    data = replace(cases.make_choice(), provenance={"backbone": {"name": "net", "licence": "apache-2.0"}})
    card = model_card(data)
    facts = facts_of(card)
    assert card.startswith("---\nlicense: ")
    assert (facts["license"], facts["library_name"]) == ("apache-2.0", "thawline")
    assert (facts["pipeline_tag"], facts["base_model_name"]) == ("image-classification", "net")
    assert facts["metrics"] == [kind.name for kind, _ in data.evaluation.listed_scores]
    for name, score in data.evaluation.scores.items():
        assert f"    - type: {name}\n      value: {score.value:.6f}\n" in card
    assert facts_of(model_card(replace(data, provenance={"backbone": {"licence": "Ask: <me>"}})))["license"] == "other"


def test_every_score_stands_in_the_table_with_its_interval():
    data = cases.make_choice()
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \| ([\d,]+) \|$", model_card(data), re.MULTILINE)
    titles = {kind.title: f"{100 * score.value:.1f}\N{NO-BREAK SPACE}%" for kind, score in data.evaluation.listed_scores
              if kind.is_share}  # fmt: skip
    assert titles.items() <= {title: value for title, value, *_ in rows}.items()


def test_nothing_that_strangers_wrote_is_markup():
    names = ("<script>alert(1)</script>", "a|b", "[x](http://x)", "\udcff\n# big", "- -", "`c`")
    data = replace(cases.make_choice(names),
                   title="---\nlicense: mit")  # fmt: skip
    card = model_card(data)
    assert "<script>" not in card
    assert "\n# big" not in card
    assert r"a\|b" in card
    assert r"\[x\]\(http://x\)" in card
    assert card.count("\n---\n") == 1
    card.encode()


def test_a_run_without_a_test_says_so():
    assert "It was not tested." in model_card(replace(cases.make_choice(), evaluation=None))


def test_rows_have_a_card_of_the_model_that_is_kept():
    data = cases.make_rows()
    assert data.comparison.delivered in model_card(data).replace("\\", "")


def test_classes_without_a_test_picture_are_a_limit():
    data = cases.make_choice()
    rows = (replace(data.evaluation.per_class[0], support=0), *data.evaluation.per_class[1:])
    name = data.evaluation.per_class[0].name
    card = model_card(replace(data, evaluation=replace(data.evaluation, per_class=rows))).replace("\\", "")
    assert f"Not tested, for want of a test picture: {name}." in card
