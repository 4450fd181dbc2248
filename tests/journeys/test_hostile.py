"""What can go wrong does: the exit code says whose turn it is, one message says what and what next, nothing is lost."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import pickle
import re
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from thawline.features import network
from thawline.work import session

NEW_NETWORKS = {"HF_ENDPOINT": "http://127.0.0.1:9", "http_proxy": None, "https_proxy": None, "HTTP_PROXY": None}
NEW_NETWORKS |= {"HTTPS_PROXY": None, "HF_HUB_OFFLINE": None}


def draw(path, seed):
    """Write a picture that is unlike those of other seeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC).save(path)


def draw_classes(root, **counts):
    """Write so many pictures of each class into `root` and return it."""
    root.mkdir(exist_ok=True)
    for number, (name, count) in enumerate(counts.items()):
        for index in range(count):
            draw(root / name / f"{index}.png", 100 * number + index)
    return root


def snapshot(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(said, code, *pieces):
    """Check that a command ended with `code`, and told the person so on standard error alone, in one message."""
    assert said.code == code, said.err
    assert said.out == ""
    assert "Traceback" not in said.err
    message = said.err.strip().splitlines()[-1]
    assert message.startswith("thawline: ")
    assert sum(line.startswith("thawline: ") for line in said.err.splitlines()) == 1
    for piece in pieces:
        assert piece in message


# exit code 2: the words on the command line


@pytest.mark.parametrize(
    ("line", "pieces"),
    [
        ("frobnicate", ["'frobnicate'", "fit", "`thawline --help`"]),
        ("cache empty", ["'empty'", "list, prune", "`thawline cache --help`"]),
        ("fit", ["fit: no pictures are named", "thawline fit PHOTOS", "--config"]),
        ("predict model", ["no pictures are named", "`-` for names on standard input"]),
        ("fit photos --fold 3", ["--fold", "--folds"]),
        ("check photos more", ["more", "`thawline check --help`"]),
        ("fit photos --folds", ["--folds"]),
        ("fit photos --folds five", ["--folds 'five'", "valid integer"]),
        ("fit photos --folds 1", ["--folds 1", "at least 2 folds"]),
        ("fit photos --repeats 0", ["--repeats 0", "1 repeat"]),
        ("fit photos --size 8", ["--size 8", "between 32 and 2048"]),
        ("fit photos --seed -1", ["--seed -1", "at least 0"]),
        ("fit photos --fit zoom", ["--fit 'zoom'", "'crop', 'letterbox' or 'stretch'"]),
        ("fit photos --class-weights heavy", ["--class-weights 'heavy'", "'auto', 'adjusted', 'balanced' or 'none'"]),
        ("fit photos --pooling median", ["--pooling 'median'", "'mean', 'std', 'max' or 'grid'"]),
        ("fit photos --pooling mean --pooling mean", ["--pooling is mean, mean", "once"]),
        ("compare photos --fit zoom --metric luck", ["--fit 'zoom'", "--metric 'luck'", "`thawline compare --help`"]),
        ("check photos --on-bad ignore", ["--on-bad 'ignore'", "'skip' or 'stop'"]),
        ("predict model photos --json --csv", ["--json and --csv contradict", "Choose one"]),
        ("cache prune --keep-mib much", ["--keep-mib", '"much"']),
        ("tune", ["tune: no pictures are named", "thawline tune PHOTOS", "--config"]),
        ("tune photos", ["no plan is named", '--plan "last 20 %"']),
        ("tune photos --plan 'lats 20 %'", ["plan 'lats 20 %' is not known", "Did you mean 'last 20 %'?"]),
        ("tune photos --plan 'last 0 %'", ["'last 0 %'", "a share above 0", "write: head"]),
        ("tune photos --plan all --epochs 3 --warmup 3", ["--warmup 3", "--epochs 3", "Lower it"]),
        ("tune photos --plan all --augment augmix --views 1", ["augmix", "views"]),
        ("tune photos --plan all --augment sepia", ["sepia", "augmix"]),
        ("tune photos --plan all --schedule one-cycle --patience 2", ["one-cycle and --patience", "Drop --patience"]),
        ("tune photos --plan all --find-rate --learning-rate 0.1", ["--learning-rate 0.1", "--find-rate", "one of"]),
        ("tune photos --plan all --disk-budget lots", ["'lots' is not a size", "500MB"]),
        ("tune photos --plan all --optimizer lion", ["--optimizer 'lion'", "'adamw', 'adam' or 'sgd'"]),
        ("fit photos --budget soon", ["'soon' is not a duration", "15min"]),
        ("fit photos --budget -5s", ["budget"]),
        ("fit photos --plan all", ["plans without a budget", "--budget 15min"]),
        ("fit photos --budget 5min --plan 'last 0 %'", ["'last 0 %'", "a share above 0"]),
        ("compare photos --augment augmix --views 1", ["augmix", "views"]),
    ],
)
def test_usage_is_refused_with_2(line, pieces, thawline):
    said = thawline(*shlex.split(line))
    refused(said, 2, *pieces)
    assert "pydantic" not in said.err


@pytest.mark.parametrize(
    "name",
    ["all\x1b[31m\x07", "all\nthawline: done", "last 20 \u202e%", "a" * 5000, "b" * 5000 + " from nothing", "/../x"],
)
def test_a_plan_with_a_hostile_name_is_refused_in_a_line_that_is_no_trap(name, run, thawline, shared_cache, tmp_path):
    said = thawline("tune", run.photos, "--plan", name, "-o", tmp_path / "out", "--size", "64")
    refused(said, 2, "plan", "all; last 20 %; last 7 blocks")
    assert said.err.splitlines()[-1].isprintable()
    assert len(said.err.splitlines()[-1]) < 1000


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("epoch = 3", ["there is no key 'epoch'; did you mean epochs?"]),
        ("epochs = 'many'", ["epochs = 'many'", "integer"]),
        ("epochs = ", ["Fix the TOML there"]),
        ("plans = 'all'", ["plans must be a list of texts"]),
        ("plans = ['lats 20 %']\nphotos = 'photos'", ["Did you mean 'last 20 %'?"]),
        ("epochs = 3\nwarmup = 3", ["--warmup 3", "Lower it"]),
        ("plans = ['all']\nphotos = 'nowhere'", ["nowhere does not exist"]),
    ],
)
def test_a_config_that_cannot_be_is_refused(text, pieces, thawline, tmp_path):
    (tmp_path / "run.toml").write_text(text)
    said = thawline("tune", "--config", tmp_path / "run.toml", "-o", tmp_path / "out")
    refused(said, 1 if "nowhere" in text else 2, *pieces)


