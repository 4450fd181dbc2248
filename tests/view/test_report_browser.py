"""The report in a real browser: it opens from the disk alone, fits a phone, and no name in it runs."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from thawline.view.report import render_report

pytestmark = pytest.mark.browser

_beside = importlib.util.spec_from_file_location("report_cases", Path(__file__).with_name("test_report.py"))
assert _beside is not None
assert _beside.loader is not None
cases = importlib.util.module_from_spec(_beside)
sys.modules["report_cases"] = cases
_beside.loader.exec_module(cases)

SECTIONS = ("result", "thaw-line", "leaderboard", "curves", "test", "pictures", "check", "provenance")
FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium = os.environ.get("THAWLINE_CHROMIUM") or shutil.which("chromium")
    if not chromium:
        pytest.skip("no Chromium: install `chromium` or set THAWLINE_CHROMIUM to its path")
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        flags = [*FLAGS.split(), "--disable-component-update", "--disable-sync"]
        opened = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    names = (cases.HOSTILE, "' onmouseover='window.pwned=2", "a very long name " * 8, "unbroken" * 20, "😀 ok", "bee")
    path = tmp_path_factory.mktemp("a report 😀") / "report.html"
    path.write_text(render_report(cases.make_data(names, wrong=3)), encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width_px", [360, 1280])
def test_report_in_browser(browser: Any, report: Path, width_px: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width_px, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(report.as_uri(), wait_until="load")
    for section in SECTIONS:
        assert page.locator(f"#{section}").is_visible(), section
        assert page.locator(f"#{section}").bounding_box()["height"] > 60
    page.evaluate("() => document.querySelectorAll('details').forEach(fold => fold.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width_px
    assert page.evaluate("Array.from(document.images).every(image => image.complete && image.naturalWidth > 0)")
    assert page.evaluate("document.images.length") == 7
    assert page.evaluate("typeof window.pwned") == "undefined"
    assert page.locator("svg:visible").count() == 2
    assert [url for url in requests if not url.startswith("data:")] == [report.as_uri()]
    assert complaints == []
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width_px", [360, 1280])
def test_fine_tuning_in_browser(browser: Any, tmp_path: Path, width_px: int, scheme: str) -> None:
    board = cases.make_mixed_board()
    hostile = replace(board.trials[0].strategy, name=f"net · {cases.HOSTILE} " + "unbroken" * 20)
    board = replace(board, trials=(replace(board.trials[0], strategy=hostile), *board.trials[1:]))
    row = cases.make_forecast()[0] | {"strategy": hostile.name, "outcome": cases.HOSTILE}
    data = replace(
        cases.make_data(), leaderboard=board, forecast=(row, *cases.make_forecast()), budget_s=400.0,
        finder=((1e-5, 2.0), (1e-3, 1.0), (1e-1, 3.0)), finder_rate=1e-3,
    )  # fmt: skip
    path = tmp_path / "report.html"
    path.write_text(render_report(data), encoding="utf-8")
    page = browser.new_page(viewport={"width": width_px, "height": 800}, color_scheme=scheme)
    page.goto(path.as_uri(), wait_until="load")
    for section in (*SECTIONS, "story", "budget"):
        assert page.locator(f"#{section}").bounding_box()["height"] > 60, section
    assert page.evaluate("document.documentElement.scrollWidth") <= width_px
    assert page.evaluate("typeof window.pwned") == "undefined"
    assert page.locator("svg:visible").count() == 7  # story, thaw line, four curves, finder
    outside = """() => [...document.querySelectorAll('#story svg text, #curves svg text')].filter(text => {
        const box = text.getBoundingClientRect(), sheet = text.ownerSVGElement.getBoundingClientRect();
        return box.width && (box.left < sheet.left - 2 || box.right > sheet.right + 2);
    }).map(text => text.textContent)"""
    assert page.evaluate(outside) == []
    page.close()


def test_page_has_no_scripts_even_if_one_gets_in(browser: Any, report: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.html"
    html = report.read_text(encoding="utf-8")
    broken.write_text(html.replace("</main>", "<script>document.title='pwned'</script></main>"), encoding="utf-8")
    page = browser.new_page()
    page.goto(broken.as_uri(), wait_until="load")
    assert page.title() == "garden · thawline"
    page.close()
