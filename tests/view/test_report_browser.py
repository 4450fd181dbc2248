"""The report in a real browser: it opens from the disk alone, fits a phone, and no name in it runs."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from functools import partial

import pytest
import report_cases as cases

from thawline.view.report import render_report

pytestmark = pytest.mark.browser

FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
ALWAYS = ("result", "thaw-line", "curves", "test", "mistakes", "pictures", "check", "provenance")
NAMES = (cases.HOSTILE, "' onmouseover='window.pwned=2", "a very long name " * 8, "unbroken" * 20, "😀 ok", "bee")
OVERFLOWING_TEXT = """() => [...document.querySelectorAll('#story svg text, #curves svg text')].filter(text => {
    const box = text.getBoundingClientRect(), sheet = text.ownerSVGElement.getBoundingClientRect();
    return box.width && (box.left < sheet.left - 2 || box.right > sheet.right + 2);
}).map(text => text.textContent)"""
OVERFLOWING_CELLS = """() => [...document.querySelectorAll('.compare td, .matrix.mini td')].filter(
    cell => cell.scrollWidth > cell.clientWidth + 1).map(cell => cell.textContent)"""
PATIENCE_MS = 600_000  # for a busy machine
BAR_WIDTHS = "[...document.querySelectorAll('.compare .bars .bar')].map(bar => bar.getBoundingClientRect().width)"


@pytest.fixture(scope="module")
def browser():
    chromium = os.environ.get("THAWLINE_CHROMIUM") or shutil.which("chromium")
    if not chromium:
        pytest.skip("no Chromium: install `chromium` or set THAWLINE_CHROMIUM to its path")
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        flags = [*FLAGS.split(), "--disable-component-update", "--disable-sync"]
        opened = playwright.chromium.launch(executable_path=chromium, args=flags, timeout=PATIENCE_MS)
        yield opened
        opened.close()


def choice_of_strategies():
    """Frozen strategies alone, of classes whose names do their worst."""
    return cases.make_choice(NAMES, wrong=3), ("leaderboard",), 2  # thaw line, one curve


def choice_of_all_kinds():
    """Everything that a run may show that chose among strategies."""
    board = cases.make_mixed_board()
    hostile = replace(board.trials[0].strategy, name=f"net · {cases.HOSTILE} " + "unbroken" * 20)
    board = replace(board, trials=(replace(board.trials[0], strategy=hostile), *board.trials[1:]))
    row = cases.make_forecast()[0] | {"strategy": hostile.name, "outcome": cases.HOSTILE}
    data = replace(
        cases.make_choice(), leaderboard=board, forecast=(row, *cases.make_forecast()), budget_s=400.0,
        finder=((1e-5, 2.0), (1e-3, 1.0), (1e-1, 3.0)), finder_rate=1e-3, goal=0.8, goal_words=cases.HOSTILE,
        drifts={hostile.name: cases.DRIFT},
    )  # fmt: skip
    sections = ("leaderboard", "story", "budget", "forgetting")
    return data, sections, 8  # story, thaw line, four curves, finder, drift


def rows_of(names):
    """Everything that a run may show that set rows side by side."""
    data = cases.make_rows(names, goal_words=cases.HOSTILE, title="unbroken" * 20)
    called = [cases.HOSTILE + "unbroken" * 20, "a very long name " * 8, "😀 ok"]
    rows = tuple(replace(row, name=name, does="unbroken" * 20) for row, name in zip(data.rows, called, strict=True))
    data = replace(cases.with_rows(data, rows, delivered=called[1]), drifts={called[1]: cases.DRIFT})
    sections = ("comparison", "story", "forgetting", "outside")
    return data, sections, 5  # story, thaw line, two curves, drift


REPORTS = {
    "strategies": choice_of_strategies,
    "all kinds": choice_of_all_kinds,
    "rows": partial(rows_of, NAMES),
    "rows of two classes": partial(rows_of, ("this dog", "other")),
}


@pytest.fixture(scope="module", params=REPORTS)
def report(request, tmp_path_factory):
    """A report's file, its data, the sections that it has, and how many figures are seen at once."""
    data, sections, num_figures = REPORTS[request.param]()
    path = tmp_path_factory.mktemp("a report 😀") / "report.html"
    path.write_text(render_report(data), encoding="utf-8")
    return path, data, (*ALWAYS, *sections), num_figures


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width_px", [360, 1280])
def test_report_in_browser(browser, report, width_px, scheme):
    path, data, sections, num_figures = report
    context = browser.new_context(viewport={"width": width_px, "height": 800}, color_scheme=scheme)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    complaints, requests = [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri(), wait_until="load")
    assert set(page.evaluate("[...document.querySelectorAll('section')].map(part => part.id)")) == set(sections)
    for section in sections:
        assert page.locator(f"#{section}").bounding_box()["height"] > 60, section
    page.evaluate("() => document.querySelectorAll('details').forEach(fold => fold.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width_px
    assert page.evaluate("Array.from(document.images).every(image => image.complete && image.naturalWidth > 0)")
    outside = data.comparison.outside if data.comparison else ()
    assert page.evaluate("document.images.length") == len([*data.pictures, *data.mistakes, *outside])
    assert page.evaluate("typeof window.pwned") == "undefined"
    assert page.locator("svg:visible").count() == num_figures
    assert page.evaluate(OVERFLOWING_TEXT) == []
    assert page.evaluate(OVERFLOWING_CELLS) == []
    assert min(page.evaluate(BAR_WIDTHS), default=81) > 80
    assert [url for url in requests if not url.startswith("data:")] == [path.as_uri()]
    assert complaints == []
    context.close()


def test_page_has_no_scripts_even_if_one_gets_in(browser, tmp_path):
    broken = tmp_path / "broken.html"
    html = render_report(cases.make_choice())
    broken.write_text(html.replace("</main>", "<script>document.title='pwned'</script></main>"), encoding="utf-8")
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(broken.as_uri(), wait_until="load")
    assert page.title() == "garden · thawline"
    page.close()