def test_a_network_from_nothing_that_does_not_exist(run, thawline, shared_cache, tmp_path):
    said = thawline("tune", run.photos, "--plan", "resnet35 from nothing", "-o", tmp_path / "out", "--size", "64")
    refused(said, 1, "resnet35", "Did you mean", "resnet34")
    said = thawline("tune", run.photos, "--plan", "last 70 blocks", "-o", tmp_path / "out", "--size", "64")
    refused(said, 1, "efficientnet_lite0", "70")


def test_a_config_that_is_not_there(thawline, tmp_path):
    refused(thawline("tune", "--config", tmp_path / "run.toml"), 2, "run.toml", "No such file", "Name a TOML file")


def test_a_device_that_is_not_here_is_usage(run, thawline, shared_cache):
    said = thawline("extract", run.photos, "--device", "abacus")
    refused(said, 2, "device 'abacus' cannot be used here", "Try --device cpu")


# exit code 1: the pictures


def test_a_folder_that_is_not_there(thawline, tmp_path):
    refused(thawline("fit", tmp_path / "nowhere", "-o", tmp_path / "out"), 1, "nowhere does not exist", "Check the")


def test_an_empty_folder(thawline, tmp_path):
    photos = draw_classes(tmp_path / "photos")
    refused(thawline("fit", photos, "-o", tmp_path / "out"), 1, f"{photos} holds no files", "Put the pictures")


