"""On real pictures, what wins where every strategy is solved is solved where they are screened, and wins there too."""

from __future__ import annotations

import pytest

from thawline.core.options import make_options
from thawline.core.runtime import Runtime
from thawline.data.check import check
from thawline.data.split import make_split
from thawline.features.extract import extract
from thawline.features.network import load_backbone
from thawline.search import solving as module
from thawline.search.compare import CompareOptions, answer_frozen, leaderboard_of


@pytest.mark.slow
@pytest.mark.pictures
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("limit", [16, 12], ids=["the best wins", "few, so the safest wins"])
def test_what_wins_is_solved_and_wins(shared_data, tmp_path, monkeypatch, seed, limit):
    monkeypatch.setattr(module, "SCREENED_ROWS", 1)
    dataset, _ = check(shared_data / "monkeys", make_options(limit=limit, seed=seed))
    network = load_backbone(size_px=96)
    bank = extract(dataset, network, runtime=Runtime("cpu", "float32", 8), cache=tmp_path).bank
    split = make_split(dataset, seed=seed, hold_out=False)
    found = {
        screened: answer_frozen(
            bank, network.backbone, dataset=dataset, split=split, options=CompareOptions(screened=screened)
        )
        for screened in (True, False)
    }
    boards = {screened: leaderboard_of(frozen).leaderboard for screened, frozen in found.items()}
    tied = {boards[False].trials[place].name for place in boards[False].ties}
    assert boards[True].trials[boards[True].winner].name in tied
    assert not boards[True].trials[0].sketched
    leader = boards[False].trials[0].name
    assert leader in {entry.strategy.name for entry in found[True].answers if not entry.sketched}
    assert any(entry.sketched for entry in found[True].answers)
