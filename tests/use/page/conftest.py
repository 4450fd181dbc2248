"""A browser, a service that runs as a person runs it, and pages whose engine is made up."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager

import pytest

from thawline.use.page.answer_page import page_html, page_policy, script_value

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --use-fake-device-for-media-stream --use-fake-ui-for-media-stream"
)
PATIENCE_MS = 120_000  # for a busy machine
ADDRESS = "http://localhost:9/"
"""Of pages with an engine of their own: nothing listens there, the browser is told what they are."""

FAKE = """
const FACTS = %s, ROWS = %s;
const engine = {
  name: "browser",
  asked: [],
  async ready() { return FACTS; },
  async ask(files, onRow, {onWait}) {
    for (const [index, file] of files.entries()) {
      engine.asked.push(file.name);
      if (engine.onEach) await engine.onEach(index, onWait);
      const row = ROWS[engine.asked.length - 1] || ROWS[ROWS.length - 1];
      onRow(index, typeof row === "function" ? row() : {path: "not this one", ...row});
    }
  },
  %s
};
"""


@pytest.fixture(scope="module")  # while Playwright is open, no other test of this process can run an event loop
def browser():
    """Return a Chromium with a camera that shows a test picture."""
    chromium = os.environ.get("THAWLINE_CHROMIUM") or shutil.which("chromium")
    if not chromium:
        pytest.skip("no Chromium: install `chromium` or set THAWLINE_CHROMIUM to its path")
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=FLAGS.split(), timeout=PATIENCE_MS)
        yield opened
        opened.close()


@contextmanager
def serving(path, *words):
    """Run `thawline serve` on a free port; yield its address."""
    call = [sys.executable, "-m", "thawline", "serve", str(path), "--port", "0", *words]
    process = subprocess.Popen(call, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        address = None
        while address is None:
            line = process.stderr.readline()
            assert line, "the service ended"
            address = re.search(r"http://[\d.]+:\d+", line)
        yield address[0] + "/"
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def serve():
    """Return what runs a service, as a context."""
    return serving


@pytest.fixture(scope="module")
def service(drawn_onnx):
    """Return the address of a service with the small model."""
    with serving(drawn_onnx) as address:
        yield address


class Opened:
    """A page that is loaded, and what it complained of and asked for."""

    def __init__(self, page):
        self.page, self.complaints, self.requests = page, [], []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    def cards(self, count):
        """Wait until so many pictures are answered, and return their cards from the top."""
        self.page.locator(".card").nth(count - 1).wait_for()
        self.page.locator("#progress").wait_for(state="hidden")
        return self.page.locator(".card").all()


@pytest.fixture
def open_page(browser):
    """Return what opens an address, or a page with an engine of its own, and what checks it at the end."""
    contexts, pages = [], []

    def opened(address=ADDRESS, *, html=None, width_px=1280, quiet=True, before_facts=None, **options):
        context = browser.new_context(viewport={"width": width_px, "height": 800}, **options)
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        page = context.new_page()
        if html is not None:
            headers = {"content-type": "text/html; charset=utf-8", "content-security-policy": page_policy(html)}
            page.route(ADDRESS + "**", lambda route: route.fulfill(body=html, headers=headers))
        found = Opened(page)
        pages.append((found, address.split("#")[0], quiet))
        if before_facts is None:
            page.goto(address)
            return found
        page.route("**/health", lambda route: None)
        page.goto(address)
        before_facts(page)
        page.wait_for_timeout(100)
        page.unroute("**/health")  # what waits goes on
        return found

    yield opened
    for found, address, quiet in pages:
        page = found.page
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "wider than the screen"
        assert page.evaluate("typeof window.pwned") == "undefined"
        assert not quiet or found.complaints == []
        assert all(url.startswith((address, "blob:", "data:")) for url in found.requests), found.requests
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def fake():
    """Return what makes a page of facts and rows; further members of its engine are given as script."""

    def made(rows, *, members="", title="What is it?", **facts):
        given = {"class_names": ["ant", "bee"], "words": {"model": "It tells ants and bees apart."}, **facts}
        return page_html(FAKE % (script_value(given), script_value(rows), members), title=title)

    return made


def row(label="ant", share=0.9, **others):
    """Return a row of `predict --json`."""
    shares = {"ant": share, "bee": 1 - share}
    plain = {"label": label, "probability": share, "probabilities": shares, "outside": None, "abstained": False}
    return plain | others


@pytest.fixture(scope="session")
def make_row():
    """Return what makes a row."""
    return row
