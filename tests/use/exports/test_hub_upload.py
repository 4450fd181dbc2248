"""A push sends what it says it will to a hub of our own making, and no picture unless asked."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import huggingface_hub
import pytest

from thawline.core.errors import BundleError, StoreError, UsageError
from thawline.use.exports.export_source import ExportSource
from thawline.use.exports.hub_upload import files_for_hub, push, push_export, require_pushable
from thawline.use.exports.write_export import write_export
from thawline.use.onnx_facts import GOLDEN_KEY
from thawline.use.onnx_model import open_onnx

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),  # the hub's own client
]
SECRET = "hf_secret"


class Hub(ThreadingHTTPServer):
    """As much of Hugging Face's hub as a push needs; keeps what it is sent."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.made, self.files, self.tokens, self.order, self.refuses = None, {}, set(), [], 0

    @property
    def is_private(self):
        """Newer clients name the visibility."""
        return self.made.get("visibility") == "private" or self.made.get("private") is True

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_args):
        """Say nothing."""

    def reply(self, value, status=200):
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def body(self):
        self.server.tokens.add(self.headers.get("Authorization"))
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_GET(self):
        self.body()
        if self.server.refuses or self.server.made is None:
            self.reply({"error": "no"}, self.server.refuses or 404)
            return
        self.reply({"id": "ada/birds", "private": self.server.is_private, "siblings": [], "tags": []})

    def do_PUT(self):
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.files[hashlib.sha256(content).hexdigest()] = content
        self.reply({})

    def do_POST(self):
        hub, content = self.server, self.body()
        hub.order.append(self.path)
        if hub.refuses:
            self.reply({"error": "no"}, hub.refuses)
        elif self.path == "/api/repos/create":
            hub.made = json.loads(content)
            self.reply({"url": f"{hub.url}/ada/birds"})
        elif self.path == "/api/validate-yaml":
            self.reply({"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            names = [one["path"] for one in json.loads(content)["files"]]
            large = {"model.safetensors", "model.onnx"}
            modes = [
                {"path": n, "uploadMode": "lfs" if n in large else "regular", "shouldIgnore": False} for n in names
            ]
            self.reply({"files": modes})
        elif self.path.endswith("/info/lfs/objects/batch"):
            objects = json.loads(content)["objects"]
            for one in objects:
                one["actions"] = {"upload": {"href": f"{hub.url}/put/{one['oid']}", "header": {}}}
            self.reply({"transfer": "basic", "objects": objects})
        else:
            for line in content.decode().splitlines():
                part = json.loads(line)
                if part["key"] == "file":
                    hub.files[part["value"]["path"]] = base64.b64decode(part["value"]["content"])
                elif part["key"] == "lfsFile":
                    hub.files[part["value"]["path"]] = hub.files.pop(part["value"]["oid"])
            self.reply({"commitUrl": f"{hub.url}/ada/birds/commit/{'0' * 40}", "commitOid": "0" * 40})


@pytest.fixture
def hub(monkeypatch):
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_TOKEN", SECRET)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def exports(dense_model, tmp_path_factory):
    place = tmp_path_factory.mktemp("pushed")
    source = ExportSource(dense_model)
    return {
        kind: write_export(source, kind, place=place / name).path
        for kind, name in (("timm", "timm"), ("onnx", "model.onnx"))
    }


def test_what_goes_up_is_told_first_and_holds_no_picture(hub, exports, dense_model):
    told = []

    def say(line):
        assert hub.order == []
        told.append(line)

    done = push_export(dense_model.directory, exports["timm"], repository="ada/birds", kind="timm", say=say)
    assert set(hub.files) == {"README.md", "config.json", "model.safetensors"}
    assert all(content == (exports["timm"] / name).read_bytes() for name, content in hub.files.items())
    assert told[0] == "push to ada/birds: 3 files go up"
    assert told[1:4] == [f"  {name}  {len(hub.files[name]):,} bytes" for name in sorted(hub.files)]
    assert told[4] == "  golden pictures, which are training pictures, stay here"
    assert (hub.made["name"], hub.made["organization"], hub.is_private) == ("birds", "ada", True)
    assert hub.tokens == {f"Bearer {SECRET}"}
    assert (done.url, done.is_private) == (f"{hub.url}/ada/birds", True)


def test_golden_pictures_go_up_when_that_is_asked_for(hub, exports, dense_model):
    push_export(
        dense_model.directory, exports["timm"], repository="ada/birds", kind="timm", private=False, with_golden=True
    )
    assert {"golden.json", "export.json", "golden/0.jpg"} < set(hub.files)
    assert not hub.is_private


def test_an_onnx_file_goes_up_without_the_pictures_in_its_metadata(hub, exports, dense_model):
    push_export(dense_model.directory, exports["onnx"], repository="ada/birds", kind="onnx")
    assert set(hub.files) == {"README.md", "model.onnx"}
    pushed, own = open_onnx(hub.files["model.onnx"]), open_onnx(exports["onnx"])
    assert GOLDEN_KEY in own.metadata
    assert GOLDEN_KEY not in pushed.metadata
    assert b"/9j/" not in hub.files["model.onnx"]  # how a JPEG begins in base64
    picture = own.prepare((dense_model.directory / "golden/0.jpg").read_bytes())[0]
    assert (pushed.answers_to([picture]).probabilities == own.answers_to([picture]).probabilities).all()
    assert "library_name: onnx" in hub.files["README.md"].decode()


@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, "the token is not accepted"), (403, "the token may not write there"), (500, "no")],
)
def test_a_refusal_says_why_and_never_the_token(hub, monkeypatch, status, reason):
    hub.refuses = status
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(StoreError, match=rf"the hub refused \({status}\): .*{reason}") as caught:
        push({"README.md": b"---\n---\n"}, "ada/birds")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", ["birds", "ada/", "ada/birds/more", "../birds", "ada/bi rds", "https://x/y"])
def test_a_repository_is_owner_and_name(hub, name):
    with pytest.raises(UsageError, match="OWNER/NAME is required"):
        require_pushable(name, ["timm"])


def test_the_token_comes_from_the_environment_alone(monkeypatch, tmp_path):
    (tmp_path / "token").write_text("hf_of_the_disk")
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(UsageError, match="there is no token in the environment"):
        require_pushable("ada/birds", ["timm"])


@pytest.mark.parametrize("kinds", [["coreml"], ["timm", "onnx"], []])
def test_one_export_that_the_hub_has_a_use_for_is_pushed(hub, kinds):
    with pytest.raises(UsageError, match="one export of kind timm or onnx is required"):
        require_pushable("ada/birds", kinds)


def test_a_changed_export_stays_here(exports, dense_model, tmp_path):
    content = bytearray(exports["onnx"].read_bytes())
    content[500] ^= 1
    (tmp_path / "model.onnx").write_bytes(bytes(content))
    with pytest.raises(BundleError, match="is not what `thawline export` wrote"):
        files_for_hub(dense_model, tmp_path / "model.onnx", kind="onnx")


def test_training_pictures_are_never_pushed(monkeypatch, capsys, tmp_path):
    from thawline.cli.app import main

    monkeypatch.setenv("HF_TOKEN", "secret")
    words = ["export", str(tmp_path), "--to", "onnx", "--push-to", "ada/birds", "--with-neighbours"]
    assert main(words) == 2
    assert "training pictures are never pushed. Push without --with-neighbours" in capsys.readouterr().err
