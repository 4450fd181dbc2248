"""A folder for the browser -> a model that answers in headless Chromium, so that it can be proved as any other is.

One idea: nothing stands in for the browser. The folder is served as a plain host serves it, below a path of its own,
the page is opened, and every picture goes in as a file and comes back as a row of the page's own engine.
"""

from __future__ import annotations

import base64
import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from thawline.core.errors import BundleError, DataError, UsageError
from thawline.data.images import MAX_MEGAPIXELS
from thawline.use.answer import Answer, Prepared
from thawline.use.onnx_facts import Described, OnnxFacts

__all__ = ["OPENED", "BrowserModel", "loaded_page", "served", "why_no_browser"]

FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
PATIENCE_MS = 600_000.0  # for a busy machine

_ASK = """async ([name, data]) => {
    const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
    let found = null;
    await engine.ask([new File([bytes], name)], (index, row) => { found = row; });
    return found;
}"""

OPENED = """() => new Promise(resolve => {
    const look = () => engine.facts || engine.failure ? resolve(engine.failure) : setTimeout(look, 20);
    look();
})"""
"""Waits until a page has loaded its model, and says why it cannot; its policy refuses Playwright's own way to wait."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class BrowserModel(Described):
    """Encoded pictures in, answers out, from a page that is open in a browser. Threads may share it.

    Attributes:
        facts: What the folder says of the model.
    """

    def __init__(self, folder: Path, facts: OnnxFacts) -> None:
        """Open the folder's page and wait until its model is loaded.

        Raises:
            UsageError: There is no browser here.
            BundleError: The page does not load its model.
        """
        self.facts = facts
        self._thread = ThreadPoolExecutor(1, "browser")  # a page belongs to a thread, and one without an event loop
        self._held = ExitStack()
        try:
            self._page = self._thread.submit(self._held.enter_context, loaded_page(folder)).result()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the browser."""
        self._thread.submit(self._held.close).result()
        self._thread.shutdown()

    @property
    def batch_size(self) -> int:
        """Pictures that it answers at once."""
        return 1

    def row(self, name: str, data: bytes) -> dict[str, Any]:
        """Return the page's row of an encoded picture, as `thawline predict --json` has it.

        Args:
            name: Of the file.
            data: Its bytes.
        """
        given = [name, base64.b64encode(data).decode()]
        row: dict[str, Any] = self._thread.submit(lambda: self._page.evaluate(_ASK, given)).result()
        return row

    def prepare(self, data: bytes, *, max_megapixels: int = MAX_MEGAPIXELS) -> tuple[Prepared, tuple[str, ...]]:
        """Return an encoded picture as the page takes it: its bytes; nothing is decoded here."""
        return (np.frombuffer(data, dtype=np.uint8),), ()

    def answers_to(self, batch: Sequence[Prepared]) -> Answer:
        """Return what the page says of pictures, in order.

        Raises:
            DataError: It cannot read one; says why.
        """
        rows = [self.row("picture", pixels.tobytes()) for (pixels,) in batch]
        for row in rows:
            if "error" in row:
                raise DataError(row["error"])
        shares = np.array([[row["probabilities"][name] for name in self.class_names] for row in rows], dtype=np.float32)
        outside = [row["outside"] for row in rows]
        return Answer(shares, None if None in outside else np.array(outside, dtype=np.float32))

    def in_streams(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield work(item) in order, one after the other: a page has one thread."""
        return map(work, items)


def why_no_browser() -> str | None:
    """Return in a sentence what is missing to open a page in a browser here, or None where it can be opened."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "Playwright is not installed (`pip install playwright`)"
    return None if _chromium() else "there is no Chromium (install it, or set THAWLINE_CHROMIUM to its path)"


def _chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return os.environ.get("THAWLINE_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


@contextmanager
def loaded_page(folder: Path) -> Iterator[Any]:
    """Open the page of a folder in headless Chromium and give it, as Playwright has it, with its model loaded.

    Raises:
        UsageError: There is no browser here.
        BundleError: The page does not load its model.
    """
    if reason := why_no_browser():
        raise UsageError(f"verify {folder}: a browser is needed: {reason}.")
    from playwright.sync_api import sync_playwright

    with served(folder) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_chromium(), args=list(FLAGS), timeout=PATIENCE_MS)
        try:
            page = browser.new_page()
            page.set_default_timeout(PATIENCE_MS)
            page.goto(address)
            if failure := page.evaluate(OPENED):
                raise BundleError(f"verify {folder}: its page says: {failure}")
            yield page
        finally:
            browser.close()


class _Quiet(SimpleHTTPRequestHandler):
    """A plain static host that says nothing."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the name is the library's
        """Write nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on this machine alone, as `python -m http.server` does one level above it; give its address.

    Args:
        folder: Its name is the path under which it is served; what lies next to it is not looked at.
    """
    handler = partial(_Quiet, directory=str(folder.resolve().parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/{folder.resolve().name}/"
        finally:
            server.shutdown()
            thread.join()
