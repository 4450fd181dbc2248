"""A plan answers the rows that frozen strategies answered, as the model in use would; nothing is trained twice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from thawline.core.errors import TrainingError, UsageError
from thawline.core.options import Options
from thawline.core.runtime import Runtime
from thawline.data.load import load_pixels
from thawline.data.split import make_split
from thawline.features.extract import extract
from thawline.features.reader import FeatureReader
from thawline.heads.dense import DenseHead
from thawline.heads.linear import LinearHead
from thawline.search.compare import leaderboard_of
from thawline.search.frozen import answer_frozen
from thawline.train import folds as trial
from thawline.train import pooled
from thawline.train.context import Context, Ground, Machine
from thawline.train.folds import (
    answer_fold,
    answers_of,
    final_model,
    held_out_logits,
    job_of,
    strategy_of,
    train_rows,
)
from thawline.train.hyperparameters import TrainOptions
from thawline.train.job import plan_network, set_aside
from thawline.train.plan import parse_plan
from thawline.train.thawed import write_back

RUNTIME = Runtime("cpu", "float32", 8)
OPTIONS = TrainOptions(epochs=3, batch_size=8, augment="none", learning_rate=5e-3, checkpoint_every="1h")
PARTIAL = parse_plan("last 2 blocks")
SCRATCH = parse_plan("simple_cnn from nothing")


@pytest.fixture(scope="module")
def compared(learnable, network, tmp_path_factory):
    """Return split, bank and the frozen strategies' answers, made once."""
    split = make_split(learnable, num_folds=3, num_repeats=2)
    backbone = network("test_resnet")
    bank = extract(learnable, backbone, runtime=RUNTIME, cache=tmp_path_factory.mktemp("bank"), poolings=("mean",)).bank
    return split, bank, answer_frozen(bank, backbone.backbone, dataset=learnable, split=split)


@pytest.fixture
def ground(learnable, network, compared, tmp_path):
    split, bank, frozen = compared
    run_options = Options(cache_dir=tmp_path / "activations")
    context = Context(learnable, network("test_resnet"), run_options, OPTIONS, Machine(RUNTIME), tmp_path / "training")
    return Ground(context, split, bank, frozen)


@pytest.fixture
def no_training(monkeypatch):
    """Return a function after whose call nothing can be trained any more."""

    def forbid():
        def fail(*arguments, **options):
            raise AssertionError("it was trained again")

        monkeypatch.setattr(trial, "train", fail)

    return forbid


def reader_logits(network, head, ground, rows, block=None):
    """Return what the model in use says, one picture after the other."""
    block = block or (network.backbone.cuts[-1].index, "mean")
    reader = FeatureReader(network, ground.context.runtime, [block], ground.context.storage)
    samples, spec = ground.context.dataset.samples, network.backbone.input
    return np.concatenate([head.logits(reader.read(load_pixels(samples[row], spec)[None])) for row in rows])


@pytest.mark.parametrize("plan", [PARTIAL, SCRATCH], ids=str)
def test_held_out_answers_are_those_of_the_model_in_use(ground, changed, plan):
    _, held_out = ground.split.folds[1]
    heard = []
    ground = changed(ground, log=lambda name, epoch, values: heard.append((name, epoch)))
    found = answer_fold(plan, ground, fold=1)
    assert found.fold == 1
    assert found.logits.shape == (len(held_out), 3)
    assert found.logits.dtype == np.float32
    name = plan.strategy_name("test_resnet")
    assert heard == [(f"{name}, fold 2", epoch) for epoch in (1, 2, 3)]

    job = job_of(plan, ground, rows=ground.split.folds[1][0], held_out=held_out)
    trained = trial.train(job)
    assert found.trained.curve == trained.curve
    network, head = trial._model(job, trained)
    assert job.bank == ground.bank.spec
    np.testing.assert_allclose(found.logits, reader_logits(network, head, ground, held_out), rtol=1e-3, atol=1e-3)
    again = write_back(job.network, trained.tensors, plan=plan.name, keeps_norms=plan.from_nothing)
    assert network.backbone == again.backbone
    labels = job.context.dataset.labels[held_out]
    losses = np.logaddexp.reduce(found.logits, axis=1) - found.logits[np.arange(len(held_out)), labels]
    assert losses.mean() == pytest.approx(found.trained.curve.validation_loss[-1], rel=0.02)


