"""A manifest is read only from a folder that is exactly what it says: every file, every type, every key."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from thawline.core.errors import BundleError
from thawline.core.rendering import AS_BEFORE
from thawline.use.manifest import Manifest, file_sha256, read_manifest

FILES = ("backbone.safetensors", "head.safetensors", "pictures.safetensors", "golden/1.jpg")


@pytest.fixture
def copy(drawn_model, tmp_path) -> Path:
    """Return a model folder that a test may spoil; files are linked, so replace them, do not write into them."""
    return Path(shutil.copytree(drawn_model.directory, tmp_path / "model", copy_function=os.link))


def put(path, data):
    path.unlink(missing_ok=True)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)


def edit(directory, place, value):
    """Set what lies at a place of the manifest, such as `golden.0.file`; `files/head.safetensors` is one key."""
    path = directory / "manifest.json"
    content = inner = json.loads(path.read_bytes())
    *outer, last = (int(key) if key.isdigit() else key for key in place.split("/" if "/" in place else "."))
    for key in outer:
        inner = inner[key]
    inner[last] = value
    put(path, json.dumps(content).encode())


def seal(directory):
    path = directory / "manifest.json"
    put(path, json.dumps(Manifest.model_validate_json(path.read_bytes()).sealed().model_dump()).encode())


def test_a_folder_that_nobody_touched_gives_the_manifest_that_was_written(copy, drawn_model):
    manifest = read_manifest(copy)
    assert manifest == drawn_model.manifest
    assert manifest.files["golden/1.jpg"] == file_sha256(copy / "golden" / "1.jpg")
    assert (manifest.strategy, manifest.num_pictures, len(manifest.golden)) == ("drawn", 0, 3)


def test_a_manifest_prints_without_its_lists(drawn_model):
    printed = repr(drawn_model.manifest)
    assert printed.startswith("Manifest(format=1, thawline='0.0.0', strategy='drawn', backbone=BackboneFacts(")
    assert len(printed) < 1000
    assert not any(name in printed for name in ("head.safetensors", "golden", "stripe", "blocks", "provenance"))


@pytest.mark.parametrize("name", FILES)
def test_an_altered_byte_anywhere_in_a_file_is_noticed(copy, name):
    data = (copy / name).read_bytes()
    for position in (0, 9, len(data) // 2, len(data) - 1):
        put(copy / name, data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
        with pytest.raises(BundleError, match=rf"{name}: the contents are not what the manifest says\. Copy"):
            read_manifest(copy)
    put(copy / name, data[:-1])
    with pytest.raises(BundleError, match="the contents are not"):
        read_manifest(copy)


def test_an_altered_byte_anywhere_in_the_manifest_is_noticed(copy):
    data = (copy / "manifest.json").read_bytes()
    for position in range(len(data)):
        altered = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
        with suppress(ValueError):
            if json.loads(altered) == json.loads(data):
                continue  # white space, or a digit beyond what a number can tell apart
        put(copy / "manifest.json", altered)
        with pytest.raises(BundleError, match=r"load .*manifest\.json"):
            read_manifest(copy)
    put(copy / "manifest.json", data[:-3])
    with pytest.raises(BundleError, match=r"manifest\.json does not describe a bundle"):
        read_manifest(copy)


def test_a_change_that_keeps_the_old_seal_is_noticed(copy):
    edit(copy, "strategy", "another")
    with pytest.raises(BundleError, match=r"manifest\.json is not what was written\. Copy the bundle again"):
        read_manifest(copy)
    seal(copy)
    assert read_manifest(copy).strategy == "another"


def test_problems_are_listed_by_name(copy):
    names = sorted(FILES)
    for name in reversed(names):
        put(copy / name, b"altered")
    with pytest.raises(BundleError, match=f"{', '.join(names)}: the contents are not"):
        read_manifest(copy)
    for name in reversed(names):
        (copy / name).unlink()
        put(copy / f"{name}.bak", b"more")
    problems = [f"unknown file {name}.bak" for name in names] + [f"missing file {name}" for name in names]
    with pytest.raises(BundleError, match=", ".join(problems)):
        read_manifest(copy)
    for name in ("z", "y", "x"):
        (copy / name).symlink_to(copy / "manifest.json")
    with pytest.raises(BundleError, match="x, y, z: a link or device"):
        read_manifest(copy)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(BundleError, match=f"missing file {name}. Copy the bundle again, whole"):
        read_manifest(copy)


def test_a_file_without_a_hash_is_missing(copy):
    files = json.loads((copy / "manifest.json").read_bytes())["files"]
    edit(copy, "files", {name: digest for name, digest in files.items() if name != "head.safetensors"})
    seal(copy)
    with pytest.raises(BundleError, match=r"missing file head\.safetensors"):
        read_manifest(copy)


@pytest.mark.parametrize("name", ["model.pkl", ".hidden", "golden/9.jpg", "code/run.py"])
def test_a_further_file_is_refused_even_if_the_manifest_names_it(copy, name):
    put(copy / name, b"more")
    with pytest.raises(BundleError, match=f"unknown file {name}"):
        read_manifest(copy)
    if name == "model.pkl":
        edit(copy, f"files/{name}", file_sha256(copy / name))
        seal(copy)
        with pytest.raises(BundleError, match=f"unknown file {name}"):
            read_manifest(copy)


@pytest.mark.parametrize(
    "name",
    [
        ".DS_Store",
        "golden/._1.jpg",
        "Thumbs.db",
        "desktop.ini",
        "golden/.DS_Store",
        "Icon\r",
        "@eaDir/1.jpg@SynoEAStream",
    ],
)
def test_what_a_system_leaves_behind_is_passed_over(copy, drawn_model, name):
    put(copy / name, b"Bud1")
    assert read_manifest(copy) == drawn_model.manifest


@pytest.mark.parametrize(
    "name", [".hidden", "DS_Store", "thumbs.db.exe", "golden/x._y", ".DS_Store/inside", "._x/inside"]
)
def test_other_hidden_files_are_refused(copy, name):
    put(copy / name, b"x")
    with pytest.raises(BundleError, match=f"unknown file {name}"):
        read_manifest(copy)


def test_no_bundle_at_all(tmp_path):
    (tmp_path / "file").write_text("x")
    for path in (tmp_path, tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(BundleError, match=r"there is no manifest\.json\. Name the `model` folder"):
            read_manifest(path)


@pytest.mark.parametrize("name", ["manifest.json", "head.safetensors", "golden"])
def test_links_are_refused(copy, drawn_model, name):
    shutil.rmtree(copy / name) if (copy / name).is_dir() else (copy / name).unlink()
    (copy / name).symlink_to(drawn_model.directory / name)
    with pytest.raises(BundleError, match=rf"{name}: a link or device where a file is required.*cp -rL"):
        read_manifest(copy)


@pytest.mark.parametrize("name", ["manifest.json", "head.safetensors"])
def test_a_pipe_is_refused_and_not_waited_for(copy, name):
    (copy / name).unlink()
    os.mkfifo(copy / name)
    with pytest.raises(BundleError, match=f"{name}: a link or device"):
        read_manifest(copy)


@pytest.mark.parametrize("name", ["manifest.json", "head.safetensors"])
def test_a_file_that_may_not_be_read_is_named(copy, name, monkeypatch):
    real = Path.open

    def refuse(path, *words, **named):
        if path == copy / name:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, *words, **named)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(BundleError, match=rf"{name}: cannot be read: Permission denied\. Allow reading, or copy"):
        read_manifest(copy)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("format", 2),
        ("format", "1"),
        ("seal", "0"),
        ("seal", "G" * 64),
        ("more", 1),
        ("class_names", ["one"]),
        ("class_names", "abc"),
        ("class_names.0", 1),
        ("temperature", 0.0),
        ("temperature", "2.5"),
        ("temperature", True),
        ("temperature", float("inf")),
        ("temperature", float("nan")),
        ("num_pictures", -1),
        ("num_pictures", 1.5),
        ("compute", "int8"),
        ("storage", "bfloat16"),
        ("input.size_px", 7),
        ("input.size_px", 4097),
        ("input.size_px", 10**400),
        ("input.mean", [0.1, 0.2]),
        ("input.mean", [0.1, 0.2, 0.3, 0.4]),
        ("input.std", [1.0, 1.0]),
        ("input.std", [1.0, 1.0, 1.0, 1.0]),
        ("input.std.0", 0.0),
        ("input.std.0", float("nan")),
        ("input.interpolation", "nearest"),
        ("input.fit", "pad"),
        ("blocks", []),
        ("blocks.0", [8]),
        ("golden", []),
        ("golden.0.probabilities.0", float("nan")),
        ("golden.0.file", "../golden/0.jpg"),
        ("golden.0.file", "/etc/passwd"),
        ("golden.0.file", "golden/../../x"),
        ("golden.0.file", "golden/" + "x" * 74),
        ("files", {"../head.safetensors": "0" * 64}),
        ("files", {"/etc/passwd": "0" * 64}),
        ("files", {"head.safetensors\n": "0" * 64}),
        ("files/head.safetensors", "abc"),
        ("images_key", "abc"),
        ("backbone.architecture", "local-dir:/etc"),
        ("backbone.architecture", "hf-hub:somebody/else"),
        ("backbone.weights_sha256", None),
        ("backbone.more", 1),
        ("golden.0.more", 1),
    ],
)
def test_a_manifest_of_wrong_types_is_refused(copy, place, value):
    edit(copy, place, value)
    match = r"(?s)manifest\.json does not describe a bundle of format 1 .*It was altered.*Copy the bundle again"
    with pytest.raises(BundleError, match=match) as error:
        read_manifest(copy)
    assert place.replace("/", ".") in str(error.value)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("input.size_px", 8),
        ("input.size_px", 4096),
        ("input.interpolation", "bilinear"),
        ("input.interpolation", "bicubic"),
        ("input.fit", "crop"),
        ("input.fit", "letterbox"),
        ("input.fit", "stretch"),
        ("input.std.0", 1e-9),
        ("temperature", 1e-9),
        ("num_pictures", 0),
        ("compute", "float32"),
        ("compute", "bfloat16"),
        ("compute", "float16"),
        ("storage", "float32"),
        ("storage", "float16"),
        ("class_names", ["a", "b"]),
        ("blocks", [[1, "mean"]]),
    ],
)
def test_what_is_within_range_is_allowed(copy, place, value):
    edit(copy, place, value)
    seal(copy)
    assert read_manifest(copy).golden


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"not json",
        b"{" * 100_000,
        b"[" * 100_000,
        b'{"provenance": ' + b'{"a": ' * 5000 + b"1" + b"}" * 5001,
        "\ud800".encode("utf-8", "surrogatepass"),
        b"\xff\xfe\x00",
        b"\x00" * 100,
    ],
)
def test_what_is_no_manifest_is_refused(copy, content):
    put(copy / "manifest.json", content)
    with pytest.raises(BundleError, match=r"manifest\.json does not describe a bundle") as error:
        read_manifest(copy)
    assert len(str(error.value)) < 2000


def test_a_folder_from_before_there_was_a_rendering_loads_and_scales_as_it_did(copy):
    path = copy / "manifest.json"
    content = json.loads(path.read_bytes())
    del content["input"]["rendering"], content["seal"]
    plain = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
    put(path, json.dumps({**content, "seal": hashlib.sha256(plain.encode()).hexdigest()}).encode())
    manifest = read_manifest(copy)
    assert manifest.input.rendering is None
    assert manifest.input.spec().rendering == AS_BEFORE


def test_a_folder_without_a_share_shows_the_whole_shorter_side(copy, drawn_model):
    assert "crop_share" not in json.loads((copy / "manifest.json").read_bytes())["input"]
    assert read_manifest(copy).input.spec().crop_share == drawn_model.classifier.inputs[0].crop_share == 1.0
    edit(copy, "input.crop_share", 0.875)
    seal(copy)
    assert json.loads((copy / "manifest.json").read_bytes())["input"]["crop_share"] == 0.875
    assert read_manifest(copy).input.spec().crop_share == 0.875
    edit(copy, "input.crop_share", 1.5)
    with pytest.raises(BundleError, match=r"input\.crop_share: Input should be less than or equal to 1"):
        read_manifest(copy)
