"""The page as text: whole in one file, under a policy that names its contents, in words for everybody."""

from __future__ import annotations

import json
import re

import pytest

from thawline.use.doubt import Doubt
from thawline.use.page.answer_page import engine_script, page_html, page_policy, plain_words, script_value

ENGINE = "const engine = {};"


def words(**doubt):
    facts = {"read_from": None, "false_alarms": 0.05, "num_groups": 9, "error_rate": None, "min_probability": None}
    own = Doubt(**(facts | doubt)) if doubt else None
    return plain_words(["cat", "dog"], strategy="fused 2.1–head", backbone="tiny", doubt=own)


def test_all_of_it_stands_in_one_file():
    page = page_html(ENGINE, title="What is it?")
    assert page.count("<style>") == 1
    assert re.findall(r"<script>\n?(.{10})", page) == [ENGINE[:10], '"use stric']
    assert not re.findall(
        r"""(?:src|href)=["'](?!data:)|https?://|innerHTML|insertAdjacentHTML|document\.write""", page
    )
    assert not re.search(r"<[^>]* (?:style|on\w+)=", page), "an attribute that the policy forbids"
    assert not re.search(r"%(TITLE|STYLE|ENGINE|PAGE)%", page)


def test_the_policy_names_its_style_and_both_scripts():
    policy = page_policy(page_html(ENGINE, title="a"))
    assert len(re.findall("sha256-", policy)) == 3


def test_a_title_is_text_and_a_script_may_hold_what_looks_like_a_place():
    page = page_html('const engine = {name: "%PAGE%"};', title="<b>&</b> %STYLE%")
    assert page.count("&lt;b&gt;&amp;&lt;/b&gt; %STYLE%") == 2
    assert '{name: "%PAGE%"}' in page


@pytest.mark.parametrize("text", ["'</script>'", "'</SCRIPT >'", "'<!--'"])
def test_a_script_that_would_end_early_is_refused(text):
    with pytest.raises(ValueError, match=r"^page: the engine's script must hold neither </script nor <!--\. Write"):
        page_html(f"const engine = {text};", title="a")


def test_the_engine_of_the_service_defines_one_name_only():
    text = engine_script("engine_service.js")
    assert re.findall(r"^(?:const|let|var|function|class) (\w+)", text, re.MULTILINE) == ["engine"]


def test_words_tell_what_the_model_does_and_what_its_doubts_mean():
    silent = words()
    assert "2 classes" in silent["model"]
    assert "whatever it shows" in silent["model"]
    assert sorted(silent) == ["model", "sure", "technical"]
    strange = words(read_from="features")
    assert "about 5 % of the pictures that do belong" in strange["none_of_these"]
    assert "not_sure" not in strange
    unsure = words(error_rate=0.01, min_probability=0.8746)
    assert "No class reaches 87.5 %" in unsure["not_sure"]
    assert "at most 1 % of them is wrong" in unsure["not_sure"]
    assert "none_of_these" not in unsure
    both = words(read_from="answers", min_probability=0.5, error_rate=0.1)
    assert {"none_of_these", "not_sure"} <= set(both)
    for one in (silent, strange, unsure, both):
        told = " ".join(text for name, text in one.items() if name != "technical")
        assert "fused" not in told
        assert "fused 2.1–head" in one["technical"]


def test_values_of_a_script_end_no_element():
    text = script_value({"</script><!--": ['"', "\u2028", "\\"], "__proto__": 1})
    assert "<" not in text
    assert text.isascii()
    assert json.loads(json.loads(text.removeprefix("JSON.parse(").removesuffix(")"))) == {
        "</script><!--": ['"', "\u2028", "\\"], "__proto__": 1,
    }  # fmt: skip