def test_a_fold_that_is_done_is_not_trained_again(ground, changed, no_training):
    first = answer_fold(PARTIAL, ground, fold=0)
    no_training()
    second = answer_fold(PARTIAL, ground, fold=0)
    np.testing.assert_array_equal(second.logits, first.logits)
    assert second.trained.curve == first.trained.curve
    assert second.seconds == first.seconds
    assert (second.trained.learning_rate, second.trained.finder) == (5e-3, ())
    with pytest.raises(AssertionError, match="it was trained again"):
        answer_fold(PARTIAL, ground, fold=1)
    other = changed(ground, training=replace(OPTIONS, dropout=0.5))
    with pytest.raises(TrainingError, match=r"is of another training run: --dropout was 0\.0 and is 0\.5"):
        answer_fold(PARTIAL, other, fold=0)
    assert [path.name for path in ground.context.folder.iterdir()] == ["test-resnet-last-2-blocks"]


def test_a_final_model_is_trained_on_every_row_and_only_once(ground, no_training):
    network, head, trained = final_model(PARTIAL, ground)
    assert np.isnan(trained.curve.validation_loss).all()
    assert network.backbone.weights_sha256 != ground.context.network.backbone.weights_sha256
    assert network.backbone.weights_origin.endswith(", then trained: last 2 blocks")
    pool = ground.split.pool
    logits = held_out_logits(
        network, head, context=ground.context, rows=pool, block=(network.backbone.cuts[-1].index, "mean")
    )
    np.testing.assert_allclose(logits, reader_logits(network, head, ground, pool), rtol=1e-3, atol=1e-3)
    accuracy = (logits.argmax(axis=1) == ground.context.dataset.labels[pool]).mean()
    assert accuracy >= trained.curve.train_accuracy[-1] - 0.1
    no_training()
    again = final_model(PARTIAL, ground)
    assert again[0].backbone == network.backbone
    np.testing.assert_array_equal(again[1].weight, head.weight)
    assert again[2].curve.train_loss == trained.curve.train_loss
    assert again[2].tensors.keys() == trained.tensors.keys()


@pytest.mark.parametrize("num_hidden", [0, 16])
def test_a_head_on_a_cut_reads_the_bank_and_stands_on_the_leaderboard(ground, changed, num_hidden):
    """Where the run has the features, no picture is opened to train on them: here the bank's own cache is used."""
    plan = parse_plan("head, 2 blocks cut")
    cut = ground.context.network.backbone.cut_removing(2)
    options = replace(OPTIONS, epochs=40, learning_rate=0.02, hidden=num_hidden)
    ground = changed(ground, training=options, options=Options(cache_dir=ground.bank.directory.parent.parent))
    before = {name: tensor.clone() for name, tensor in ground.context.network.model.state_dict().items()}
    done = answer_fold(plan, ground, fold=0)
    _, held_out = ground.split.folds[0]
    labels = ground.context.dataset.labels[held_out]
    assert (done.logits.argmax(axis=1) == labels).mean() > 0.7
    network, head, trained = train_rows(plan, ground, rows=ground.split.folds[0][0], watched=held_out, part="row-1")
    assert isinstance(head, DenseHead if num_hidden else LinearHead)
    found = held_out_logits(network, head, context=ground.context, rows=held_out, block=(cut.index, "mean"))
    np.testing.assert_array_equal(found, done.logits)
    np.testing.assert_allclose(
        found, reader_logits(network, head, ground, held_out, (cut.index, "mean")), rtol=1e-3, atol=1e-3
    )
    features = ground.bank.read([ground.context.dataset.samples[row].sha256 for row in held_out], [(cut.index, "mean")])
    np.testing.assert_allclose(head.logits(features), found, rtol=1e-3, atol=1e-3)
    assert trained.curve.validation_accuracy[-1] == pytest.approx((found.argmax(axis=1) == labels).mean())
    assert network.backbone == ground.context.network.backbone
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.model.state_dict().items())

    strategy = strategy_of(plan, ground.context)
    assert strategy.blocks == ((cut.index, "mean"),)
    assert (strategy.kind, strategy.blocks_removed, strategy.tune) == ("frozen", 2, "head, 2 blocks cut")
    assert strategy.head == ("dense" if num_hidden else "linear")
    hidden = ", 16 hidden" if num_hidden else ""
    assert strategy.name == f"test_resnet · head, 2 blocks cut{hidden}"
    units = num_hidden or cut.channels
    macs = cut.channels * num_hidden + units * 3
    assert strategy.cost == pytest.approx(cut.cost_fraction + macs / ground.context.network.backbone.num_macs)
    answers = answers_of(plan, ground, folds=[done])
    trials = {entry.name: entry for entry in leaderboard_of(ground.frozen, (answers,)).leaderboard.trials}
    assert trials[strategy.name].l2 is None
    assert not trials[strategy.name].strategy.is_plain


