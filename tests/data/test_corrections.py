"""Corrections: keyed by bytes, refused where they cannot be meant, and what became of each is told."""

from __future__ import annotations

import hashlib

import pytest

from thawline.core.errors import DataError
from thawline.core.options import CheckOptions, make_options
from thawline.data.check import check, ledger_csv
from thawline.data.corrections import apply_corrections, corrections_csv, read_corrections
from thawline.data.dataset import LedgerRow

NAMES = {name: name for name in ("cat", "dog", "owl", "=cmd()")}
A, B, C = (letter * 64 for letter in "abc")


def rows_of(*facts):
    """Return ledger rows of (path, label, digest)."""
    return [
        LedgerRow(path, "used" if digest else "skipped", "", digest, 1, 9, 9, "PNG", label, "", -1)
        for path, label, digest in facts
    ]


ROWS = rows_of(("cat/1.png", "cat", A), ("cat/2.png", "cat", B), ("dog/1.png", "dog", C), ("dog/copy.png", "dog", A))


@pytest.fixture
def table(tmp_path):
    """Return a function that writes a table of corrections and returns its path."""

    def write(text, name="suspects.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def corrected(file, rows=ROWS, **options):
    return apply_corrections(rows, [file], class_names=NAMES, **options)


def test_all_files_with_the_bytes_get_the_class_wherever_they_lie(table):
    rows, found = corrected(table(f"path,label,suggested,probability,reason,sha256\nold/name.png,cat,owl,0.9,x,{A}\n"))
    assert [(row.label, row.corrected_from) for row in rows] == [
        ("owl", "cat"),
        ("cat", ""),
        ("dog", ""),
        ("owl", "dog"),
    ]
    assert found.relabelled == (("cat/1.png", "cat", "owl"), ("dog/copy.png", "dog", "owl"))
    assert found.note == "--corrections suspects.csv: 2 pictures under another label"


def test_an_empty_cell_leaves_the_picture_out_and_a_right_label_stays(table):
    rows, found = corrected(table(f"path,suggested,sha256\nx,,{B}\ny,dog,{C}\n"))
    assert [(row.status, row.reason) for row in rows][1] == ("skipped", "left out by a correction")
    assert (found.left_out, found.num_as_before, found.relabelled) == (("cat/2.png",), 1, ())
    assert rows[2] == ROWS[2]
    assert found.note == "--corrections suspects.csv: 0 pictures under another label, 1 left out, 1 as before"


def test_a_row_without_a_digest_goes_by_its_path_and_holds_for_its_copies(table):
    rows, found = corrected(table("suggested;path\nowl;dog/copy.png\n"))
    assert [row.label for row in rows] == ["owl", "cat", "dog", "owl"]
    assert found.rows[0].sha256 == A


def test_a_table_that_a_spreadsheet_saved_is_read(table):
    text = f"\ufeffPath;Label;Suggested;Probability;Reason;SHA256\r\ncat/2.png;cat;'=cmd();0,98;x;{B.upper()}\r\n"
    rows, _ = corrected(table(text))
    assert rows[1].label == "=cmd()"


def test_a_picture_that_is_gone_is_told_and_the_others_are_corrected(table):
    gone = "f" * 64
    rows = [*ROWS, *rows_of(("cat/bad.png", "cat", ""))]
    text = f"path,suggested,sha256\nold.png,dog,{gone}\ncat/2.png,dog,{B}\ncat/bad.png,dog,\n"
    rows, found = corrected(table(text), rows=rows)
    assert rows[1].label == "dog"
    assert found.missing == (("old.png", "no picture with these bytes"), ("cat/bad.png", "no such picture"))
    assert "2 could not be applied: old.png (no picture with these bytes)" in found.note
    assert [row.path for row in found.rows] == ["old.png", "cat/2.png", "cat/bad.png"]


def test_a_skipped_picture_is_not_corrected(table):
    bad = LedgerRow("cat/3.png", "skipped", "ends early", "e" * 64, 1, 0, 0, "", "cat", "", -1)
    _, found = corrected(table(f"path,suggested,sha256\ncat/3.png,dog,{'e' * 64}\ncat/1.png,owl,{A}\n"), [*ROWS, bad])
    assert found.missing == (("cat/3.png", "it cannot be read"),)


def test_of_several_tables_the_last_one_wins(table):
    older = table(f"path,suggested,sha256\nx,owl,{A}\ny,owl,{B}\n", "older.csv")
    newer = table("path,suggested\ncat/1.png,dog\n", "newer.csv")
    rows, found = apply_corrections(ROWS, [older, newer], class_names=NAMES)
    assert [row.label for row in rows] == ["dog", "owl", "dog", "dog"]
    assert found.files == ("older.csv", "newer.csv")
    assert [(row.path, row.label, row.suggested) for row in found.rows] == [
        ("cat/1.png", "cat", "dog"),
        ("cat/2.png", "cat", "owl"),
    ]


def test_what_is_kept_says_the_same_when_it_is_fed_back(table):
    first = corrected(table(f"path,suggested,sha256\nx,=cmd(),{A}\ny,,{B}\nz,cat,{'f' * 64}\n"))
    again = corrected(table(corrections_csv(first[1]), "corrections.csv"))
    assert again[0] == first[0]
    assert corrections_csv(again[1]) == corrections_csv(first[1])
    assert "'=cmd()" in corrections_csv(first[1])


def test_an_empty_table_corrects_nothing(table):
    rows, found = corrected(table("path,label,suggested,probability,reason,sha256\n"))
    assert (rows, found.rows) == (ROWS, ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"has no column 'suggested': it is empty\. Required is"),
        ("path,label\nx,cat\n", r"has no column 'suggested': its first line is 'path, label'"),
        ("label,suggested\nx,cat\n", "has no column 'path'"),
        (b"PK\x03\x04\x00\x81" * 9, "Required is"),
        (
            f"path,suggested,sha256\nx,cta,{A}\n",
            r"no class 'cta' \(suspects.csv, line 2\), did you mean cat\?\. Classes",
        ),
        (f"path,suggested,sha256\nx,drop,{A}\n", "an empty cell leaves the picture out"),
        ("path,suggested\ncat/1.pgn,dog\n", r"no picture cat/1.pgn \(.*line 2\), did you mean cat/1.png\?"),
        (
            f"path,suggested,sha256\nx,cat,{A}\ncat/1.png,dog,\n",
            r"1 picture would be two .*cat \(.*2\) and dog \(.*3\)",
        ),
        (f"path,suggested,sha256\nx,,{A}\ny,dog,{A}\n", r"y is nothing \(suspects.csv, line 2\) and dog"),
        ("path,suggested,sha256\nx,cat,12ab\n", r"line 2 \(x,cat,12ab\): each row needs"),
        ("path,suggested\n,cat\n", "each row needs"),
        ("suggested,path,label\ncat\n", "each row needs"),
        (f"path,suggested,sha256\nx,cat,{'f' * 64}\n", r"none of the 1 rows of .*suspects.csv finds its picture"),
    ],
)
def test_what_cannot_be_meant_is_refused(table, text, message):
    with pytest.raises(DataError, match=message):
        corrected(table(text))


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.csv.*Required is the `suspects.csv` of a run"):
        read_corrections([tmp_path / "nowhere.csv"])


