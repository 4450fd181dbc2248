"""A recipe's report in a real browser: it opens from the disk alone, fits a phone, and no name in it runs."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from thawline.view.recipe_report import render_recipe_report

pytestmark = pytest.mark.browser


def _beside(name):
    spec = importlib.util.spec_from_file_location(f"beside_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


cases = _beside("test_recipe_report")
browser = _beside("test_report_browser").browser

SECTIONS = ("result", "comparison", "time", "curves", "confusion", "forgetting", "pictures", "outside", "check")
NAMES = (cases.HOSTILE, "' onmouseover='window.pwned=2", "a very long name " * 8, "unbroken" * 20, "😀 ok", "bee")


@pytest.fixture(scope="module", params=["many", "two classes"])
def report(request, tmp_path_factory):
    """A report with everything in it, of names that do their worst or of two plain classes."""
    names = NAMES if request.param == "many" else ("this dog", "other")
    data = cases.make_data(names, goal_words=cases.HOSTILE, title="unbroken" * 20)
    called = [cases.HOSTILE + "unbroken" * 20, "a very long name " * 8, "😀 ok"]
    rows = tuple(
        cases.replace(row, name=name, does="unbroken" * 20) for row, name in zip(data.rows, called, strict=True)
    )
    data = cases.replace(cases.with_rows(data, rows, delivered=called[1]), drifts={called[1]: cases.DRIFT})
    path = tmp_path_factory.mktemp("a recipe 😀") / "report.html"
    path.write_text(render_recipe_report(data), encoding="utf-8")
    return path, len(data.pictures) + len(data.comparison.outside)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width_px", [360, 1280])
def test_report_in_browser(browser, report, width_px, scheme):
    path, num_images = report
    context = browser.new_context(viewport={"width": width_px, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    complaints, requests = [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri(), wait_until="load")
    for section in SECTIONS:
        assert page.locator(f"#{section}").bounding_box()["height"] > 60, section
    page.evaluate("() => document.querySelectorAll('details').forEach(fold => fold.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width_px
    assert page.evaluate("document.images.length") == num_images
    assert page.evaluate("Array.from(document.images).every(image => image.complete && image.naturalWidth > 0)")
    assert page.evaluate("typeof window.pwned") == "undefined"
    assert page.locator("svg:visible").count() == 4  # time, two curves, one drift
    cells = (
        "[...document.querySelectorAll('.compare td, .heat i')].every(cell => cell.scrollWidth <= cell.clientWidth + 1)"
    )
    assert page.evaluate(cells)
    places = "[...document.querySelectorAll('.compare .bars .bar')].map(bar => bar.getBoundingClientRect().width)"
    assert min(page.evaluate(places)) > 80
    assert [url for url in requests if not url.startswith("data:")] == [path.as_uri()]
    assert complaints == []
    context.close()
