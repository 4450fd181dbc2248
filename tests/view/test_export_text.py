"""What a person reads of forms, exports and their proof."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from thawline.use.exports.kinds import ExportKind
from thawline.use.exports.verify import Verified
from thawline.use.exports.write_export import Exported
from thawline.view.export_text import exported_text, kinds_text, verified_text


def test_forms_say_where_they_lie_and_what_they_lack():
    kinds = [
        ExportKind("a", "a.onnx", ("json",), "export", "a file"),
        ExportKind("folder", "there", ("no_such_module",), "web", "a folder"),
        ExportKind("bare", "bare", (), "web", "nothing"),
    ]
    assert kinds_text(kinds).splitlines() == [
        "a       a.onnx  a file; needs json: installed",
        "folder  there/  a folder; needs no_such_module: `pip install 'thawline[web]'`",
        "bare    bare/   nothing; needs nothing more",
    ]


def test_what_was_exported_is_told_with_its_difference():
    done = Exported("onnx", Path("runs/a/exports/model.onnx"), 15 << 20, 0.000104, 1.0, 32)
    assert exported_text(done) == (
        "runs/a/exports/model.onnx  15 MiB\n  32 golden pictures went through it: answers differ by at most 1.0e-04 "
        "from those of the model folder, and the class is the same for 100%"
    )
    assert "  1 golden picture went" in exported_text(replace(done, num_golden=1))
    assert exported_text(replace(done, num_neighbours=1097)).splitlines()[-1] == (
        "  model.neighbours next to it holds 1,097 training pictures as thumbnails with their labels: whoever gets "
        "that file sees them"
    )


def test_exports_stand_side_by_side_and_failures_say_why():
    good = Verified(Path("a.onnx"), "onnx", True, 1e-5, 1.0, 12.34, 15 << 20, 150 << 20, "fine")
    bad = Verified(Path("long name.onnx"), "onnx", False, None, None, None, 10 << 20, None, "it was damaged")
    assert verified_text([good, bad]).splitlines() == [
        "export            size   memory  ms a picture  difference  agreement  passed",
        "a.onnx          15 MiB  150 MiB          12.3     1.0e-05     100.0%     yes",
        "long name.onnx  10 MiB        -             -           -          -      no",
        "long name.onnx: it was damaged",
    ]