def test_a_head_learns_from_other_views_in_one_pass_for_all_cuts(ground, changed, compared, monkeypatch):
    ground = changed(
        ground,
        training=replace(OPTIONS, augment="flip"),
        options=Options(cache_dir=compared[1].directory.parent.parent),
    )
    extracted, read = [], pooled.extract_views
    monkeypatch.setattr(
        pooled, "extract_views", lambda *given, **named: extracted.append(read(*given, **named)) or extracted[-1]
    )
    for text in ("head", "head, 1 block cut", "head, 2 blocks cut"):
        train_rows(parse_plan(text), ground, rows=ground.split.pool, watched=ground.split.pool[:0], part="final")
    counts = [[view.num_extracted for view in views] for views in extracted]
    assert counts[0][0] == 0  # the plain view is there
    assert counts[0][1] == len({ground.context.dataset.samples[row].sha256 for row in ground.split.pool})
    assert counts[1:] == [[0, 0], [0, 0]]


def test_rows_are_trained_once_a_part_and_watch_a_tenth_where_it_is_asked_for(ground, changed, no_training):
    options, plan, heard = replace(OPTIONS, watch=True), parse_plan("head, 1 block cut"), []
    ground = changed(ground, training=options, log=lambda name, epoch, values: heard.append(name))
    rows, none = ground.split.pool, ground.split.pool[:0]
    network, head, trained = train_rows(plan, ground, rows=rows, watched=none, part="row-2")
    assert set(heard) == {"test_resnet · head, 1 block cut, row 2"}
    left, watched = set_aside(ground.context.dataset, rows, seed=ground.context.seed)
    block = strategy_of(plan, ground.context).blocks[0]
    answers = held_out_logits(network, head, context=ground.context, rows=watched, block=block).argmax(axis=1)
    assert trained.curve.validation_accuracy[-1] == pytest.approx(
        (answers == ground.context.dataset.labels[watched]).mean()
    )
    other = changed(ground, training=replace(options, hidden=8), folder=ground.context.folder / "other")
    assert isinstance(train_rows(plan, other, rows=rows, watched=none, part="row-2")[1], DenseHead)
    alone = train_rows(plan, changed(ground, training=OPTIONS), rows=left, watched=watched, part="row-3")[2]
    np.testing.assert_array_equal(alone.tensors["head.weight"], trained.tensors["head.weight"])
    no_training()
    again = train_rows(plan, ground, rows=rows, watched=none, part="row-2")
    np.testing.assert_array_equal(again[1].weight, head.weight)
    assert again[2].curve == trained.curve
    with pytest.raises(TrainingError, match="is of another training run: training pictures and labels was"):
        train_rows(plan, ground, rows=rows[1:], watched=none, part="row-2")


def test_a_solved_head_and_hidden_units_contradict_each_other(ground, changed):
    hidden = changed(ground, training=replace(OPTIONS, hidden=64))
    for text, instead in (
        ("head, then last 2 blocks", "last 2 blocks"),
        ("head, then all", "all"),
        ("gradual last 2 blocks", "last 2 blocks"),
    ):
        with pytest.raises(UsageError) as caught:
            plan_network(parse_plan(text), hidden.context)
        assert str(caught.value) == (
            f"plan {text!r} starts from a solved linear head, --hidden 64 asks for one with a hidden layer. Drop "
            f"--hidden, or write: {instead}."
        )
    for text in ("head", "head, 2 blocks cut", "all", "last 20 %", "simple_cnn from nothing"):
        plan_network(parse_plan(text), hidden.context)


def test_a_head_that_comes_first_is_the_solved_one(ground, changed):
    plan = parse_plan("head, then last 2 blocks")
    train_rows, held_out = ground.split.folds[0]
    job = job_of(plan, ground, rows=train_rows, held_out=held_out)
    weight, bias = job.start
    block = (ground.context.network.backbone.cuts[-1].index, "mean")
    features = ground.bank.read([ground.context.dataset.samples[row].sha256 for row in held_out], [block])
    accuracy = ((features @ weight + bias).argmax(axis=1) == ground.context.dataset.labels[held_out]).mean()
    assert accuracy > 0.7
    assert job_of(PARTIAL, ground, rows=train_rows, held_out=held_out).start is None
    slow = changed(ground, training=replace(OPTIONS, learning_rate=1e-7, epochs=1))
    first = answer_fold(plan, slow, fold=0)
    np.testing.assert_allclose(first.logits, features @ weight + bias, rtol=0.05, atol=0.05)


