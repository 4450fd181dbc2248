"""The report in a real browser: it opens from the disk alone, fits a phone, and no name in it runs."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import report_cases as cases

from thawline.view.report import render_report

pytestmark = pytest.mark.browser

FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
ALWAYS = (
    "answer", "next", "fails", "sure", "data", "strategies", "usage", "provenance",
    "thaw-line", "curves", "test", "pictures",
)  # fmt: skip
NAMES = (cases.HOSTILE, "' onmouseover='window.pwned=2", "a very long name " * 8, "unbroken" * 20, "😀 ok", "bee")
OVERFLOWING_TEXT = """() => [...document.querySelectorAll('#story svg text, #curves svg text')].filter(text => {
    const box = text.getBoundingClientRect(), sheet = text.ownerSVGElement.getBoundingClientRect();
    return box.width && (box.left < sheet.left - 2 || box.right > sheet.right + 2);
}).map(text => text.textContent)"""
OVERFLOWING_CELLS = """() => [...document.querySelectorAll('.compare td, .matrix.mini td')].filter(
    cell => cell.scrollWidth > cell.clientWidth + 1).map(cell => cell.textContent)"""
WIDE = """() => [...document.querySelectorAll('main *')].filter(one => !one.closest('.scroll, svg, pre, .out') &&
    one.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && one.offsetParent)
    .map(one => one.outerHTML.slice(0, 120))"""
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
    return data, sections, 6  # reliability, story, thaw line, two curves, drift


def choice_with_advice():
    """Everything that may be found for a person to act on."""
    data = cases.with_advice(cases.make_choice(NAMES, wrong=3))
    sections = ("leaderboard", "suspects", "cheats", "map", "alike", "looks", "abstaining", "strangest", "more")
    return data, sections, 5  # learning curve, coverage, map, thaw line, one curve


REPORTS = {
    "advice": choice_with_advice,
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


def opened(browser, path, *, width_px=1280, scheme="light", scripted=True, **options):
    """Return a page that is loaded, with lists that fill with its complaints and its requests."""
    context = browser.new_context(
        viewport={"width": width_px, "height": 800}, color_scheme=scheme, java_script_enabled=scripted, **options
    )
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    complaints, requests = [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri(), wait_until="load")
    return page, complaints, requests


def written(tmp_path, data):
    path = tmp_path / "report.html"
    path.write_text(render_report(data), encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width_px", [360, 390, 1280])
def test_report_in_browser(browser, report, width_px, scheme):
    path, data, sections, num_figures = report
    page, complaints, requests = opened(browser, path, width_px=width_px, scheme=scheme)
    assert set(page.evaluate("[...document.querySelectorAll('section')].map(part => part.id)")) == set(sections)
    page.evaluate("() => document.querySelectorAll('details').forEach(fold => fold.open = true)")
    for section in sections:
        assert page.locator(f"#{section}").bounding_box()["height"] > 40, section
    assert page.evaluate("document.documentElement.scrollWidth") <= width_px
    assert page.evaluate(WIDE) == []
    shown = page.evaluate("[...new Set([...document.querySelectorAll('main .pic')].map(one => one.className))]")
    assert {name for names in shown for name in names.split()} >= {
        f"p{place}" for place in range(len(data.album.pictures))
    }
    assert page.evaluate("typeof window.pwned") == "undefined"
    assert page.locator("svg:visible").count() == num_figures
    assert page.evaluate(OVERFLOWING_TEXT) == []
    assert page.evaluate(OVERFLOWING_CELLS) == []
    assert min(page.evaluate(BAR_WIDTHS), default=81) > 80
    assert {url.split(":")[0] for url in requests if url != path.as_uri()} <= {"data"}
    assert complaints == []
    page.context.close()


def test_no_other_script_runs_even_if_one_gets_in(browser, tmp_path):
    broken = tmp_path / "broken.html"
    html = render_report(cases.make_choice())
    broken.write_text(html.replace("</main>", "<script>document.title='pwned'</script></main>"), encoding="utf-8")
    page, complaints, _ = opened(browser, broken)
    assert page.title() == "garden · thawline"
    assert any("Content Security Policy" in complaint for complaint in complaints)
    assert page.evaluate("document.documentElement.className") == "js"  # ours does
    page.context.close()


def test_without_script_all_is_shown(browser, tmp_path):
    data = cases.make_rows()
    page, complaints, _ = opened(browser, written(tmp_path, data), scripted=False)
    assert page.locator("#mistakes .pic:visible").count() == len(data.album.mistakes)
    assert page.locator(".js-only:visible").count() == 0
    assert page.locator("dialog:visible").count() == 0
    assert complaints == []
    page.context.close()


def test_a_cell_shows_its_pictures_and_gives_the_focus_back(browser, tmp_path):
    data = cases.make_rows()
    page, complaints, _ = opened(browser, written(tmp_path, data))
    cell = page.get_by_role("button", name="ant → bee: 2 of 4")
    cell.click()
    assert cell.get_attribute("aria-pressed") == "true"
    assert page.locator("#chosen-title").text_content() == "ant, taken for bee: 2 of 4"
    assert page.locator("#chosen-count").text_content() == "1 of 2 are shown."
    (caption,) = page.locator("#chosen-list .cap").all_text_contents()
    assert caption == "ant→\N{NO-BREAK SPACE}bee87.3\N{NO-BREAK SPACE}% sure · test"
    assert page.locator("#unchosen").is_hidden()
    page.keyboard.press("Escape")
    assert page.locator("#chosen").is_hidden()
    assert page.locator("#unchosen").is_visible()
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "ant → bee: 2 of 4"
    page.locator("button.class", has_text="bee").focus()
    page.keyboard.press("Enter")
    assert page.locator("#chosen-list li").count() == 1
    page.get_by_role("button", name="All mistakes again").click()
    assert page.locator("#mistakes li:visible").count() == 2
    assert complaints == []
    page.context.close()


def test_a_picture_is_shown_large_and_the_keyboard_turns_it(browser, tmp_path):
    page, complaints, _ = opened(browser, written(tmp_path, cases.make_rows()))
    first = page.locator("#mistakes button.thumb").first
    first.focus()
    page.keyboard.press("Enter")
    view = page.locator("#view")
    assert view.is_visible()
    assert page.locator("[data-slot=title]").text_content() == "ant"
    assert page.locator("[data-slot=said]").text_content() == "The model said bee."
    assert page.locator("[data-slot=shares] li").all_text_contents() == [
        "bee87.3\N{NO-BREAK SPACE}%", "ant12.7\N{NO-BREAK SPACE}%",
    ]  # fmt: skip
    assert page.locator("[data-slot=where]").text_content() == "ant/8.jpg · of the test"
    assert page.locator("[data-slot=count]").text_content() == "1 of 2"
    page.keyboard.press("ArrowRight")
    assert page.locator("[data-slot=title]").text_content() == "bee"
    page.keyboard.press("ArrowRight")
    assert page.locator("[data-slot=title]").text_content() == "ant"
    page.keyboard.press("ArrowLeft")
    assert page.locator("[data-slot=count]").text_content() == "2 of 2"
    page.keyboard.press("Escape")
    assert view.is_hidden()
    assert page.evaluate("document.activeElement === document.querySelector('#mistakes button.thumb')")
    assert complaints == []
    page.context.close()


def test_the_leaderboard_is_searched(browser, tmp_path):
    many = cases.make_board()
    board = replace(many, trials=many.trials + tuple(replace(many.trials[-1], fit_s=n) for n in range(8)))
    page, complaints, _ = opened(browser, written(tmp_path, replace(cases.make_choice(), leaderboard=board)))
    page.get_by_label("Search the leaderboard").fill("fused winner")
    lines = page.locator("#leaderboard tbody tr:visible")
    assert lines.count() == 1
    assert page.locator("#board-count").text_content() == "1 of 15"
    page.get_by_label("Search the leaderboard").fill("(0,)")
    assert lines.count() == 9  # those in the fold too
    page.get_by_label("Search the leaderboard").fill("")
    assert lines.count() == 10
    assert complaints == []
    page.context.close()


def test_a_dot_of_the_map_shows_its_picture_and_opens_it(browser, tmp_path):
    data = cases.with_advice(cases.make_choice())
    data = replace(data, album=replace(data.album, pictures=data.album.pictures[:3]))
    page, complaints, _ = opened(browser, written(tmp_path, data))
    tip, small = page.locator("#map-tip"), page.locator("#map-tip .pic")
    assert tip.is_hidden()
    dots = page.locator("#map .wideplot [data-point]")
    for number, name in ((0, "p0"), (1, "p1"), (2, "p2"), (3, "s0")):
        page.locator(f"#map .wideplot [data-point='{number}']").hover(force=True)
        assert tip.is_visible()
        assert small.get_attribute("class") == f"pic {name}"
    assert page.locator("#map-tip p").text_content().startswith(data.advice.picture_map.points[3].path)
    assert "100% 100%" in small.get_attribute("style").replace("background-position: ", "")
    page.mouse.move(5, 5)
    assert tip.is_hidden()
    dots.first.scroll_into_view_if_needed()
    page.locator("#map .wideplot [data-point='1']").click(force=True)
    assert page.locator("#view").is_visible()
    assert page.locator("[data-slot=title]").text_content() == "ant"
    assert complaints == []
    page.context.close()


def test_heat_lies_over_a_picture_until_it_is_switched_off(browser, tmp_path):
    page, complaints, _ = opened(browser, written(tmp_path, cases.with_advice(cases.make_choice())))
    page.locator("#looks button.thumb").first.click()
    large = page.locator("[data-slot=picture]")
    assert large.get_attribute("class") == "pic h1"
    page.get_by_label("show where it looked").uncheck()
    assert large.get_attribute("class") == "pic p1"
    assert page.locator("[data-slot=remark]").text_content().startswith("Its label is in doubt")
    page.keyboard.press("Escape")
    page.locator("#pictures summary").first.click()
    page.locator("#pictures button.thumb").last.click()
    assert page.locator("[data-slot=heatLine]").is_hidden()
    page.keyboard.press("Escape")
    page.locator("#mistakes button.thumb").first.click()
    assert large.get_attribute("class") == "pic p0"  # as it was clicked on
    page.get_by_label("show where it looked").check()
    assert large.get_attribute("class") == "pic h0"
    assert complaints == []
    page.context.close()


def test_a_slice_shows_its_mistakes(browser, tmp_path):
    page, complaints, _ = opened(browser, written(tmp_path, cases.with_advice(cases.make_choice())))
    page.get_by_role("button", name="mistakes among the 9 smallest pictures of ant").click()
    assert page.locator("#chosen-title").text_content() == "Answered wrong among the 9 smallest pictures of ant: 4 of 9"
    assert page.locator("#chosen-list li").count() == 2
    assert page.locator("#chosen-count").text_content() == "2 of 4 are shown."
    assert complaints == []
    page.context.close()


def test_commands_are_copied(browser, tmp_path):
    page, complaints, _ = opened(browser, written(tmp_path, cases.make_choice()))
    page.get_by_role("button", name="copy: Name the class of new pictures").click()
    page.wait_for_function("[...document.querySelectorAll('[data-copy]')].some(one => one.textContent !== 'Copy')")
    marked = page.evaluate("getSelection().toString()")
    copied = page.locator("[data-copy]").first.text_content() == "Copied"
    assert copied or "thawline predict run/model" in marked
    assert complaints == []
    page.context.close()


def test_on_paper_all_is_shown_and_nothing_to_click(browser, tmp_path):
    page, _, _ = opened(browser, written(tmp_path, cases.make_rows()))
    page.get_by_role("button", name="ant → bee: 2 of 4").click()
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#unchosen").is_visible()
    assert page.locator("#chosen").is_hidden()
    assert page.evaluate("document.querySelectorAll('details:not([open])').length") == 0
    assert page.locator("input:visible, nav:visible, [data-copy]:visible").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.querySelectorAll('details:not([open])').length") > 0
    page.context.close()


def test_the_tab_key_goes_through_the_page_in_its_order(browser, tmp_path):
    page, _, _ = opened(browser, written(tmp_path, cases.make_rows()))
    places = []
    for _ in range(30):
        page.keyboard.press("Tab")
        places.append(page.evaluate("document.activeElement.getBoundingClientRect().top + scrollY"))
    assert page.evaluate("document.activeElement.tabIndex") >= 0
    inside = places[10:]  # after the link that skips and the contents
    assert inside == sorted(inside)
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("case", ["all kinds", "rows", "advice"])
def test_axe_finds_no_fault(browser, tmp_path, case, scheme):
    axe = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    data, *_ = REPORTS[case]()
    page, _, _ = opened(browser, written(tmp_path, data), scheme=scheme, bypass_csp=True)  # axe is put in by script
    page.evaluate("() => document.querySelectorAll('details').forEach(fold => fold.open = true)")
    page.evaluate((Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert {fault["id"]: [node["html"][:200] for node in fault["nodes"][:3]] for fault in found} == {}
    page.locator("#mistakes button.thumb").first.click()
    found = page.evaluate("axe.run('#view', {resultTypes: ['violations']})")["violations"]
    assert {fault["id"]: [node["html"][:200] for node in fault["nodes"][:3]] for fault in found} == {}
    page.context.close()
