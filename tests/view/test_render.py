"""A finished run can have its page again, and a folder that is none is refused."""

from __future__ import annotations

import pytest
import report_cases as cases

from thawline.core.errors import StoreError
from thawline.view.render import render
from thawline.view.report import render_report


@pytest.mark.parametrize("data", [cases.make_choice(), cases.make_rows()], ids=["choice", "rows"])
def test_the_page_is_made_again_from_its_data(tmp_path, data):
    (tmp_path / "report.json").write_text(data.to_json(), encoding="utf-8")
    page = render(str(tmp_path))
    assert page == tmp_path / "report.html"
    assert page.read_text(encoding="utf-8") == render_report(data)


def test_a_folder_that_holds_no_run_is_refused(tmp_path):
    with pytest.raises(StoreError, match=r"^report: .* cannot be read \(FileNotFoundError\)\. Name a folder"):
        render(tmp_path)
    (tmp_path / "report.json").write_bytes(b"\xff\xfe")
    with pytest.raises(StoreError, match="UnicodeDecodeError"):
        render(tmp_path)


def test_a_run_of_an_earlier_version_is_refused_and_keeps_its_page(tmp_path):
    (tmp_path / "report.html").write_text("as it was")
    (tmp_path / "report.json").write_text('{"kind":"recipe","format":1,"rows":[]}')
    with pytest.raises(StoreError, match="format 1, this version reads 4"):
        render(tmp_path)
    assert (tmp_path / "report.html").read_text() == "as it was"
