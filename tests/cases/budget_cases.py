"""Plans that take a known time and get a known number of rows wrong, and a clock that they turn; nothing is trained."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np

from thawline.core.types import Curve
from thawline.search.answers import Rows, answers_from
from thawline.search.strategy import Strategy
from thawline.train import budget, tried
from thawline.train.context import Machine
from thawline.train.folds import FoldAnswers
from thawline.train.forecast import Forecast
from thawline.train.hyperparameters import TrainOptions
from thawline.train.job import Trained
from thawline.train.plan import parse_plan
from thawline.train.tried import Candidate

NUM_FOLDS, FOLD_ROWS, EPOCHS = 4, 10, 4
COUNT = NUM_FOLDS * FOLD_ROWS
LABELS = np.arange(COUNT) % 2
FOLDS = tuple(np.arange(COUNT).reshape(NUM_FOLDS, FOLD_ROWS))
ROWS = Rows(
    samples=np.arange(COUNT),
    labels=LABELS,
    groups=np.arange(COUNT),
    train=np.ones((COUNT, NUM_FOLDS), np.float32),
    held_out=FOLDS,
    repeat=np.zeros(NUM_FOLDS, np.int64),
    scored=np.arange(COUNT),
    weight=np.ones(COUNT),
)


def answers_with(wrong_rows):
    """Return answers to all rows, wrong in some."""
    predicted = LABELS.copy()
    predicted[list(wrong_rows)] ^= 1
    strategy = Strategy("drawn", (0,), ("mean",), "linear", "drawn", 1.0)
    return answers_from(strategy, predicted[None], logits=np.eye(2)[predicted], rows=ROWS, seconds=1.0)


def forecast_of(plan, epoch_s=1.0, *, prefix_s=0.0, growth=1.25, answer_s=0.0):
    costs = {"prefix_s": prefix_s, "start_s": 0.0, "epoch_s": epoch_s, "answers_s": 0.0, "epochs": EPOCHS}
    return Forecast(plan, plan.name, **costs, growth=growth, memory_bytes=10**6, disk_bytes=10**3, answer_s=answer_s)


class World:
    """The machine, the pictures and the clock.

    Attributes:
        now_s: What the clock says.
        ran: (plan, fold) of every training run, in their order.
        takes_s: Plan → seconds of an epoch, in truth.
        wrong: Plan → rows of a fold that it gets wrong.
        facts: Of all forecasts.
        counted_in: Seconds of an earlier start that were counted, step by step.
        earlier_s: (plan, fold) → seconds that it took in an earlier start, where it is there already.
    """

    def __init__(self, monkeypatch, takes_s, wrong=None, forecasts_s=None, **facts):
        self.now_s, self.ran, self.takes_s, self.wrong = 0.0, [], takes_s, wrong or {}
        self.counted_in, self.earlier_s = [], {}
        self.forecasts_s, self.facts = forecasts_s or takes_s, facts
        self.plans = [parse_plan(name) for name in takes_s]
        frozen = (answers_with([0, 10, 20, 30]), answers_with([0, 1, 10, 11, 20, 21]))  # the first is the better one
        network = SimpleNamespace(backbone=SimpleNamespace(input=SimpleNamespace(size_px=224)))
        context = SimpleNamespace(training=TrainOptions(score_folds=3), machine=Machine(None), seed=0, network=network)
        self.ground = SimpleNamespace(
            context=context,
            split=SimpleNamespace(num_folds=NUM_FOLDS, test=np.arange(20)),
            bank=SimpleNamespace(spec=None),
            frozen=SimpleNamespace(answers=frozen, rows=ROWS),
        )
        self.candidates = [Candidate(plan, self.ground) for plan in self.plans]
        monkeypatch.setattr(budget.time, "perf_counter", lambda: self.now_s)
        monkeypatch.setattr(budget.time, "monotonic", lambda: self.now_s)
        monkeypatch.setattr(tried, "forecast_plans", self.forecast)
        monkeypatch.setattr(budget, "answer_fold", self.answer)
        monkeypatch.setattr(budget, "answers_of", self.answers)

    def forecast(self, entries, *_, **limits):
        self.limits = limits
        return tuple(forecast_of(plan, self.forecasts_s[plan.name], **self.facts) for plan, _ in entries)

    def train(self, name, allowance):
        """Turn the clock by an epoch after the other, in tenths, until the allowance ends; return the epochs."""
        tenths, tenth_s = 0, self.takes_s[name] / 10
        while tenths < 10 * min(EPOCHS, allowance.epochs) and (
            not tenths or self.now_s + tenth_s / 2 <= allowance.ends_at
        ):
            self.now_s += tenth_s
            tenths += 1
        return tenths / 10

    def answer(self, plan, ground, fold, allowance):
        start = self.now_s
        self.now_s += self.facts.get("prefix_s", 0.0) * (plan.name not in (name for name, _ in self.ran))
        self.ran.append((plan.name, fold))
        earlier_s = self.earlier_s.get((plan.name, fold), 0.0)
        epochs = EPOCHS if earlier_s else self.train(plan.name, allowance)
        predicted = LABELS[FOLDS[fold]].copy()
        predicted[: self.wrong.get(plan.name, 0)] ^= 1
        trained = Trained({}, Curve((), (), (), ()), 0.0, 0.1, epochs=epochs, wanted_epochs=EPOCHS)
        return FoldAnswers(fold, np.eye(2)[predicted], trained, self.now_s - start + earlier_s)

    def answers(self, plan, ground, folds):
        predicted, logits = np.full((1, COUNT), -1), np.full((COUNT, 2), math.nan)
        for done in folds:
            predicted[0, FOLDS[done.fold]], logits[FOLDS[done.fold]] = done.logits.argmax(axis=1), done.logits
        strategy = Strategy("drawn", (0,), ("mean",), "linear", plan.name, 1.0, tune=plan.name)
        return answers_from(strategy, predicted, logits=logits, rows=ROWS, seconds=1.0)

    def spend(self, seconds):
        """Spend so many seconds on all plans; return what came of each, by its name."""
        left_s = lambda: seconds - self.now_s - sum(self.counted_in)  # noqa: E731
        done = budget.spend(self.candidates, left_s=left_s, count_in=self.counted_in.append)
        return {one.plan.name: one for one in done}
