"""A winner is trained on every row of choosing, and on every view of it where it learnt from views."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from thawline.core.options import Options
from thawline.core.runtime import Runtime
from thawline.data.dataset import Dataset, Sample
from thawline.data.sources.places import Place
from thawline.data.split import make_split
from thawline.features.bank import BankSpec, FeatureBank, open_bank
from thawline.features.extract import Extraction
from thawline.features.network import load_backbone
from thawline.features.segment import write_segment
from thawline.heads.calibrate import fit_temperature
from thawline.heads.linear import fit_linear
from thawline.search.compare import leaderboard_of
from thawline.search.frozen import answer_frozen, stacked_views
from thawline.search.settled import settled_logits
from thawline.train.context import Context, Machine
from thawline.train.hyperparameters import TrainOptions
from thawline.train.job import Trained
from thawline.work import model as module
from thawline.work.model import describe_training, frozen_model, trained_model
from thawline.work.order import Order, Row
from thawline.work.session import Clock, Compared, Session

LABELS = np.arange(60) % 3
HASHES = [hashlib.sha256(str(row).encode()).hexdigest() for row in range(60)]


@pytest.fixture(scope="module")
def network():
    return load_backbone(pretrained=False)


@pytest.fixture(scope="module")
def compared(network, tmp_path_factory):
    """A comparison of the first cut's features, drawn, plain and in another view."""
    root, cut = tmp_path_factory.mktemp("cache"), network.backbone.cuts[0]
    spec = BankSpec(
        backbone_name=network.backbone.name,
        weights_sha256=network.backbone.weights_sha256,
        input=network.backbone.input,
        views=("plain",),
        compute="float32",
        storage="float32",
        cuts=((cut.module, cut.channels),),
        poolings=("mean",),
        blocks=((0, "mean", cut.channels),),
    )
    rng = np.random.default_rng(0)
    centre = rng.normal(size=(3, cut.channels))[LABELS]

    def drawn(view: str) -> FeatureBank:
        own = replace(spec, views=(view,))
        directory = open_bank(root, own).directory
        digests = np.frombuffer(b"".join(map(bytes.fromhex, HASHES)), np.uint8).reshape(-1, 32)
        rows = (centre + rng.normal(size=centre.shape)).astype(np.float32)[:, None]
        write_segment(root, directory, digests=digests, rows=rows)
        return open_bank(root, own)

    plain, flipped = drawn("plain"), drawn("flip.1")
    samples = [Sample(str(row), int(LABELS[row]), HASHES[row], None, row, None) for row in range(60)]
    dataset = Dataset(None, ("a", "b", "c"), tuple(samples), ())
    split = make_split(dataset)
    frozen = answer_frozen(
        plain, network.backbone, dataset=dataset, split=split, view_banks=[flipped], view_policy="flip"
    )
    order = Order(Place.of("photos"), options=Options(storage="float32"))
    machine = Machine(Runtime("cpu", "float32", 8))
    context = Context(dataset, network, order.options, TrainOptions(), machine=machine, folder=root / "work")
    session = Session(order, context, None, Clock())
    comparison = leaderboard_of(frozen, full_pass_ms=1.0)
    return Compared(session, split, Extraction(plain, 60, 0.0), comparison, 1.0, (flipped,))


def held_out(compared):
    """Return the winner's held-out logits and the classes of their rows."""
    comparison = compared.comparison
    return {"logits": comparison.held_out_logits, "labels": compared.dataset.labels[comparison.rows]}


@pytest.mark.parametrize("augment", ["none", "flip"])
def test_a_linear_winner_is_trained_on_all_that_it_learnt_from(compared, augment):
    trial = next(
        trial
        for trial in compared.leaderboard.trials
        if (trial.strategy.head, trial.strategy.augment) == ("linear", augment)
    )
    made = frozen_model(compared, trial, **held_out(compared))
    banks = [compared.extraction.bank, *(compared.view_banks if augment == "flip" else ())]
    rows = compared.split.pool
    features = stacked_views(banks, [HASHES[row] for row in rows], blocks=trial.strategy.blocks)
    assert len(features) == len(banks) * len(rows)
    labels = np.concatenate([LABELS[rows]] * len(banks))
    expected = fit_linear(features, labels, l2=trial.l2, num_classes=3)
    np.testing.assert_allclose(made.classifier.head.logits(features), expected.logits(features), atol=1e-5)
    assert (made.strategy, made.curve) == (trial.strategy, None)


