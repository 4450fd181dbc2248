"""The same pictures a second time: what was computed is remembered, and nothing else than what would be computed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import thawline
from thawline.core import remembered
from thawline.core.cache import cache_entries, prune_cache
from thawline.core.options import make_options
from thawline.data.digits import write_digits
from thawline.search import compare as search_compare
from thawline.work import doubting, final_head, session

TIMED = {"seconds", "fit_s", "predict_ms"}
ALIKE = ("leaderboard.json", "suspects.csv", "predictions.csv", "metrics.json", "ledger.csv", "learning_curve.json")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("digits")
    digits, photos = write_digits(root / "digits", labels_per_class=12), root / "photos"
    for part, num in (("train", 12), ("test", 6)):
        for digit in ("3", "8", "9"):
            (photos / part / digit).mkdir(parents=True)
            for file in sorted((digits / part / digit).iterdir())[:num]:
                shutil.copy(file, photos / part / digit)
    return photos


def fitted(photos: Path, out: Path) -> Path:
    thawline.fit(photos, out, options=make_options(size=64, folds=2), replace=True)
    return out


def untimed(value: object) -> object:
    """Return plain data without what a clock says."""
    if isinstance(value, dict):
        return {name: untimed(item) for name, item in value.items() if name not in TIMED}
    return [untimed(item) for item in value] if isinstance(value, list) else value


def contents(out: Path) -> dict[str, bytes]:
    """Return every file of a run but those that say when it was."""
    said_when = {"run.json", "report.json", "report.html", "model_card.md", ".thawline.json"}
    files = [path for path in out.rglob("*") if path.is_file() and path.name not in said_when]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


@pytest.mark.slow
def test_a_second_run_computes_nothing_again_and_leaves_the_same_bytes(photos, tmp_path, monkeypatch):
    first = contents(fitted(photos, tmp_path / "first"))

    def computed(*_: object, **__: object) -> None:
        raise AssertionError("computed again")

    for place, name in (
        (session, "compare"),
        (final_head, "_fitted"),
        (doubting, "_doubted"),
        (search_compare, "train_epochs"),
    ):
        monkeypatch.setattr(place, name, computed)
    assert contents(fitted(photos, tmp_path / "second")) == first


@pytest.mark.slow
def test_what_is_remembered_is_what_is_computed_also_where_it_was_damaged(photos, tmp_path, own_cache):
    first, cut = fitted(photos, tmp_path / "first"), 0
    for file in sorted(own_cache.glob("answers/*/answer.safetensors"))[::2]:
        file.write_bytes(file.read_bytes()[:-1])
        cut += 1
    assert cut > 5
    healed = fitted(photos, tmp_path / "healed")
    assert {entry.kind for entry in prune_cache(own_cache)} == {"answers", "banks"}
    computed = fitted(photos, tmp_path / "computed")
    for name in ALIKE:
        texts = [(out / name).read_text(encoding="utf-8") for out in (first, healed, computed)]
        if name.endswith(".json"):
            texts = [json.dumps(untimed(json.loads(text))) for text in texts]
        assert texts[0] == texts[1] == texts[2], name
    for file in ("head.safetensors", "outsiders.safetensors"):
        assert (first / "model" / file).read_bytes() == (computed / "model" / file).read_bytes()


@pytest.mark.slow
def test_another_label_or_picture_is_another_comparison_and_a_label_of_the_test_is_not(photos, tmp_path, monkeypatch):
    mine = tmp_path / "photos"
    shutil.copytree(photos, mine)
    calls = []
    compare = session.compare
    monkeypatch.setattr(session, "compare", lambda *given, **named: calls.append(1) or compare(*given, **named))
    fitted(mine, tmp_path / "out")
    test = next(path for path in mine.iterdir() if path.name in {"test", "valid", "validation"})
    moved = sorted((test / "3").iterdir())[0]
    moved.rename(test / "8" / f"moved-{moved.name}")
    fitted(mine, tmp_path / "out")
    assert len(calls) == 1
    train = next(path for path in mine.iterdir() if path.name.startswith("train"))
    moved = sorted((train / "3").iterdir())[0]
    moved.rename(train / "8" / f"moved-{moved.name}")
    fitted(mine, tmp_path / "out")
    assert len(calls) == 2


@pytest.mark.slow
def test_a_changed_program_remembers_nothing(photos, tmp_path, monkeypatch, own_cache):
    fitted(photos, tmp_path / "out")
    known = {entry.key for entry in cache_entries(own_cache)}
    monkeypatch.setattr(remembered, "program", lambda: {"source": "another"})
    fitted(photos, tmp_path / "out")
    added = {entry.key for entry in cache_entries(own_cache)} - known
    assert len(added) == len([key for key in known if (own_cache / "answers" / key).is_dir()])
