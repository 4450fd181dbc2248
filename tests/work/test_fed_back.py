"""What a person edits in a run's folder is used, or stays: it is never lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from thawline.core.errors import StoreError
from thawline.core.owned import Written
from thawline.work.fed_back import fed_back, refuse_lost_corrections

A, B = "a" * 64, "b" * 64
HEAD = "path,label,suggested,sha256\n"


@pytest.fixture
def asked(order):
    """Return a function that returns an order with corrections."""

    def with_corrections(*files):
        return replace(order, options=replace(order.options, corrections=files))

    return with_corrections


def test_only_tables_that_are_named_may_be_replaced(asked, tmp_path):
    for name in ("suspects.csv", "corrections.csv"):
        (tmp_path / name).write_text(name)
    assert fed_back(tmp_path, asked()) == {}
    assert fed_back(tmp_path, asked(tmp_path / "x" / ".." / "suspects.csv")) == {
        "suspects.csv": Written.of(b"suspects.csv")
    }


def test_a_run_that_would_drop_corrections_is_refused(asked, tmp_path):
    kept, mine = tmp_path / "corrections.csv", tmp_path / "mine.csv"
    refuse_lost_corrections(tmp_path, asked())
    kept.write_text(f"{HEAD}x,cat,dog,{A}\ny,cat,dog,{B}\n")
    mine.write_text(f"{HEAD}x,cat,owl,{A}\n")
    with pytest.raises(
        StoreError, match=r"stands on 1 corrections.*being y\. Name them: --corrections .*mine.csv; or p"
    ):
        refuse_lost_corrections(tmp_path, asked(mine))
    refuse_lost_corrections(tmp_path, asked(kept))
    mine.write_text(f"path,suggested,sha256\nx,owl,{A}\ny,owl,\n")
    refuse_lost_corrections(tmp_path, asked(mine))


def test_another_table_of_that_name_is_no_concern(asked, tmp_path):
    (tmp_path / "corrections.csv").write_text("something else")
    assert refuse_lost_corrections(tmp_path, asked()) is None
    assert (tmp_path / "corrections.csv").read_text() == "something else"
