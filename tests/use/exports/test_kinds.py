"""The table of forms is complete, and says what is missing."""

from __future__ import annotations

import pytest

from thawline.core.errors import UsageError
from thawline.use.exports.kinds import KINDS, ExportKind, kind_named
from thawline.use.exports.write_export import WRITERS


def test_every_form_has_a_name_a_place_and_a_writer():
    assert set(WRITERS) == {kind.name for kind in KINDS}
    assert len({kind.place for kind in KINDS}) == len(KINDS)
    assert [kind_named(kind.name) for kind in KINDS] == list(KINDS)
    assert not kind_named("onnx").is_folder
    assert all(kind.line and bool(kind.extra) == bool(kind.needs) for kind in KINDS)


def test_what_is_missing_is_named_with_its_extra():
    kind = ExportKind("x", "x", ("json", "no_such_module"), "export", "nothing")
    assert (kind.missing, kind.is_folder) == (("no_such_module",), True)
    with pytest.raises(UsageError, match=r"--to x: no_such_module is needed and not installed.*thawline\[export\]"):
        kind.require_installed()
    with pytest.raises(UsageError, match=r"--to tflite is not known\. Choose from onnx, .*--list"):
        kind_named("tflite")
