"""What reaches the disk reaches it whole: keys, commits, staging, and what a disk can refuse."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from thawline.core import locks, store
from thawline.core.errors import StoreError
from thawline.core.store import (
    LOCK,
    STAGING,
    cache_root,
    commit_directory,
    content_key,
    disk_errors,
    expand_user,
    replace_directory,
    require_space,
    restore_directory,
    staging_directory,
    sweep_staging,
    write_bytes,
    write_json,
)


def refuse(code):
    """Return a function that refuses as a disk does."""

    def refusing(*_, **__):
        raise OSError(code, os.strerror(code))

    return refusing


def tree(directory):
    """Return {relative path: bytes} of all files below."""
    return {str(p.relative_to(directory)): p.read_bytes() for p in sorted(directory.rglob("*")) if p.is_file()}


@pytest.fixture
def folder(tmp_path):
    """Return a function that writes {name: text} into a new folder."""

    def make(name, files):
        directory = tmp_path / name
        directory.mkdir(parents=True)
        for file, text in files.items():
            (directory / file).write_text(text, encoding="utf-8")
        return directory

    return make


def test_a_key_is_the_same_on_every_machine_and_whatever_the_order_of_names():
    key = "bba182e2e540a169c1a4588cb6b67d22"  # sha256sum of {"a":"\\u00d7","b":[1,2.5,null]}
    assert content_key({"b": [1, 2.5, None], "a": "×"}) == key
    assert content_key({"a": "×", "b": (1, 2.5, None)}) == key
    assert content_key({"a": "×", "b": (2.5, 1, None)}) != key
    with pytest.raises(ValueError, match="JSON"):
        content_key(float("nan"))


def test_the_cache_is_where_the_argument_or_the_environment_says(tmp_path, monkeypatch):
    monkeypatch.setenv("THAWLINE_CACHE", str(tmp_path / "environment"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_root(tmp_path / "argument") == tmp_path / "argument"
    assert cache_root() == tmp_path / "environment"
    assert cache_root().is_dir()
    monkeypatch.delenv("THAWLINE_CACHE")
    assert cache_root() == tmp_path / "xdg/thawline"
    for unset in (lambda: monkeypatch.setenv("XDG_CACHE_HOME", ""), lambda: monkeypatch.delenv("XDG_CACHE_HOME")):
        unset()
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        own = "Library/Caches" if sys.platform == "darwin" else ".cache"
        assert cache_root() == tmp_path / "home" / own / "thawline"
    assert cache_root("~/elsewhere") == tmp_path / "home/elsewhere"


def test_a_user_who_does_not_exist_is_a_name_like_any_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert expand_user("~") == Path.home()
    assert expand_user("a/~") == Path("a/~")
    assert cache_root("~nobody-of-this-name/cache") == Path("~nobody-of-this-name/cache")


def test_a_file_where_the_cache_should_be_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file/below"):
        with pytest.raises(
            StoreError,
            match=r"^open the cache: .*/file.*: a file stands where a folder is needed\. Choose another place",
        ):
            cache_root(place)


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_content_and_nothing_beside_it(tmp_path, monkeypatch, call):
    path = tmp_path / "results.json"
    write_json(path, {"old": 1})
    monkeypatch.setattr(store.os, call, refuse(errno.ENOSPC))
    with pytest.raises(StoreError, match=r"^write: .*results\.json: the disk is full"):
        write_json(path, {"new": 2})
    assert tree(tmp_path) == {"results.json": b'{\n  "old": 1\n}\n'}


def test_a_write_that_is_interrupted_leaves_the_old_content_and_nothing_beside_it(tmp_path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    write_bytes(tmp_path / "a", b"old")
    monkeypatch.setattr(store.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_bytes(tmp_path / "a", b"new")
    assert tree(tmp_path) == {"a": b"old"}


def test_a_file_is_flushed_before_it_takes_the_place_of_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "new folder/a"
    seen = []
    monkeypatch.setattr(
        store.os, "fsync", lambda descriptor: seen.append((path.exists(), os.fstat(descriptor).st_size))
    )
    write_bytes(path, b"12345")
    assert seen[0] == (False, 5)
    assert path.read_bytes() == b"12345"


def test_json_is_readable_and_holds_no_nan(tmp_path):
    write_json(tmp_path / "a.json", {"name": "Füchse"})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{\n  "name": "Füchse"\n}\n'
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"score": float("nan")})
    assert "Füchse" in (tmp_path / "a.json").read_text(encoding="utf-8")


def test_the_second_to_commit_is_told_so_and_changes_nothing(folder, tmp_path):
    first, second, final = folder("first", {"a": "1"}), folder("second", {"a": "2", "b": "3"}), tmp_path / "deep/final"
    assert commit_directory(first, final)
    assert not commit_directory(second, final)
    assert tree(final) == {"a": b"1"}
    assert not first.exists()
    assert second.exists()


def test_every_file_is_flushed_before_it_is_committed(folder, tmp_path, monkeypatch):
    staged, final = folder("staged", {"a": "1", "b": "2"}), tmp_path / "final"
    flushed = []

    def fsync(descriptor):
        flushed.append((os.fstat(descriptor).st_ino, final.exists()))

    inodes = {path.stat().st_ino for path in (*staged.iterdir(), staged)}
    monkeypatch.setattr(store.os, "fsync", fsync)
    commit_directory(staged, final)
    assert {inode for inode, committed in flushed if not committed} == inodes
    assert flushed[-1] == (tmp_path.stat().st_ino, True)


def test_a_commit_that_the_disk_refuses_is_no_commit(folder, tmp_path, monkeypatch):
    staged = folder("staged", {"a": "1"})
    monkeypatch.setattr(store.os, "fsync", refuse(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        commit_directory(staged, tmp_path / "final")
    assert not (tmp_path / "final").exists()
    monkeypatch.undo()
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        commit_directory(staged, tmp_path / "file")


def nothing_is_foreign(_):
    """Let whatever stands in the way be replaced."""


def test_a_finished_folder_takes_the_place_of_an_older_one(folder, tmp_path):
    folder("final", {"a": "old", "gone": "old"})
    replace_directory(folder("staged", {"a": "new"}), tmp_path / "final", require=nothing_is_foreign)
    assert tree(tmp_path) == {"final/a": b"new"}
    replace_directory(folder("staged", {"a": "newer"}), tmp_path / "other/final", require=nothing_is_foreign)
    assert tree(tmp_path / "other") == {"final/a": b"newer"}


def test_a_folder_that_holds_something_foreign_is_not_replaced(folder, tmp_path):
    def refuse_thesis(directory):
        if (directory / "thesis").exists():
            raise StoreError("a thesis")

    folder("final", {"thesis": "years"})
    with pytest.raises(StoreError, match="a thesis"):
        replace_directory(folder("staged", {"a": "new"}), tmp_path / "final", require=refuse_thesis)
    assert tree(tmp_path) == {"final/thesis": b"years", "staged/a": b"new"}
    (tmp_path / "final").rename(tmp_path / ".final.thawline-old")
    folder("final", {"a": "old"})
    with pytest.raises(StoreError, match="a thesis"):  # nor is one that a kill seems to have left
        replace_directory(tmp_path / "staged", tmp_path / "final", require=refuse_thesis)
    assert tree(tmp_path) == {".final.thawline-old/thesis": b"years", "final/a": b"old", "staged/a": b"new"}


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
@pytest.mark.parametrize("failing", ["final", "staged"])
def test_the_older_folder_stays_when_the_new_one_cannot_take_its_place(folder, tmp_path, monkeypatch, error, failing):
    folder("final", {"a": "old"})
    staged, rename = folder("staged", {"a": "new"}), os.rename

    def fail_once(source, target):
        if Path(source).name == failing:
            raise error
        rename(source, target)

    monkeypatch.setattr(store.os, "rename", fail_once)
    with pytest.raises(type(error)):
        replace_directory(staged, tmp_path / "final", require=nothing_is_foreign)
    assert tree(tmp_path) == {"final/a": b"old", "staged/a": b"new"}


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_kill_between_two_renames_loses_no_folder(folder, tmp_path, number):
    """The older folder is put back, or the new one stands; what is left of the older one goes with the next write."""
    folder("final", {"a": "old"})
    folder("staged", {"a": "new"})
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom thawline.core.store import replace_directory\n"
        f"calls, rename = iter(range(1, 9)), os.rename\n"
        f"def dying(*names):\n    os._exit(9) if next(calls) == {number} else rename(*names)\n"
        "os.rename = dying\nplace = Path(sys.argv[1])\n"
        "replace_directory(place / 'staged', place / 'final', require=lambda _: None)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, tmp_path], check=False).returncode == 9
    restore_directory(tmp_path / "final")
    assert tree(tmp_path)["final/a"] == (b"new" if number == 3 else b"old")
    restore_directory(tmp_path / "final")
    if not (tmp_path / "staged").exists():
        folder("staged", {"a": "new"})
    sweep_staging(tmp_path)
    replace_directory(tmp_path / "staged", tmp_path / "final", require=nothing_is_foreign)
    assert tree(tmp_path) == {"final/a": b"new"}
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["final"]


def test_staging_is_removed_after_an_error_but_not_what_was_renamed_away(tmp_path):
    def fail_half_way():
        with staging_directory(tmp_path) as staged:
            (staged / "half").write_text("…")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    with staging_directory(tmp_path) as staged, staging_directory(tmp_path) as other:
        assert staged != other
        (staged / "a").write_text("1")
        commit_directory(staged, tmp_path / "final")
    assert tree(tmp_path) == {"final/a": b"1"}
    assert not (tmp_path / STAGING).exists()


STAGER = """
import sys, time
from pathlib import Path
from thawline.core.store import staging_directory
with staging_directory(Path(sys.argv[1])) as staged:
    (staged / "half").write_text("…")
    print(staged.parent.name, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def stager(tmp_path):
    """Return a function that starts a process which works in a staging folder, and that folder's name."""
    processes = []

    def start():
        process = subprocess.Popen([sys.executable, "-c", STAGER, tmp_path], stdout=subprocess.PIPE, text=True)
        processes.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stdout.close()


def test_only_the_staging_of_the_dead_is_swept(tmp_path, stager):
    (killed, gone), (_, lives) = stager(), stager()
    foreign = (STAGING + "/site/index.html", STAGING + f"/{'0' * 32}/thesis", "staging/site/index.html", f"{STAGING}/a")
    for name in foreign:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("mine")
    os.utime(tmp_path / STAGING / "site", (0, 0))
    (tmp_path / STAGING / ("f" * 32)).mkdir()  # killed before it had a lock
    assert sweep_staging(tmp_path) == 1  # both live
    killed.kill()
    killed.wait()
    with staging_directory(tmp_path) as mine:
        assert sweep_staging(tmp_path) == 1
        assert mine.is_dir()
    assert {path.name for path in (tmp_path / STAGING).iterdir()} == {lives, "site", "0" * 32, "a"}
    assert gone not in lives
    assert {name: tree(tmp_path)[name] for name in foreign} == dict.fromkeys(foreign, b"mine")
    assert sweep_staging(tmp_path / "no cache yet") == 0


def test_without_locks_only_old_staging_is_swept(tmp_path, monkeypatch):
    def no_locks(*_, **__):
        raise locks.NoLocksError

    monkeypatch.setattr(store.locks, "take", no_locks)
    with staging_directory(tmp_path) as staged:
        (staged / "half").write_text("…")
        (staged.parent / LOCK).touch()
        assert sweep_staging(tmp_path) == 0
        os.utime(staged.parent, (time.time() - 7 * 86400,) * 2)
        assert sweep_staging(tmp_path) == 1
        assert not staged.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_goes_while_it_is_listed_holds_nothing(tmp_path, monkeypatch):
    """Of two runs at once one removes the empty staging folder that the other is about to look into."""
    (tmp_path / STAGING).mkdir()
    scandir = os.scandir

    def remove_meanwhile(path):
        if Path(path).name == STAGING:
            Path(path).rmdir()
        return scandir(path)

    monkeypatch.setattr(os, "scandir", remove_meanwhile)
    assert sweep_staging(tmp_path) == 0
    assert not (tmp_path / STAGING).exists()


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (errno.ENOSPC, "the disk is full. Free some space (`thawline cache prune`) or choose another place"),
        (errno.EDQUOT, "the disk quota is used up. Free some space or choose another place"),
        (errno.EACCES, "permission denied. Choose a place that you may write to"),
        (errno.EROFS, "the file system is read-only. Choose a place that you may write to"),
    ],
)
def test_what_a_disk_refuses_is_said_with_a_way_on(tmp_path, code, text):
    with pytest.raises(StoreError) as caught, disk_errors("extract", tmp_path / "bank"):
        refuse(code)()
    assert str(caught.value) == (
        f"extract: {tmp_path / 'bank'}: {text} (--cache-dir for the cache, -o for results). What was written is kept."
    )
    assert caught.value.exit_code == 1
    assert caught.value.__suppress_context__
    with pytest.raises(StoreError, match=r"^extract: the/culprit: "), disk_errors("extract", tmp_path):
        raise OSError(code, "refused", "the/culprit")


def test_a_bug_is_not_dressed_up_as_a_disk_error(tmp_path):
    with pytest.raises(FileNotFoundError), disk_errors("extract", tmp_path):
        (tmp_path / "nothing").read_bytes()
    with pytest.raises(ValueError, match="bug"), disk_errors("extract", tmp_path):
        raise ValueError("bug")


def test_work_that_will_not_fit_is_refused(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=5 * 2**20)
    monkeypatch.setattr(store.shutil, "disk_usage", lambda _: usage)
    require_space("extract", tmp_path, needed_bytes=5 * 2**20)
    with pytest.raises(StoreError) as caught:
        require_space("extract", tmp_path, needed_bytes=3 * 2**30)
    assert str(caught.value) == (
        f"extract: {tmp_path} has 5 MiB free, 3,072 MiB are needed. "
        "Free some space (`thawline cache prune`) or pass --cache-dir on a larger disk."
    )
