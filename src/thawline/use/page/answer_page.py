"""A script that answers -> the page that people drop pictures on, as one file of HTML.

One idea: the page knows no model. It talks to an object `engine` that a script before it defines: one that asks the
service (`engine_service.js`), or one that computes in the browser. So both look and behave the same.

The script defines nothing else at its top but

    const engine = {
      name,                                // "service" or "browser"
      async ready(onProgress) {},          // -> facts; onProgress(share in 0…1, words?) while something loads
      async ask(files, onRow, more) {},    // onRow(index, row), in whatever order; more = {signal, onWait(seconds)}
      async looks(file) {},                // where it can: -> {rows, box, label, probability?, least?}, see below
      async neighbours(file) {},           // where it can: -> [{label, similarity, picture}], most alike first
      async notes() {},                    // where they change: -> {keeps_unsure, drift}, asked after answers
    };

- facts: `{class_names, words, limits?, keeps_unsure?, drift?, needs_token?, looks?, neighbours?}`. `words` are those
  of `plain_words`, or one text. `limits` are `{max_pictures, max_request_bytes, max_megapixels}`. `keeps_unsure` is
  true or a sentence, `drift` a sentence. `needs_token` is `"missing"` or `"wrong"`: then the page asks for it, sets
  `engine.token`, and calls `ready` again. `looks` and `neighbours` are false where the model cannot although the
  engine could.
- row: a row of `thawline predict --json`.
- rows of `looks`: heat from top to bottom, 0 to 255, of the square that the model sees; `box` its left, top, right and
  bottom in shares of the picture; `label` the class that it is for; where they are known `probability` of it, and
  `least`, what is left of that where one part is covered. `picture` of a neighbour is an address (`blob:` or
  `data:`).
- An error that `ready`, `looks` or `neighbours` throws is shown as its message; so it is written for people.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from thawline.core.version import __version__
from thawline.use.doubt import Doubt

__all__ = ["engine_script", "page_html", "page_policy", "plain_words", "script_value"]

FOLDER = Path(__file__).parent


def page_html(engine_js: str, *, title: str) -> str:
    """Return the page as HTML that loads nothing: its style and its two scripts stand in it.

    The elements `<style>` and `<script>` have no attributes and stand once and twice, so that a policy can name their
    contents by hashes.

    Args:
        engine_js: A script that defines `engine` as the module says.
        title: What the page asks or is called; plain text.

    Raises:
        ValueError: The script would end its element early.
    """
    if re.search(r"</script|<!--", engine_js, re.IGNORECASE):
        raise ValueError(
            "page: the engine's script must hold neither </script nor <!--. Write what it is given by `script_value`."
        )
    parts = {
        "TITLE": escape(title),
        "STYLE": _text("answer_page.css"),
        "ENGINE": engine_js,
        "PAGE": _text("answer_page.js"),
    }
    return re.sub(r"%(TITLE|STYLE|ENGINE|PAGE)%", lambda found: parts[found[1]], _text("answer_page.html"))


def script_value(value: object) -> str:
    """Return plain data as an expression of a script, which any page may hold and which keeps every name as it is.

    Args:
        value: What JSON can hold.

    >>> script_value([1, 2])
    'JSON.parse("[1, 2]")'
    """
    return f"JSON.parse({json.dumps(json.dumps(value))})".replace("<", "\\u003c")


def engine_script(name: str) -> str:
    """Return the text of a script of this folder.

    Args:
        name: Of the file, such as `engine_service.js`.
    """
    return _text(name)


def page_policy(page: str) -> str:
    """Return the Content-Security-Policy of a page: its own scripts and style, by their contents, and nothing else.

    Args:
        page: From `page_html`.
    """

    def allowed(tag: str) -> str:
        contents = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in contents]
        return " ".join(f"'sha256-{value}'" for value in hashes) or "'none'"

    return (
        f"default-src 'none'; script-src {allowed('script')}; style-src {allowed('style')}; img-src blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def plain_words(class_names: Sequence[str], *, strategy: str, backbone: str, doubt: Doubt | None) -> dict[str, str]:
    """Return what to say of a model to people who did not train it, as plain text.

    `model`: what it does; `sure`: what its percentages are; `none_of_these` and `not_sure`: what these mean, where the
    model says them; `technical`: its names, for experts.

    Args:
        class_names: K names.
        strategy: Name of the strategy.
        backbone: Name of the network.
        doubt: When the model abstains.

    >>> plain_words(["cat", "dog"], strategy="whole · linear", backbone="tiny", doubt=None)["model"]
    'This model tells 2 classes of pictures apart. It learned them from labelled examples and answers every picture \
with one of them, whatever it shows.'
    """
    strange = doubt is not None and doubt.read_from is not None
    unsure = doubt is not None and doubt.min_probability is not None
    silent = {
        (False, False): "and answers every picture with one of them, whatever it shows.",
        (True, False): "and says so where a picture looks like none of them.",
        (False, True): "and says so where it is not sure enough.",
        (True, True): "and says so where a picture looks like none of them, or where it is not sure enough.",
    }[strange, unsure]
    words = {
        "model": f"This model tells {len(class_names):,} classes of pictures apart. It learned them from labelled "
        f"examples {silent}",
        "sure": "The percentages say how sure the model is; over all classes they add up to 100 %. They were set by "
        "pictures that it had not learned from: of such answers given at 90 %, about 9 in 10 should be right.",
    }
    if doubt is not None and strange:
        words["none_of_these"] = (
            "The picture looks unlike everything that the model learned. It may be called so by mistake: about "
            f"{_percent(doubt.false_alarms)} of the pictures that do belong to a class are. The class that it looks "
            "most like stands below, apart, and is no answer."
        )
    if doubt is not None and doubt.min_probability is not None:
        promise = "" if doubt.error_rate is None else f", so that at most {_percent(doubt.error_rate)} of them is wrong"
        words["not_sure"] = (
            f"No class reaches {_percent(doubt.min_probability)}. The model answers only from there on{promise}. The "
            "class that it looks most like stands below, apart: somebody should look at the picture."
        )
    words["technical"] = f"{strategy}; network {backbone}; Thawline {__version__}"
    return words


def _percent(share: float) -> str:
    """Return a share as people read it: 87.5 %, or 1 % where no digit is needed."""
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def _text(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")