def test_a_part_of_the_pictures_may_lack_some_paths(table):
    file = table("path,suggested\ncat/1.png,dog\ncat/9.png,dog\n")
    _, found = corrected(file, is_part=True)
    assert found.missing == (("cat/9.png", "no such picture"),)


def test_suspects_of_a_run_that_was_corrected_come_with_its_corrections(table):
    newer, older = table("path,suggested\n"), table(f"path,label,suggested,sha256\nx,cat,dog,{A}\n", "corrections.csv")
    with pytest.raises(DataError, match=r"which would be undone\. Name both: --corrections .*corrections.csv --corr"):
        read_corrections([newer])
    assert len(read_corrections([older, newer])) == 2


def test_check_gives_the_data_set_its_corrected_labels(make_folder, tmp_path):
    root = make_folder(
        {f"{name}/{number}.png": 10 * place + number for place, name in enumerate("abc") for number in range(5)}
    )
    plain, _ = check(root)
    digest = hashlib.sha256((root / "a/1.png").read_bytes()).hexdigest()
    file = tmp_path / "suspects.csv"
    file.write_text(f"path,label,suggested,sha256\na/1.png,a,b,{digest}\nc/2.png,c,,\n")
    (root / "a/1.png").rename(root / "c/moved.png")
    dataset, report = check(root, make_options(corrections=str(file)))
    labels = {sample.path: dataset.class_names[sample.label] for sample in dataset.samples}
    assert labels["c/moved.png"] == "b"
    assert "c/2.png" not in labels
    assert len(dataset) == len(plain) - 1
    assert report.class_counts == {"a": 4, "b": 6, "c": 4}
    assert report.skipped == (("c/2.png", "left out by a correction"),)
    facts = report.to_json()["corrections"]
    assert facts["relabelled"] == [{"path": "c/moved.png", "from": "c", "to": "b"}]
    assert facts["left_out"] == ["c/2.png"]
    assert report.notes[-1] == "--corrections suspects.csv: 1 picture under another label, 1 left out"
    assert ledger_csv(dataset.ledger).splitlines()[0].endswith(",remark,corrected_from")
    row = next(row for row in dataset.ledger if row.path == "c/moved.png")
    assert (row.label, row.corrected_from) == ("b", "c")
    assert dataset.labelled_key != plain.labelled_key


def test_thumbnails_stay_with_their_pictures_when_one_is_left_out(make_folder, encode, draw, tmp_path):
    files = {f"{name}/{number}.png": 10 * place + number for place, name in enumerate("ab") for number in range(5)}
    root = make_folder({**files, "b/near.jpg": encode(draw(13), "JPEG", quality=90)})  # a near copy of b/3.png
    file = tmp_path / "fix.csv"
    file.write_text("path,suggested\na/0.png,\n")
    _, report = check(root, CheckOptions(corrections=(file,)))
    assert report.near_copies == (("b/3.png", "b/near.jpg"),)


def test_folders_and_people_s_names_of_classes_are_both_understood(make_folder, tmp_path):
    root = make_folder(
        {f"{name}/{number}.png": 10 * place + number for place, name in enumerate("ab") for number in range(5)}
    )
    names, file = tmp_path / "names.csv", tmp_path / "fix.csv"
    names.write_text("folder,name\na,apple\nb,pear\n")
    file.write_text("path,suggested\na/0.png,b\na/1.png,pear\n")
    _, report = check(root, CheckOptions(class_names=names, corrections=(file,)))
    assert report.class_counts == {"apple": 3, "pear": 7}


def test_corrections_that_leave_one_class_are_refused_as_such_a_set_is(make_folder, tmp_path):
    root = make_folder({"a/0.png": 0, "b/1.png": 1, "b/2.png": 2})
    file = tmp_path / "fix.csv"
    file.write_text("path,suggested\na/0.png,b\n")
    with pytest.raises(DataError, match="one class with pictures, 'b'"):
        check(root, CheckOptions(corrections=(file,)))
