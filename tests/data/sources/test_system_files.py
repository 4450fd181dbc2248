"""What systems and tools leave behind is no picture of anyone's; what is only hidden may be."""

from __future__ import annotations

import pytest

from thawline.data.sources.system_files import HIDDEN_FILE, SYSTEM_FOLDER, hidden_kind, is_hidden, why_left_out


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("litter", ["Thumbs.db", "DESKTOP.INI", "__MACOSX", ".DS_Store", "._1.jpg", ".git", "~$list.xlsx", "Icon\r"]),
        ("litter", [".ipynb_checkpoints", ".nfs0001", "Thumbs.db:encryptable"]),
        ("system", ["@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found", ".Trash-1000"]),
        ("system", [".AppleDouble", ".Trashes", ".Spotlight-V100", ".thumbnails", "FOUND.000", ".@__thumb"]),
        ("hidden", [".net", "~$x", ".photo.jpg", "..1"]),
        (None, ["cat", "recycle", "#1", "@home", "$", "~", "thumbs", "lost", "trash", "", "1.jpg", "_MACOSX"]),
    ],
)
def test_why_a_name_is_left_out(kind, names):
    assert [hidden_kind(name) for name in names] == [kind] * len(names)
    assert [is_hidden(name) for name in names] == [kind is not None] * len(names)


@pytest.mark.parametrize(
    ("path", "row"),
    [
        ("a/@eaDir/1.jpg/2.jpg", ("a/@eaDir", SYSTEM_FOLDER)),
        ("@eaDir/.x/1.jpg", ("@eaDir", SYSTEM_FOLDER)),
        (".net/deep/1.JPG", (".net/deep/1.JPG", HIDDEN_FILE)),
        ("a/.1.png", ("a/.1.png", HIDDEN_FILE)),
        (".net/readme", None),
        (".git/1.jpg", None),
        ("a/._1.jpg", None),
        ("#recycle/Thumbs.db", None),
    ],
)
def test_which_row_a_file_that_is_left_out_gets(path, row):
    found = why_left_out(tuple(path.split("/")))
    assert (found and ("/".join(found[0]), found[1])) == row