def own_logits(compared, trial):
    """Return the held-out logits of the trial's strength in all folds, and their classes."""
    rows = compared.comparison.frozen.rows
    hashes = [HASHES[row] for row in rows.samples]
    return settled_logits([compared.extraction.bank], hashes, rows=rows, strategy=trial.strategy, l2=trial.l2)


def test_the_temperature_is_that_of_the_head_s_own_strength_in_every_fold(compared):
    trial = next(trial for trial in compared.leaderboard.trials if trial.l2 is not None and trial.strategy.is_plain)
    given = held_out(compared)
    for l2 in (1e-5, 1e-2):
        own = replace(trial, l2=l2)
        logits, labels = own_logits(compared, own)
        assert len(labels) == 2 * len(compared.split.pool)
        temperature = frozen_model(compared, own, **given).classifier.temperature
        assert temperature == pytest.approx(fit_temperature(logits, labels, repeats=2))
        louder = frozen_model(compared, own, logits=3 * given["logits"], labels=given["labels"])
        assert louder.classifier.temperature == temperature


def test_a_head_without_strengths_and_a_single_fold_take_the_answers_of_the_comparison(compared):
    given = held_out(compared)
    expected = pytest.approx(fit_temperature(given["logits"], given["labels"]))
    trial = next(trial for trial in compared.leaderboard.trials if trial.l2 is None)
    assert frozen_model(compared, trial, **given).classifier.temperature == expected
    comparison = compared.comparison
    rows = comparison.frozen.rows
    once = replace(rows, held_out=rows.held_out[:1], train=rows.train[:, :1], repeat=rows.repeat[:1])
    parted = replace(compared, comparison=replace(comparison, frozen=replace(comparison.frozen, rows=once)))
    assert frozen_model(parted, compared.leaderboard.trials[0], **given).classifier.temperature == expected


def trained_temperature(compared, monkeypatch, *, logits=None, labels=None, **training):
    """Return the temperature of a network whose training is left out, and the rows that were asked for their logits."""
    session = compared.session
    context = replace(session.context, training=TrainOptions(**training))
    asked = []

    def answers(network, head, *, context, rows, block):
        asked.append(rows)
        return held_out(compared)["logits"][: len(rows)]

    monkeypatch.setattr(
        module,
        "train_rows",
        lambda *_, **__: (context.network, None, Trained({}, None, seconds=1.0, learning_rate=0.1)),
    )
    monkeypatch.setattr(module, "held_out_logits", answers)
    monkeypatch.setattr(module, "classifier_of", lambda *_, temperature, **__: temperature)
    ground = replace(compared.ground, context=context)
    made = trained_model(compared, Row(name="tuned", plan="all"), ground=ground, logits=logits, labels=labels)
    return made.classifier, asked


def test_a_trained_network_has_the_temperature_of_its_own_held_out_logits(compared, monkeypatch):
    given = held_out(compared)
    expected = pytest.approx(fit_temperature(given["logits"], given["labels"]))
    assert trained_temperature(compared, monkeypatch, **given) == (expected, [])
    watching = {"schedule": "plateau"}
    assert trained_temperature(compared, monkeypatch, **given, **watching) == (expected, [])
    temperature, (watched,) = trained_temperature(compared, monkeypatch, **watching)
    assert set(watched) < set(compared.split.pool)
    labels = compared.dataset.labels[watched]
    assert temperature == pytest.approx(fit_temperature(given["logits"][: len(watched)], labels))
    assert trained_temperature(compared, monkeypatch) == (1.0, [])


def test_a_row_without_a_plan_is_not_trained(compared):
    with pytest.raises(ValueError, match="it has no plan"):
        trained_model(compared, Row(name="solved", frozen="whole"), ground=compared.ground)


def test_a_model_folder_records_what_it_was_trained_on(compared, monkeypatch):
    shown = []
    monkeypatch.setattr(module, "hard_rows", lambda compared, classifier, *, rows: rows[:5])
    monkeypatch.setattr(module, "read_checked", lambda sample: shown.append(sample.sha256) or b"picture")
    monkeypatch.setattr(module, "kept_pictures", lambda pictures, *, rendering: [b"kept"] * len(pictures))
    training = describe_training(compared, "the winner", rows=compared.split.pool)
    assert training.strategy == "the winner"
    assert training.sha256s == [HASHES[row] for row in compared.split.pool]
    assert shown == training.sha256s[:5]  # golden pictures are training pictures, none of the test
    assert training.golden == [b"kept"] * 5
    assert training.provenance["options"]["storage"] == "float32"
