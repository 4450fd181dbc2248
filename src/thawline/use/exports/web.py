"""A whole ONNX file -> a folder that answers in the browser from any plain host, with no server behind it.

One idea: the folder is complete and stands still. One page, a worker, onnxruntime-web, and the model, each under an
address that holds the version of all of them; nothing is asked of anybody else, and no picture leaves the browser. It
is made to be published, so no training picture is in it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from thawline.core.version import __version__
from thawline.data.flatten import BACKGROUNDS
from thawline.data.square import side_px
from thawline.use.exports.bare_onnx import bare_onnx
from thawline.use.exports.export_source import ExportSource
from thawline.use.exports.golden import GoldenSet, golden_from_text
from thawline.use.exports.npm_package import Package, package_files
from thawline.use.exports.onnx_file import write_onnx
from thawline.use.exports.sealed_folder import FOLDER_FILE, seal_folder
from thawline.use.exports.web_golden import readable_golden, write_bare_golden
from thawline.use.model_place import find_model
from thawline.use.onnx_facts import GOLDEN_KEY, OnnxFacts, is_sealed
from thawline.use.onnx_model import open_onnx
from thawline.use.page.answer_page import page_html, plain_words

__all__ = ["MAX_MEGAPIXELS", "ORT_WEB", "web_files", "write_web"]

ORT_WEB = Package(
    "onnxruntime-web",
    "1.30.0",
    "sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ==",
    33_106_585,
    "--ort-web",
)
"""The runtime that computes in the browser; its release and its hash change together."""

LOADER, RUNTIME = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
"""The smallest of its builds: WebAssembly with SIMD, without GPU; it computes with threads where the page may."""

MAX_MEGAPIXELS = 100
"""Larger pictures are refused: a browser holds four bytes of each of their pixels."""

INT8_FILE = "model-int8.onnx"
ASSETS = Path(__file__).with_name("browser")
TITLE = "What is in this picture?"
_MIME = {
    "mjs": "text/javascript",
    "js": "text/javascript",
    "wasm": "application/wasm",
    "onnx": "application/octet-stream",
}
_ROLES = {"worker": "worker.js", "pictures": "pictures.js", "loader": LOADER, "wasm": RUNTIME, "model": "model.onnx"}
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><rect width="64" height="64" rx="14" fill="#14789f"/>'
    '<path d="M12 40h40M16 28l8 6 8-12 8 10 8-6" fill="none" stroke="#fff" stroke-width="5"/></svg>'
)


def write_web(source: ExportSource, place: Path) -> None:
    """Write the folder of a model: with its int8 form where that lies among the exports of the model, else in float32.

    Args:
        source: The model; its `ort_web` may name the tarball of onnxruntime-web.
        place: The folder, which is not there yet.

    Raises:
        BundleError: The model cannot be expressed in ONNX, or browsers read none of its golden pictures.
        StoreError: onnxruntime-web cannot be fetched.
        UsageError: The exporter is not installed, or the named tarball is another one.
    """
    runtime = package_files(ORT_WEB, [f"dist/{LOADER}", f"dist/{RUNTIME}"], tarball=source.ort_web)
    content, golden = _model(source, place)
    files, facts = web_files(content, {name.removeprefix("dist/"): part for name, part in runtime.items()})
    for name, part in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(part)
    write_bare_golden(place, readable_golden(golden))
    seal_folder(place, kind="web", facts=facts)


def _model(source: ExportSource, place: Path) -> tuple[bytes, GoldenSet]:
    """Return the ONNX file that the folder gets, and what proves it."""
    small = find_model(source.bundle.directory).exports / INT8_FILE
    if small.is_file() and is_sealed(content := small.read_bytes()):
        model = open_onnx(content)
        if model.facts.manifest_seal == source.bundle.manifest.seal and model.facts.takes is not None:
            return content, golden_from_text(model.metadata[GOLDEN_KEY], name=str(small))
    file = place.with_name("whole.onnx")
    write_onnx(source, file)
    content = file.read_bytes()
    file.unlink()
    return content, golden_from_text(open_onnx(content).metadata[GOLDEN_KEY], name=str(file))


def web_files(model: bytes, runtime: Mapping[str, bytes]) -> tuple[dict[str, bytes], OnnxFacts]:
    """Return what is in the folder, path -> content, and facts of the model; the same from the same arguments.

    Args:
        model: The contents of a file that `thawline export --to onnx` or `--to onnx-int8` wrote.
        runtime: Name -> content of the files of onnxruntime-web.

    Raises:
        BundleError: The file is not whole.
    """
    bare, facts = bare_onnx(model)
    parts = {
        "worker.js": (ASSETS / "worker.js").read_bytes(),
        "pictures.js": (ASSETS / "pictures.js").read_bytes(),
        "model.onnx": bare,
        **runtime,
    }
    told = _told(facts)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in parts.items()}
    known = json.dumps([told, digests, (ASSETS / "engine_web.js").read_text(encoding="utf-8")], sort_keys=True)
    folder = f"v-{hashlib.sha256(known.encode()).hexdigest()[:12]}"
    listed = [
        {
            "role": role,
            "path": f"{folder}/{name}",
            "bytes": len(parts[name]),
            "sha256": digests[name],
            "mime": _MIME[name.rpartition(".")[2]],
        }
        for role, name in _ROLES.items()
    ]
    page = _page({"version": folder.removeprefix("v-"), "files": listed, "facts": told})
    files = {
        "index.html": page.encode(),
        "sw.js": (ASSETS / "sw.js").read_bytes(),
        "manifest.webmanifest": _manifest().encode(),
        "README.txt": _readme(facts).encode(),
        "LICENSES.txt": _licenses(facts).encode(),
        **{f"{folder}/{name}": content for name, content in parts.items()},
    }
    return files, facts


def _told(facts: OnnxFacts) -> dict[str, Any]:
    """Return what the page and its worker must know of the model."""
    rendering = facts.input.spec().rendering
    background = BACKGROUNDS["white" if rendering is None else rendering.background]
    return {
        "class_names": facts.class_names,
        "words": plain_words(facts.class_names, strategy=facts.strategy, backbone=facts.backbone, doubt=facts.doubt),
        "doubt_codes": facts.doubt_codes,
        "preparation": {
            "least_px": 2 * max(side_px(one.spec()) for one in facts.inputs),
            "background": background,
            "max_megapixels": MAX_MEGAPIXELS,
        },
    }


def _page(web: Mapping[str, Any]) -> str:
    """Return the page with its policy: only its own two scripts, its style, and files of its host."""
    known = json.dumps(web, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    known = known.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    engine = (ASSETS / "engine_web.js").read_text(encoding="utf-8").replace("%WEB%", known)
    page = page_html(engine, title=TITLE)
    scripts = " ".join(_policy_hash(text) for text in re.findall(r"<script>(.*?)</script>", page, re.DOTALL))
    styles = " ".join(_policy_hash(text) for text in re.findall(r"<style>(.*?)</style>", page, re.DOTALL))
    policy = (
        f"default-src 'none'; script-src 'self' 'wasm-unsafe-eval' {scripts}; style-src {styles}; worker-src 'self'; "
        "connect-src 'self'; img-src blob: data:; media-src blob:; manifest-src 'self'; base-uri 'none'; "
        "form-action 'none'"
    )
    head = (
        '<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<link rel="manifest" href="manifest.webmanifest">'
    )
    return page.replace('<meta charset="utf-8">', head, 1)


def _policy_hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _manifest() -> str:
    """Return what lets a phone put the page among its programs."""
    icon = "data:image/svg+xml;base64," + base64.b64encode(_ICON.encode()).decode()
    facts = {
        "name": TITLE,
        "short_name": "thawline",
        "start_url": "./",
        "scope": "./",
        "display": "standalone",
        "icons": [{"src": icon, "sizes": "any", "type": "image/svg+xml"}],
    }
    return json.dumps(facts, indent=1) + "\n"


def _readme(facts: OnnxFacts) -> str:
    """Return what whoever finds the folder must know."""
    return f"""A model of {len(facts.class_names):,} classes that answers in the browser; by Thawline {__version__}.

Put this folder on any static host, or try it here:

    python -m http.server

and open http://localhost:8000. A page opened from the disk (file://) may not load a model, so it says so.

Pictures are decoded and answered in the browser; none is sent anywhere or kept. After the first visit over https, or
on localhost, the page opens without a network. No training picture is in this folder; the names of the classes are.
Replace the folder as a whole: `thawline verify` compares every file with {FOLDER_FILE}.

Network: {facts.backbone}; licence of its weights: {facts.license}. See LICENSES.txt.
"""


def _licenses(facts: OnnxFacts) -> str:
    """Return the licence of what is not ours in the folder."""
    return f"""{ORT_WEB} (files {LOADER} and {RUNTIME}), unchanged, from the package of this name on npm:

MIT License

Copyright (c) Microsoft Corporation

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.

onnxruntime is built of further open-source parts, among them Eigen (MPL-2.0) and Protocol Buffers (BSD-3-Clause); its
repository lists them in ThirdPartyNotices.txt.

The weights in model.onnx ({facts.backbone}): {facts.license}.
"""