def test_a_head_that_comes_first_needs_its_pooling(ground, learnable, tmp_path):
    bank = extract(learnable, ground.context.network, runtime=RUNTIME, cache=tmp_path / "other", poolings=("std",)).bank
    with pytest.raises(UsageError) as caught:
        job_of(
            parse_plan("head, then all"), replace(ground, bank=bank), rows=ground.split.pool, held_out=ground.split.test
        )
    assert str(caught.value) == ("tune: a head that comes first reads --pooling mean, which was not extracted. Add it.")


def test_classes_weigh_equally_where_the_comparison_says_so(ground, changed):
    rows = ground.split.pool
    labels = ground.context.dataset.labels[rows]
    train_rows = np.concatenate([rows[labels == 0][:2], rows[labels == 1][:4], rows[labels == 2][:6]])
    plain = job_of(PARTIAL, ground, rows=train_rows, held_out=train_rows[:0])
    assert plain.class_weights.tolist() == [1, 1, 1]
    balanced = replace(ground, frozen=replace(ground.frozen, balanced=True))
    weights = job_of(PARTIAL, balanced, rows=train_rows, held_out=train_rows[:0]).class_weights
    np.testing.assert_allclose(weights, [2, 1, 2 / 3], rtol=1e-6)
    assert weights[ground.context.dataset.labels[train_rows]].mean() == pytest.approx(1)
    sampled = changed(balanced, training=replace(OPTIONS, sampling="balanced"))
    assert job_of(PARTIAL, sampled, rows=train_rows, held_out=train_rows[:0]).class_weights.tolist() == [1, 1, 1]


def test_answers_stand_on_the_leaderboard(ground):
    folds = [answer_fold(PARTIAL, ground, fold=fold) for fold in range(3)]
    complete, partial = (
        answers_of(PARTIAL, ground, folds=folds),
        answers_of(SCRATCH, ground, folds=[answer_fold(SCRATCH, ground, fold=0)]),
    )
    rows, labels = ground.frozen.rows, ground.context.dataset.labels
    assert complete.is_complete
    assert not partial.is_complete
    assert (len(complete.fold_scores), len(partial.fold_scores)) == (3, 1)
    for done, score in zip(folds, complete.fold_scores, strict=True):
        held_out = ground.split.folds[done.fold][1]
        assert score == pytest.approx((done.logits.argmax(axis=1) == labels[held_out]).mean())
        places = [rows.samples[rows.scored].tolist().index(row) for row in held_out]
        np.testing.assert_array_equal(complete.logits[places], done.logits)
    assert complete.seconds == pytest.approx(sum(done.seconds for done in folds))
    assert complete.curve == folds[0].trained.curve
    assert partial.answered.sum() == len(rows.held_out[0])

    comparison = leaderboard_of(ground.frozen, (complete, partial))
    trials = {entry.strategy.name: entry for entry in comparison.leaderboard.trials}
    assert len(trials) == len(ground.frozen.answers) + 2
    tuned, scratch = trials["test_resnet · last 2 blocks"], trials["simple_cnn · from nothing"]
    assert (tuned.strategy.kind, scratch.strategy.kind) == ("partial", "scratch")
    assert tuned.mean == pytest.approx(np.mean(complete.scores))
    assert tuned.low <= tuned.mean <= tuned.high
    assert tuned.strategy.cost == pytest.approx(1, rel=0.01)
    assert (tuned.strategy.tune, tuned.strategy.augment) == ("last 2 blocks", "none")
    assert scratch.strategy.backbone == "simple_cnn"
    frozen_board = leaderboard_of(ground.frozen).leaderboard
    assert comparison.leaderboard.num_fits == frozen_board.num_fits + 4


def test_test_labels_play_no_part(ground, changed):
    samples = list(ground.context.dataset.samples)
    for row in ground.split.test:
        samples[row] = replace(samples[row], label=(samples[row].label + 1) % 3)
    assert len(ground.split.test)
    scrambled = changed(
        ground, dataset=replace(ground.context.dataset, samples=tuple(samples)), folder=ground.context.folder / "other"
    )
    expected, found = answer_fold(PARTIAL, ground, fold=0), answer_fold(PARTIAL, scrambled, fold=0)
    np.testing.assert_array_equal(found.logits, expected.logits)