def test_one_class(thawline, tmp_path):
    photos = draw_classes(tmp_path / "photos", cat=6)
    refused(thawline("fit", photos, "-o", tmp_path / "out"), 1, str(photos), "'cat'", "two or more", "Put the")


def test_a_class_of_one_picture(thawline, tmp_path):
    photos = draw_classes(tmp_path / "photos", cat=6, dog=1)
    refused(thawline("fit", photos, "-o", tmp_path / "out"), 1, "dog has one usable picture", "Add pictures of it")


def test_too_few_pictures_to_hold_some_out(thawline, tmp_path):
    photos = draw_classes(tmp_path / "photos", cat=2, dog=2)
    refused(thawline("fit", photos, "-o", tmp_path / "out"), 1, "4 pictures in 2 classes", "Add pictures")


def test_text_files_only(thawline, tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(7):
            (tmp_path / "photos" / name / f"{index}.jpg").write_text("a picture of it")
    said = thawline("fit", tmp_path / "photos", "-o", tmp_path / "out")
    refused(said, 1, "none of the 14 files", "cat/0.jpg (text, not a picture)", "and 13 more like it", "Name a folder")


def test_a_single_picture_instead_of_a_folder(thawline, tmp_path):
    draw(tmp_path / "cat.png", 1)
    refused(thawline("check", tmp_path / "cat.png"), 1, "cat.png is a single file", "Name a folder")


def test_a_manifest_without_its_columns(thawline, tmp_path):
    (tmp_path / "photos.csv").write_text("file,class\ncat.png,cat\n")
    refused(thawline("check", tmp_path / "photos.csv"), 1, "photos.csv", "path")


def test_links_that_lead_back_or_nowhere_end(thawline, photos, run, shared_cache, tmp_path):
    (photos / "train/3/up").symlink_to(photos)
    (photos / "train/8/self").symlink_to("self")
    (photos / "train/9/gone").symlink_to("nothing")
    said = thawline("fit", photos, "-o", tmp_path / "out", "--json")
    assert said.code == 0
    assert said.json["pictures"] == {"used": 55, "skipped": 4, "leaked": 1}
    assert said.json["test"] == run.read("run.json")["test"]
    rows = thawline("predict", tmp_path / "out/model", photos / "train", "--json").rows
    assert [row["path"].rsplit("/", 1)[-1] for row in rows if "error" in row] == ["self", "gone", "notes.txt"]


def test_a_link_to_itself_as_the_folder(thawline, tmp_path):
    (tmp_path / "photos").symlink_to("photos")
    said = thawline("fit", tmp_path / "photos", "-o", tmp_path / "out")
    refused(said, 1, str(tmp_path / "photos"))


def test_emoji_spaces_quotes_and_dashes_in_every_path(run, thawline, shared_cache, tmp_path):
    photos = shutil.copytree(run.photos, tmp_path / "ma 📷 'photos' \"<b>&amp;")
    for part in ("train", "test"):
        (photos / part / "8").rename(photos / part / "--eight 🐙 <script>")
    out = tmp_path / "läufe 🏃/-o"
    said = thawline("fit", photos, "-o", out)
    assert said.code == 0
    assert f"  open {shlex.quote(str(out / 'report.html'))}\n" in said.out
    text = (out / "report.html").read_text(encoding="utf-8")
    assert "--eight 🐙 &lt;script&gt;" in text
    assert "<script>\n" not in text.split("--eight")[0][-20:]
    assert "🐙 <script>" not in text
    rows = thawline("predict", out / "model", photos / "test", "--json").rows
    assert {row["label"] for row in rows} == {"3", "9", "--eight 🐙 <script>"}
    assert {row["path"] for row in rows} == {str(path) for path in (photos / "test").rglob("*.png")}


def test_names_that_are_no_text_at_all(run, thawline, shared_cache, tmp_path):
    root = os.fsdecode(os.fsencode(tmp_path) + b"/ph\xffotos")
    shutil.copytree(run.photos, root)
    shutil.copy(min((run.photos / "train/3").iterdir()), os.fsencode(root) + b"/train/3/\xe9t\xe9.png")
    out = os.fsdecode(os.fsencode(tmp_path) + b"/out\xfe")
    said = thawline("fit", root, "-o", out)
    assert said.code == 0, said.err
    assert r"train/3/\xe9t\xe9.png" in Path(out, "ledger.csv").read_bytes().decode()
    assert r"train/3/\\xe9t\\xe9.png" in str(json.loads(Path(out, "report.json").read_bytes())["check"])
    assert Path(out, "report.html").read_bytes().decode().rstrip().endswith("</html>")


def test_a_picture_that_vanishes_between_check_and_extraction(thawline, tmp_path, own_cache, monkeypatch):
    photos = draw_classes(tmp_path / "photos", cat=6, dog=6)
    check = session.check

    def check_too_early(*arguments, **options):
        found = check(*arguments, **options)
        (photos / "dog/3.png").unlink(missing_ok=True)
        return found

    monkeypatch.setattr(session, "check", check_too_early)
    said = thawline("fit", photos, "-o", tmp_path / "out", "--size", "32")
    refused(said, 1, "dog/3.png")
    assert re.search(r"gone|missing|vanished|changed|no longer", said.err)
    said = thawline("fit", photos, "-o", tmp_path / "out", "--size", "32")
    assert said.code == 0


def test_a_picture_that_changes_between_check_and_extraction(thawline, tmp_path, monkeypatch):
    photos = draw_classes(tmp_path / "photos", cat=6, dog=6)
    rendering_as = network.rendering_as

    def after_the_check(*arguments):
        draw(photos / "dog/3.png", 999)
        return rendering_as(*arguments)

    monkeypatch.setattr(network, "rendering_as", after_the_check)
    refused(thawline("extract", photos, "--size", "32"), 1, "dog/3.png", "changed")


# exit code 1: places that cannot be written


def test_the_output_folder_is_a_file(run, thawline, shared_cache, tmp_path):
    (tmp_path / "out").write_text("mine")
    for out in (tmp_path / "out", tmp_path / "out/deeper"):
        said = thawline("fit", run.photos, "-o", out)
        refused(said, 1, str(tmp_path / "out"), "a file stands where a folder is needed", "Choose another place")
    assert (tmp_path / "out").read_text() == "mine"


def test_the_output_lies_where_nothing_can_be_made(run, thawline, shared_cache):
    refused(thawline("fit", run.photos, "-o", "/proc/out"), 1, "/proc/out")


def test_the_cache_is_a_file(run, thawline, tmp_path):
    (tmp_path / "file").write_text("mine")
    for words in (("extract", run.photos), ("cache", "list"), ("cache", "prune")):
        said = thawline(*words, "--cache-dir", tmp_path / "file")
        refused(said, 1, str(tmp_path / "file"), "a file stands where a folder is needed", "--cache-dir")
    assert (tmp_path / "file").read_text() == "mine"


@contextmanager
def obeying_permissions():
    """Make this thread, and those that it starts, obey permissions although the superuser runs it; Linux only."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0))
    held = ctypes.create_string_buffer(24)
    if libc.capget(header, held) != 0:
        pytest.skip("capabilities cannot be read here")
    sets = list(struct.unpack("=6I", held.raw))
    sets[0] &= ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(header, ctypes.create_string_buffer(struct.pack("=6I", *sets))) == 0
    try:
        yield
    finally:
        assert libc.capset(header, held) == 0


@contextmanager
def locked(path, mode):
    before = path.stat().st_mode
    path.chmod(mode)
    try:
        with obeying_permissions():
            yield
    finally:
        path.chmod(before)


linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="lays capabilities down, as Linux has them")


@linux
def test_a_cache_that_may_not_be_written(run, thawline, tmp_path):
    cache = shutil.copytree(run.cache, tmp_path / "copy")
    photos = draw_classes(tmp_path / "photos", cat=4, dog=4)
    with locked(cache, 0o555), locked(cache / "banks", 0o555):
        said = thawline("extract", photos, "--size", "32", "--cache-dir", cache)
        refused(said, 1, str(cache), "permission denied", "Choose a place that you may write to")
        said = thawline("cache", "prune", "--yes", "--json", "--cache-dir", cache)
        refused(said, 1, "permission denied")
    assert snapshot(cache) == snapshot(run.cache)


@linux
def test_an_output_folder_that_may_not_be_written(run, thawline, shared_cache, tmp_path):
    (tmp_path / "closed").mkdir()
    with locked(tmp_path / "closed", 0o555):
        said = thawline("fit", run.photos, "-o", tmp_path / "closed/out")
    refused(said, 1, str(tmp_path / "closed/out"), "permission denied", "-o for results")
    assert "check:" not in said.err  # it is found out before the work, not after it


@linux
def test_pictures_that_may_not_be_read(run, thawline, photos, tmp_path):
    with locked(photos, 0o000):
        refused(thawline("check", photos), 1, str(photos), "no permission", "permissions")
    with locked(photos / "train/3", 0o000):
        refused(thawline("check", photos), 1, "3 has pictures to test on but none to train on")
    one = min((photos / "train/3").iterdir())
    with locked(one, 0o000):
        facts = thawline("check", photos, "--json").json
        assert {"path": f"train/3/{one.name}", "reason": "no permission to read it"} in facts["skipped"]
        (row,) = thawline("predict", run.out / "model", one, "--json").rows
        assert "Permission denied" in row["error"] or "no permission" in row["error"]


def test_a_run_that_fails_leaves_the_last_good_one_whole(run, thawline, shared_cache, tmp_path):
    out = shutil.copytree(run.out, tmp_path / "out")
    before = snapshot(out)
    assert thawline("fit", tmp_path / "nowhere", "-o", out).code == 1
    assert thawline("fit", run.photos, "-o", out, "--backbone", "resnet35").code == 1
    assert snapshot(out) == before


@pytest.mark.slow
def test_a_tuning_that_meets_a_full_disk_leaves_the_last_good_run_whole(
    tuned, thawline, shared_cache, tuning, tmp_path, monkeypatch
):
    out = shutil.copytree(tuned.out, tmp_path / "out")
    before, write_bytes = snapshot(out), Path.write_bytes

    def full(path, data):
        if path.name == "state.safetensors":
            write_bytes(path, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write_bytes(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        said = thawline("tune", tuned.photos, *tuning, "-o", out)
    refused(said, 1, "write a checkpoint", str(out / ".thawline-work"), "the disk is full", "-o for results")
    after = snapshot(out)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {".thawline-work/request.json"}  # nothing half-written is left
    said = thawline("tune", "--resume", out, "--json")
    assert said.code == 0
    assert said.json["test"] == tuned.read("run.json")["test"]


@linux
@pytest.mark.slow
def test_a_tuning_into_a_folder_that_may_not_be_written_trains_nothing(tuned, thawline, shared_cache, tuning, tmp_path):
    out = shutil.copytree(tuned.out, tmp_path / "out")
    before = snapshot(out)
    with locked(out, 0o555):
        said = thawline("tune", tuned.photos, *tuning, "-o", out)
    refused(said, 1, str(out), "permission denied", "-o for results")
    assert "tune" not in said.err.replace(str(out), "")
    assert snapshot(out) == before


def test_a_run_inside_its_own_pictures_never_becomes_a_class(run, thawline, photos, shared_cache):
    photos = photos / "train"
    for _ in range(2):
        said = thawline("fit", photos, "-o", photos / "runs/fit", "--json")
        if said.code == 0:
            assert said.json["pictures"]["used"] == 36
        else:
            refused(said, 1, str(photos))
    assert "runs" not in thawline("check", photos, "--json").json["class_counts"]


# exit code 1: backbones, weights, models


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("weights.txt", b"hello", "Fetch the file again"),
        ("weights.pt", pickle.dumps(print), "could run code"),
        ("weights.zip", b"PK\x03\x04junk", "Fetch the file again"),
        ("weights.safetensors", b"\0\0\0", "safetensors"),
        ("empty.bin", b"", "empty.bin"),
    ],
)
def test_weights_that_are_none(name, content, said, run, thawline, shared_cache, tmp_path):
    (tmp_path / name).write_bytes(content)
    refused(thawline("extract", run.photos, "--weights", tmp_path / name), 1, str(tmp_path / name), said)


def test_weights_of_another_network(run, thawline, shared_cache):
    weights = run.out / "model/head.safetensors"
    refused(thawline("extract", run.photos, "--weights", weights), 1, str(weights), "efficientnet_lite0", "missing")


def test_weights_that_are_not_there(run, thawline, shared_cache, tmp_path):
    said = thawline("extract", run.photos, "--weights", tmp_path / "gone.pt")
    refused(said, 1, str(tmp_path / "gone.pt"), "No such file", "Check the path")


@pytest.mark.parametrize(
    ("name", "near"), [("resnet35", "resnet34"), ("efficientnet_light0", "efficientnet_lite0"), ("a/b", "hf-hub:a/b")]
)
def test_an_unknown_backbone_gets_the_nearest_names(name, near, run, thawline, shared_cache):
    refused(thawline("extract", run.photos, "--backbone", name), 1, repr(name), near)


def test_weights_that_need_a_network_name_the_file_to_bring(run, shell, tmp_path):
    changes = {**NEW_NETWORKS, "HF_HOME": str(tmp_path / "hub")}
    said = shell("extract", run.photos, "--backbone", "resnet34", **changes)
    refused(said, 1, "'resnet34'", "model.safetensors", "timm/resnet34.a1_in1k", "--weights", "local-dir:")


@pytest.mark.slow
def test_a_network_that_never_answers_is_asked_once_and_given_up(run, shell, tmp_path):
    num_tries = 0
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        changes = {**NEW_NETWORKS, "HF_ENDPOINT": endpoint, "HF_HOME": str(tmp_path / "hub")}
        said = shell("extract", run.photos, "--backbone", "resnet34", **changes)
        silent.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                silent.accept()[0].close()
                num_tries += 1
    refused(said, 1, "'resnet34'", "model.safetensors", "--weights")
    assert num_tries == 1


def flip(path, at=-5):
    content = bytearray(path.read_bytes())
    content[at] ^= 0xFF
    path.write_bytes(bytes(content))


DAMAGE = {
    "a byte of the head": (lambda model: flip(model / "head.safetensors"), "head.safetensors"),
    "a byte of the backbone": (lambda model: flip(model / "backbone.safetensors"), "backbone.safetensors"),
    "no head": (lambda model: (model / "head.safetensors").unlink(), "missing file head.safetensors"),
    "a stranger": (lambda model: (model / "run.py").write_text("print('boo')"), "unknown file run.py"),
    "half a manifest": (lambda model: (model / "manifest.json").write_text("{"), "manifest.json does not describe"),
    "no manifest": (lambda model: (model / "manifest.json").unlink(), "no manifest.json"),
    "no folder": (shutil.rmtree, "no such file or folder"),
    "another format": (
        lambda model: (model / "manifest.json").write_text(json.dumps({"format": 99})), "format 1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_model_predicts_nothing(what, run, thawline, model):
    damage, piece = DAMAGE[what]
    damage(model)
    refused(thawline("predict", model, run.photos / "test"), 1, f"load {model}", piece)
    refused(thawline("evaluate", model, run.photos), 1, f"load {model}", piece)


def test_a_class_that_the_model_does_not_know(run, thawline, photos):
    for part in ("train", "test"):
        (photos / part / "3").rename(photos / part / "three")
    said = thawline("evaluate", run.out / "model", photos)
    refused(said, 1, "three: not among the model's classes (3, 8, 9)", "Rename the folders")


def test_a_report_of_what_is_no_run(run, thawline, tmp_path):
    (tmp_path / "run").mkdir()
    refused(thawline("report", tmp_path / "run"), 1, str(tmp_path / "run"), "Name a folder that `thawline fit` wrote")
    for content in ("{}", "[1", "\xff"):
        (tmp_path / "run/report.json").write_text(content, encoding="latin-1")
        refused(thawline("report", tmp_path / "run"), 1, "report", "`thawline fit`")
    assert not (tmp_path / "run/report.html").exists()


# interruptions, and readers that leave


@pytest.mark.slow
def test_an_interrupted_extraction_says_what_is_kept_and_goes_on_from_there(scans, own_cache, shell, tmp_path):
    for name in "01234":
        (tmp_path / "photos" / name).mkdir(parents=True)
        (tmp_path / "photos" / name / "all").symlink_to(scans / "test" / name)
    total = len(list((scans / "test").glob("[01234]/*")))
    words = ("extract", tmp_path / "photos", "--size", "96", "--json")
    child = subprocess.Popen(
        [sys.executable, "-m", "thawline", *map(os.fspath, words)],
        env={**os.environ, "THAWLINE_CACHE": str(own_cache), "THAWLINE_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a job in the background ignores it
    )
    while not any(path.is_dir() for path in own_cache.glob("banks/*/*")):
        assert child.poll() is None, child.communicate()
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=600)
    assert (child.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert "thawline: interrupted." in err
    assert "kept" in err.splitlines()[-1]
    assert "the same command goes on from there" in err.splitlines()[-1]
    assert list((own_cache / ".thawline-staging").glob("*")) == []
    facts = shell(*words).json
    kept = total - facts["extracted"]
    assert kept >= 256
    assert kept % 256 == 0
    assert (facts["pictures_in_bank"], facts["damaged_rows"]) == (total, 0)


def test_a_reader_that_has_gone_is_no_error(run):
    for words in (("check", run.photos, "--json"), ("check", run.photos), ("cache", "list")):
        reading, writing = os.pipe()
        os.close(reading)
        environment = {**os.environ, "THAWLINE_CACHE": str(run.cache)}
        environment.pop("PYTHONUNBUFFERED", None)
        call = [sys.executable, "-m", "thawline", *map(os.fspath, words)]
        done = subprocess.run(call, stdout=writing, stderr=subprocess.PIPE, env=environment, timeout=600, text=True)
        os.close(writing)
        assert done.returncode == 0
        assert re.fullmatch(r"(check: .*\n)?", done.stderr)


def test_predict_into_head_shows_one_line(run, shell):
    line = shlex.join([sys.executable, "-m", "thawline", "predict", str(run.out / "model"), str(run.photos)])
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    call = ["bash", "-c", f'{line} | head -1; echo "${{PIPESTATUS[0]}}"']
    done = subprocess.run(call, capture_output=True, text=True, env=environment, timeout=600, check=False)
    first, code = done.stdout.splitlines()
    assert re.fullmatch(r"[01]\.\d{3}  [389]  .*\.png", first)
    assert code == "0"
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_results_that_cannot_be_printed(run):
    with Path("/dev/full").open("w") as full:
        call = [sys.executable, "-m", "thawline", "check", str(run.photos)]
        buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        done = subprocess.run(
            call, stdout=full, stderr=subprocess.PIPE, env=buffered, timeout=600, text=True, check=False
        )
    assert done.returncode == 1
    assert "thawline: print: standard output takes no more: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_closed_streams(run):
    call = shlex.join([sys.executable, "-m", "thawline", "check", str(run.photos)])
    done = subprocess.run(["bash", "-c", f"{call} >&-"], capture_output=True, text=True, timeout=600, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert "Traceback" not in done.stderr
    done = subprocess.run(["bash", "-c", f"{call} 2>&-"], capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith("55 pictures used")


@pytest.mark.slow
def test_a_terminal_that_cannot_show_a_name(run, photos, shell):
    (photos / "test/9/café 📷.txt").write_text("no picture")
    said = shell("check", photos, PYTHONIOENCODING="ascii:strict")
    assert said.code == 0
    assert "test/9/caf\\xe9 \\U0001f4f7.txt" in said.out
    assert "2 \\xd7 text, not a picture: " in said.out
