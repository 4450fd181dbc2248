"""What a run stands on: its folds, its strategies, its place."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from thawline.core.options import Options
from thawline.data.sources.places import Place
from thawline.train.hyperparameters import TrainOptions
from thawline.work import session as module
from thawline.work.order import Order, Row
from thawline.work.run_folder import WORK
from thawline.work.session import (
    Clock,
    compare_frozen,
    depth_names,
    open_session,
    split_of,
)


class Pictures:
    """As many pictures as it says."""

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count


@pytest.mark.parametrize(
    ("count", "options", "expected"),
    [
        (3_000, Options(), (5, 2)),
        (3_001, Options(), (5, 1)),
        (20_001, Options(), (3, 1)),
        (20_001, Options(folds=2, repeats=4), (2, 4)),
        (100, Options(folds=4, repeats=3), (4, 3)),
    ],
)
def test_many_pictures_get_one_drawing_and_very_many_three_folds(count, options, expected, monkeypatch):
    asked = []
    monkeypatch.setattr(module, "make_split", lambda dataset, **facts: asked.append(facts))
    session = SimpleNamespace(order=SimpleNamespace(options=options), context=SimpleNamespace(dataset=Pictures(count)))
    split_of(session, hold_out=True)
    assert [(facts["num_folds"], facts["num_repeats"]) for facts in asked] == [expected]
    assert asked[0]["hold_out"] is True


def test_the_folder_of_training_runs_is_that_of_order_pictures_and_labels(order, tmp_path):
    first, again = (open_session(order, tmp_path).context.folder for _ in range(2))
    assert first == again
    assert first.parent == tmp_path / WORK
    other = open_session(replace(order, options=replace(order.options, one_against_rest="red")), tmp_path)
    assert other.context.folder != first
    assert open_session(order, tmp_path, key="0123456789ab").context.folder == tmp_path / WORK / "0123456789ab"


def test_under_folds_the_parts_of_the_data_are_pooled(tmp_path, tinted):
    for part in ("train", "test"):
        for name in ("blue", "red"):
            (tmp_path / "parted" / part / name).mkdir(parents=True)
            for picture in sorted((tinted / name).iterdir())[:: 1 if part == "train" else -1][:5]:
                (tmp_path / "parted" / part / name / picture.name).write_bytes(picture.read_bytes())
    rows = (Row(name="solved", frozen="whole"),)
    asked = Order(Place.of(tmp_path / "parted"), rows=rows, options=Options(backbone="simple_cnn", size=32))
    for protocol, parts in (("choose", {"train", "test"}), ("test", {"train", "test"}), ("folds", {None})):
        dataset = open_session(replace(asked, protocol=protocol), tmp_path).context.dataset
        assert {sample.split for sample in dataset.samples} == parts


def names(compared):
    return {trial.name.removeprefix("simple_cnn · ") for trial in compared.leaderboard.trials}


def test_rows_compare_what_they_name_and_the_cuts_of_the_thaw_line(order, tmp_path, monkeypatch):
    rows = (Row(name="solved", frozen="1 block cut"),)
    asked = replace(order, rows=rows, protocol="test", training=TrainOptions(augment="flip"))
    compared = compare_frozen(open_session(asked, tmp_path))
    cuts = {f"{depth} · linear" for depth in depth_names(compared.session.context.network)}
    assert names(compared) == cuts
    assert {"whole · linear", "1 block cut · linear"} <= names(compared)
    assert compared.view_banks == ()  # a row's own augmentation is none of the frozen strategies'
    assert compared.leaderboard.metric == "accuracy"
    monkeypatch.setattr(module, "LARGE_SET", 10)
    assert names(compare_frozen(open_session(asked, tmp_path))) == {"whole · linear", "1 block cut · linear"}
    best = replace(asked, rows=(Row(name="best", frozen="best"),))
    assert len(names(compare_frozen(open_session(best, tmp_path)))) > len(cuts)


def test_a_clock_books_the_time_since_its_last_lap(monkeypatch):
    times = iter([12.5, 13.0])
    monkeypatch.setattr(module.time, "perf_counter", lambda: next(times))
    clock = Clock(start=10.0, last=10.0, opened=(10.0, 0.0))
    clock.lap("check")
    clock.lap("load")
    assert clock.parts == {"check": 2.5, "load": 0.5, "total": 3.0}
    clock.count_in(4.0)
    assert clock.start == 6.0


def test_a_clock_knows_a_busy_machine_by_the_processor_time_that_it_gets(monkeypatch):
    monkeypatch.setattr(module.time, "perf_counter", lambda: 18.0)
    monkeypatch.setattr(module.time, "process_time", lambda: 4.0)
    assert Clock(start=0.0, last=0.0, opened=(10.0, 2.0)).slowness == 4
    assert Clock(start=0.0, last=0.0, opened=(17.0, 2.0)).slowness == 1


def test_a_notebook_shows_the_leaderboard(compared):
    assert "<table" in compared._repr_html_()
