"""The name of a file or folder -> whether a system or a tool put it there, or whether it is hidden.

The one idea: three kinds are left out. What is known to be no picture of anyone's (`Thumbs.db`, `.git`) goes without a
word; a folder in which a system keeps pictures of its own (`@eaDir`, `#recycle`) has a row in the ledger; whatever else
is hidden may be meant (a class `.net`), so each picture in it has a row.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Literal

from thawline.data.formats import ENDINGS

__all__ = ["HIDDEN_FILE", "SYSTEM_FOLDER", "hidden_kind", "is_hidden", "is_picture_name", "why_left_out"]

SYSTEM_FOLDER = "a folder of the system, for thumbnails, deleted files and the like"
HIDDEN_FILE = "hidden: the name begins with . or ~$"

_LITTER = frozenset(
    """
    thumbs.db ehthumbs.db ehthumbs_vista.db desktop.ini __macosx .ds_store .apdisk .localized .git .gitattributes
    .gitignore .svn .hg .bzr .dvc .ipynb_checkpoints __pycache__ .venv .cache .idea .vscode .nomedia .picasa.ini
    .directory .stfolder .stignore .volumeicon.icns
    """.split()  # noqa: SIM905 -- a list of words is easier to read and to extend without quotes
) | {"icon\r", "icon\uf00d"}
_SYSTEM = frozenset(
    """
    @eadir #recycle @recycle @recently-snapshot #snapshot .snapshot .snapshots ~snapshot .@__thumb @tmp @synoresource
    $recycle.bin lost+found lost.dir .appledouble .appledb .trash .trashes .trashed .spotlight-v100 .fseventsd
    .temporaryitems .documentrevisions-v100 .thumbnails .thumbs .xvpics .picasaoriginals .stversions .dropbox.cache
    .recycle .recycler .tmp.drivedownload .tmp.driveupload
    """.split()  # noqa: SIM905
) | {"system volume information", "network trash folder", "temporary items"}
_LITTER_FORM = re.compile(r"\._.*|~\$.*\.(docx?|xlsx?|pptx?)|thumbs\.db:.*|\.nfs[0-9a-f]+|\.smbdelete.*", re.DOTALL)
_SYSTEM_FORM = re.compile(r"\.trash-\d+|found\.\d{3}|.*@synoeastream", re.DOTALL)


def hidden_kind(name: str) -> Literal["litter", "system", "hidden"] | None:
    """Return why a file or a folder of this name is left out, or None where it takes part.

    >>> [hidden_kind(name) for name in ("Thumbs.db", "@eaDir", ".net", "cat")]
    ['litter', 'system', 'hidden', None]
    """
    plain = name.lower()
    if plain in _LITTER or _LITTER_FORM.fullmatch(plain):
        return "litter"
    if plain in _SYSTEM or _SYSTEM_FORM.fullmatch(plain):
        return "system"
    return "hidden" if name.startswith((".", "~$")) else None


def is_hidden(name: str) -> bool:
    """Return whether a file or a folder of this name is left out, for whatever reason."""
    return hidden_kind(name) is not None


def is_picture_name(name: str) -> bool:
    """Return whether a file's name ends as the names of pictures do; its content decides in the end."""
    return PurePosixPath(name.lower()).suffix in ENDINGS


def why_left_out(parts: tuple[str, ...]) -> tuple[tuple[str, ...], str] | None:
    """Return the path that gets a row in the ledger for a file that is left out, and the reason; None where none does.

    Args:
        parts: The folders and the name of a file of which at least one is hidden.

    >>> why_left_out(("cat", "@eaDir", "1.jpg", "SMALL.jpg"))[0]
    ('cat', '@eaDir')
    >>> why_left_out((".net", "1.jpg"))
    (('.net', '1.jpg'), 'hidden: the name begins with . or ~$')
    >>> why_left_out((".git", "1.jpg")) is None
    True
    """
    kinds = [hidden_kind(part) for part in parts]
    if "litter" in kinds:
        return None
    if "system" in kinds:
        return parts[: kinds.index("system") + 1], SYSTEM_FOLDER
    return (parts, HIDDEN_FILE) if is_picture_name(parts[-1]) else None
