"""The comparison on drawn features whose answer is known: who wins, who ties, what is not looked at."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from thawline.core.types import Curve, InputSpec
from thawline.data.dataset import Dataset, Sample
from thawline.data.split import make_split
from thawline.features.backbone import Backbone, CutPoint
from thawline.features.bank import BankSpec, FeatureBank, open_bank
from thawline.features.segment import write_segment
from thawline.heads.linear import L2_STRENGTHS
from thawline.heads.nearest import NEIGHBOURS, class_mean_folds
from thawline.heads.rotation import rotate
from thawline.search import held_out as module
from thawline.search import solving as solving_module
from thawline.search.answers import answers_from
from thawline.search.compare import CompareOptions, compare, leaderboard_of, with_curves
from thawline.search.frozen import answer_frozen, imbalance, stacked_views
from thawline.search.strategy import HEADS, Strategy, candidate_features, together_features
from thawline.search.ties import CREDIT_MARGIN

INPUT = InputSpec(32, (0.5,) * 3, (0.5,) * 3)
PLAIN = CompareOptions()


class Drawn:
    """A bank of drawn features, one block a cut, with the backbone and the pictures that it pretends to be of."""

    def __init__(self, root, depths, labels, *, parts=None, groups=None):
        """Take the (N, D) features of every cut, (N,) labels, parts and groups."""
        n = len(labels)
        widths = [x.shape[1] for x in depths]
        spec = BankSpec(
            backbone_name="drawn",
            weights_sha256="0" * 64,
            input=INPUT,
            views=("plain",),
            compute="float32",
            storage="float32",
            cuts=tuple((f"blocks.{cut}", width) for cut, width in enumerate(widths)),
            poolings=("mean",),
            blocks=tuple((cut, "mean", width) for cut, width in enumerate(widths)),
        )
        cuts = [
            CutPoint(cut, f"blocks.{cut}", width, 32, len(widths) - 1 - cut, (cut + 1) / len(widths))
            for cut, width in enumerate(widths)
        ]
        self.backbone = Backbone(
            "drawn", "drawn", "0" * 64, INPUT, tuple(cuts), 10**6, 1000, 0, False, True, "none", "drawn"
        )
        hashes = [hashlib.sha256(str(row).encode()).hexdigest() for row in range(n)]
        self.root, self.hashes = root, hashes
        self.bank = self.bank_of(spec, depths)
        self.dataset = Dataset(
            None,
            tuple(f"class {k}" for k in range(max(labels) + 1)),
            tuple(
                Sample(
                    str(row),
                    int(labels[row]),
                    hashes[row],
                    None if parts is None else parts[row],
                    row if groups is None else int(groups[row]),
                    None,
                )
                for row in range(n)
            ),
            (),
        )

    def bank_of(self, spec, depths) -> FeatureBank:
        """Return a bank of the same pictures that holds these features."""
        digests = np.frombuffer(b"".join(map(bytes.fromhex, self.hashes)), np.uint8).reshape(-1, 32)
        rows = np.hstack(depths).astype(np.float32)[:, None]
        directory = open_bank(self.root, spec).directory
        write_segment(self.root, directory, digests=digests, rows=rows)
        return open_bank(self.root, spec)

    def view(self, name, depths) -> FeatureBank:
        """Return the bank of another view of the same pictures."""
        return self.bank_of(replace(self.bank.spec, views=(name,)), depths)

    def labelled(self, labels) -> Dataset:
        """Return the same pictures under other labels."""
        samples = zip(self.dataset.samples, labels, strict=True)
        return replace(self.dataset, samples=tuple(replace(sample, label=int(label)) for sample, label in samples))

    def compare(self, options=PLAIN, dataset=None, split=None, **more):
        dataset = dataset or self.dataset
        split = split or make_split(dataset)
        return compare(self.bank, self.backbone, dataset=dataset, split=split, options=options, **more)


def blobs(seed, labels, spread, d=8):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(max(labels) + 1, d))[labels] + rng.normal(size=(len(labels), d)) * spread


def noise(seed, n, d=8):
    return np.random.default_rng(seed).normal(size=(n, d))


def numbers(board):
    """Return everything a leaderboard says but how long it took."""
    trials = tuple(replace(trial, fit_s=0.0, predict_ms=0.0) for trial in board.trials)
    return replace(board, trials=trials, seconds=0.0)


LABELS = np.arange(150) % 3


@pytest.fixture(scope="module")
def one_good_depth(tmp_path_factory):
    """Four cuts, of which only the second from below tells the classes apart."""
    depths = [noise(0, 150), blobs(1, LABELS, 0.5), noise(2, 150), noise(3, 150)]
    return Drawn(tmp_path_factory.mktemp("cache"), depths, LABELS)


@pytest.fixture(scope="module")
def good_board(one_good_depth):
    return one_good_depth.compare(full_pass_ms=10.0)


def test_the_better_depth_wins(good_board):
    board = good_board.leaderboard
    winner = board.trials[board.winner]
    assert winner.strategy.depths == (1,)
    assert winner.mean > 0.9
    others = [trial for trial in board.trials if 1 not in trial.strategy.depths]
    assert all(trial.mean < 0.5 and not trial.tied and trial.p_value < 0.01 for trial in others)
    assert board.chosen_mean > 0.9


def test_a_leaderboard_is_in_order_and_agrees_with_itself(good_board, one_good_depth):
    board, split = good_board.leaderboard, make_split(one_good_depth.dataset)
    leader = board.trials[0]
    others = [trial.mean for trial in board.trials[1:]]
    assert others == sorted(others, reverse=True)
    assert leader.credit == max(trial.credit for trial in board.trials)
    assert (leader.difference, leader.p_value, leader.tied) == (0, 1, True)
    assert 0 in board.ties
    assert board.trials[board.winner].strategy.cost <= leader.strategy.cost
    assert board.trials[board.winner].credit >= leader.credit - CREDIT_MARGIN
    assert board.gain.over == "drawn · whole · linear"
    assert board.gain.low <= board.gain.mean <= board.gain.high
    assert (board.metric, board.rule, board.num_pictures) == ("accuracy", split.rule, len(split.pool))
    assert len({trial.name for trial in board.trials}) == len(board.trials)
    for trial in board.trials:
        assert 0 <= trial.low <= trial.mean <= trial.high <= 1
        assert trial.high - trial.low > 0.01
        assert trial.difference == pytest.approx(trial.mean - leader.mean)
        assert trial.difference_low <= trial.difference + 1e-9 <= trial.difference_high + 2e-9
        assert trial.tied == (trial.difference_low <= 0 <= trial.difference_high)
        assert trial.tied == (trial.p_value >= 0.0499)
        assert trial.mean == pytest.approx(trial.accuracy)
        assert np.mean(trial.fold_scores) == pytest.approx(trial.mean, abs=0.01)  # folds differ by a picture
        assert len(trial.fold_scores) == len(split.folds) == 10
        assert (trial.l2 in L2_STRENGTHS) == (trial.strategy.head == "linear")
        assert (trial.neighbours in NEIGHBOURS) == (trial.strategy.head == "k-NN")
        assert trial.predict_ms == pytest.approx(10 * trial.strategy.cost)
        assert trial.curve is None
    assert board.chosen_low <= board.chosen_mean <= board.chosen_high


def test_a_comparison_prints_without_its_arrays(good_board):
    assert repr(good_board) == f"<Comparison: {good_board.leaderboard!r}>"
    assert repr(good_board.frozen) == (
        f"<FrozenAnswers: {len(good_board.frozen.answers)} strategies, {good_board.frozen.num_fits:,} heads trained, "
        f"{good_board.frozen.rows!r}>"
    )
    assert len(repr(good_board)) < 300


def test_fits_are_counted(good_board, one_good_depth):
    features = len(candidate_features(one_good_depth.bank.spec))
    board = good_board.leaderboard
    together = together_features(one_good_depth.bank.spec)
    assert len(board.trials) == features * 3 + len(together) > features * 3
    fits = {
        head: sum(entry.num_fits for entry in good_board.frozen.answers if entry.strategy.head == head)
        for head in HEADS
    }
    assert (fits["class mean"], fits["k-NN"]) == (features * 10, features * 10 * len(NEIGHBOURS))
    assert (
        features * 10 * 2 <= fits["linear"] < features * 10 * len(L2_STRENGTHS)
    )  # weak penalties that lose are left out
    assert fits["linear"] % 10 == 0
    assert board.num_fits == sum(fits.values())


def test_with_few_pictures_only_the_safest_may_win(tmp_path):
    """The best depth is known to all but the chooser: with a dozen a class, what came out best is mostly luck."""
    labels = np.arange(36) % 3
    few = Drawn(tmp_path, [noise(0, 36), blobs(1, labels, 0.5), noise(2, 36), blobs(3, labels, 1.0)], labels)
    board = few.compare(split=make_split(few.dataset, hold_out=False)).leaderboard
    assert board.trials[board.winner].name == "drawn · 3 heads together"
    assert (board.is_safe, board.is_named) == (True, False)
    assert board.trials[0].mean > board.trials[board.winner].mean
    rows = frozenset(["drawn · whole · linear", "drawn · 2 blocks cut · linear"])
    alone = few.compare(split=make_split(few.dataset, hold_out=False)).frozen
    rows_alone = leaderboard_of(replace(alone, answers=()), alone.answers[:3])  # rows one by one, without the others
    assert not rows_alone.leaderboard.is_safe
    named = few.compare(CompareOptions(only=rows), split=make_split(few.dataset, hold_out=False)).leaderboard
    assert named.trials[named.winner].name == "drawn · whole · linear"


def test_heads_together_say_what_they_are_made_of(good_board):
    trials = {trial.name: trial for trial in good_board.leaderboard.trials if trial.strategy.members}
    assert trials.keys() == {"drawn · 3 heads together", "drawn · middle and end together"}
    for trial in trials.values():
        assert [part.name for part in trial.members] == [part.name for part in trial.strategy.members]
        assert all(part.l2 in L2_STRENGTHS for part in trial.members)
        assert (trial.l2, trial.neighbours) == (None, None)


def test_the_winners_held_out_logits_are_those_behind_its_score(good_board, one_good_depth):
    split = make_split(one_good_depth.dataset)
    assert np.array_equal(good_board.rows, split.pool)
    assert good_board.held_out_logits.shape == (len(split.pool), 3)
    right = good_board.held_out_logits.argmax(axis=1) == one_good_depth.dataset.labels[good_board.rows]
    winner = good_board.leaderboard.trials[good_board.leaderboard.winner]
    first_repeat = np.average(winner.fold_scores[:5], weights=[len(held) for _, held in split.folds[:5]])
    assert right.mean() == pytest.approx(first_repeat)


def test_held_out_logits_are_those_of_the_head_that_answered(good_board, one_good_depth):
    """Whatever they are scaled by would be lost on the ranking, and spoil the temperature that is fitted on them."""
    frozen, bank = good_board.frozen, one_good_depth.bank
    rows, hashes = frozen.rows, [one_good_depth.hashes[sample] for sample in frozen.rows.samples]
    entry = next(e for e in frozen.answers if (e.strategy.head, e.strategy.depths) == ("class mean", (1,)))
    rotated = rotate(bank.read(hashes, entry.strategy.blocks))
    expected = class_mean_folds(rotated, rows.labels, row_weights=rows.train, num_classes=3)
    for fold, held_out in enumerate(rows.held_out[: int((rows.repeat == 0).sum())]):
        places = np.searchsorted(rows.scored, held_out)
        np.testing.assert_allclose(entry.logits[places], expected[fold, held_out], rtol=1e-5)
    winner = good_board.leaderboard.trials[good_board.leaderboard.winner].strategy
    logits = next(e.logits for e in frozen.answers if e.strategy == winner)
    np.testing.assert_array_equal(good_board.held_out_logits, logits)


def test_the_same_comparison_twice_says_the_same(good_board, one_good_depth):
    again = one_good_depth.compare(full_pass_ms=10.0)
    assert numbers(again.leaderboard) == numbers(good_board.leaderboard)
    assert np.array_equal(again.held_out_logits, good_board.held_out_logits)


def test_test_labels_leave_the_leaderboard_as_it_is(good_board, one_good_depth):
    """Rule 4. The split is the same one: that it does not read test labels is tested beside it."""
    split = make_split(one_good_depth.dataset)
    labels = one_good_depth.dataset.labels.copy()
    labels[split.test] = (labels[split.test] + 1) % 3
    other = one_good_depth.compare(dataset=one_good_depth.labelled(labels), split=split, full_pass_ms=10.0)
    assert numbers(other.leaderboard) == numbers(good_board.leaderboard)
    assert np.array_equal(other.held_out_logits, good_board.held_out_logits)


def test_test_labels_of_the_persons_own_test_folder_do_so_too(tmp_path):
    parts = ["test" if row % 5 == 0 else "train" for row in range(100)]
    labels = np.arange(100) // 4 % 3
    drawn = Drawn(tmp_path, [blobs(4, labels, 1.0), blobs(5, labels, 1.0)], labels, parts=parts)
    scrambled = labels.copy()
    scrambled[::5] = np.random.default_rng(0).permutation(2 - labels[::5])
    boards = []
    for dataset in (drawn.dataset, drawn.labelled(scrambled)):
        split = make_split(dataset)
        board = drawn.compare(dataset=dataset, split=split).leaderboard
        boards.append(numbers(with_curves(board, drawn.bank, dataset=dataset, split=split)))
    assert boards[0] == boards[1]


def test_test_features_leave_the_leaderboard_as_it_is(tmp_path):
    parts = ["test" if row % 5 == 0 else "train" for row in range(100)]
    labels = np.arange(100) // 4 % 3
    depths = [blobs(4, labels, 1.0), blobs(5, labels, 1.0)]
    first = Drawn(tmp_path / "one", depths, labels, parts=parts).compare()
    for depth in depths:
        depth[::5] += 100
    second = Drawn(tmp_path / "two", depths, labels, parts=parts).compare()
    assert numbers(first.leaderboard) == numbers(second.leaderboard)


def test_depths_that_say_the_same_tie(tmp_path):
    same = blobs(6, LABELS, 0.8)
    board = Drawn(tmp_path, [noise(7, 150), same, same], LABELS).compare().leaderboard
    by_depths = {t.strategy.depths: t for t in board.trials if t.strategy.head == "linear"}
    assert by_depths[(1,)].mean == by_depths[(2,)].mean
    assert by_depths[(1,)].fold_scores == by_depths[(2,)].fold_scores
    assert by_depths[(1,)].tied == by_depths[(2,)].tied is True
    assert by_depths[(1,)].credit == by_depths[(2,)].credit
    assert not by_depths[(0,)].tied


def test_a_depth_that_is_better_for_sure_wins_though_it_costs_more(tmp_path):
    board = Drawn(tmp_path, [blobs(8, LABELS, 2.5), blobs(8, LABELS, 0.7)], LABELS).compare().leaderboard
    assert board.trials[board.winner].strategy.depths[-1] == 1


def test_fused_depths_win_where_each_knows_another_part(tmp_path):
    labels = np.arange(200) % 4
    low, high = blobs(9, labels // 2, 0.6), blobs(10, labels % 2, 0.6)
    board = Drawn(tmp_path, [low, high], labels).compare().leaderboard
    assert board.trials[board.winner].strategy.depths == (0, 1)
    alone = [trial for trial in board.trials if not trial.strategy.is_fused]
    assert not any(trial.tied for trial in alone)


def test_scrambled_labels_give_chance_and_the_choosing_knows(tmp_path):
    """The leader is not picked for its score, so it scores chance too, or a little less: folds are stratified."""
    chosen, leaders, covered = [], [], 0
    for seed in range(10):
        labels = np.random.default_rng(seed).permutation(np.arange(240) % 4)
        depths = [noise(1000 + 2 * seed, 240, d=30), noise(1001 + 2 * seed, 240, d=30)]
        board = Drawn(tmp_path / str(seed), depths, labels).compare(replace(PLAIN, seed=seed)).leaderboard
        chosen.append(board.chosen_mean)
        leaders.append(board.trials[0].mean)
        covered += board.chosen_low <= 0.25 <= board.chosen_high
    assert np.mean(chosen) == pytest.approx(0.25, abs=0.03)
    assert np.mean(leaders) == pytest.approx(0.25, abs=0.03)
    assert covered >= 8


def test_a_setting_is_chosen_for_a_fold_by_the_rows_outside_it(one_good_depth, monkeypatch):
    """k = first is right on all of fold 0 and on two fifths elsewhere, k = last on none of it and on three fifths."""
    dataset = one_good_depth.dataset
    split = make_split(dataset, num_repeats=1)
    labels = dataset.labels[split.pool]
    in_fold_0 = np.isin(split.pool, split.folds[0][1])
    place = np.arange(len(labels))
    right = np.stack([in_fold_0 | (place % 5 < 2), ~in_fold_0 & (place % 5 >= 2)])
    assert right[0].sum() > right[1].sum()

    def answers(rotated, labels, row_weights, *, num_classes, neighbours=NEIGHBOURS, **_):
        logits = np.zeros((row_weights.shape[1], len(neighbours), len(labels), num_classes), np.float32)
        for setting in range(len(neighbours)):
            said = np.where(right[min(setting, 1)], labels, (labels + 1) % num_classes)
            logits[:, setting, np.arange(len(labels)), said] = 1
        return logits

    monkeypatch.setattr(module, "neighbour_folds", answers)
    board = compare(
        one_good_depth.bank, one_good_depth.backbone, dataset=dataset, split=split, options=PLAIN
    ).leaderboard
    for trial in board.trials:
        if trial.strategy.head == "k-NN":
            assert trial.fold_scores[0] == 0
            assert trial.neighbours == NEIGHBOURS[0]  # all rows together prefer it: the final fit takes it


@pytest.mark.parametrize(("unsolved", "chosen"), [(False, 1), (True, 2)])
def test_a_strength_is_chosen_by_log_loss_among_those_that_every_fold_was_solved_for(
    one_good_depth, monkeypatch, unsolved, chosen
):
    """Every strength is right as often; the second is the surest of it, the third the next."""
    sure = np.array([1, 4, 3, 2, 1], np.float32)

    def linear(rotated, labels, row_weights, strengths, *, num_classes, **_):
        right = np.eye(num_classes, dtype=np.float32)[labels]
        logits = np.tile(sure[:, None, None] * right, (row_weights.shape[1], 1, 1, 1))
        if unsolved:
            logits[3, 1] = np.nan
        return logits

    monkeypatch.setattr(module, "fit_folds", linear)
    dataset = one_good_depth.dataset
    board = compare(
        one_good_depth.bank, one_good_depth.backbone, dataset=dataset, split=make_split(dataset), options=PLAIN
    ).leaderboard
    linear_trials = [trial for trial in board.trials if trial.strategy.head == "linear"]
    assert linear_trials
    assert {trial.l2 for trial in linear_trials} == {L2_STRENGTHS[chosen]}


def answer_as_told(monkeypatch, right):
    """Let every head on D columns be right on the rows of choosing that `right[D]` says, whatever it is trained on."""

    def linear(rotated, labels, row_weights, strengths, *, num_classes, **_):
        said = np.where(right[rotated.num_columns], labels, (labels + 1) % num_classes)
        shape = (row_weights.shape[1], len(strengths), len(labels), num_classes)
        return np.broadcast_to(np.eye(num_classes, dtype=np.float32)[said], shape).copy()

    def neighbours(rotated, labels, row_weights, *, num_classes, neighbours=NEIGHBOURS, **_):
        return linear(rotated, labels, row_weights, neighbours, num_classes=num_classes)

    def means(rotated, labels, row_weights, *, num_classes):
        return linear(rotated, labels, row_weights, [0], num_classes=num_classes)[:, 0]

    monkeypatch.setattr(module, "fit_folds", linear)
    monkeypatch.setattr(module, "neighbour_folds", neighbours)
    monkeypatch.setattr(module, "class_mean_folds", means)


def test_the_choosing_is_scored_on_a_fold_by_what_the_rows_outside_it_choose(tmp_path, monkeypatch):
    """The first cut is right on fold 0 alone, the second everywhere else: who must score fold 0 cannot know."""
    drawn = Drawn(tmp_path, [noise(0, 150, d=4), noise(1, 150, d=5)], LABELS)
    split = make_split(drawn.dataset, num_repeats=1)
    in_fold_0 = np.isin(split.pool, split.folds[0][1])
    answer_as_told(monkeypatch, {4: in_fold_0, 5: ~in_fold_0, 9: np.zeros_like(in_fold_0)})  # 9 columns: both, fused
    board = drawn.compare(split=split).leaderboard
    assert board.trials[0].strategy.depths == (1,)
    assert board.trials[0].mean == pytest.approx(1 - in_fold_0.mean())
    assert board.chosen_mean - board.chosen_growth == pytest.approx(1 - in_fold_0.mean())


@pytest.mark.parametrize(("num_wrong", "winner", "tied"), [(0, 0, True), (3, 1, True), (10, 1, False), (60, 1, False)])
def test_a_cheaper_cut_wins_only_if_it_is_shown_to_be_as_good(tmp_path, monkeypatch, num_wrong, winner, tied):
    """Of 480: 3 more mistakes can be chance, but nothing shows that they are; 10 cannot be chance."""
    labels = np.arange(600) % 3
    drawn = Drawn(tmp_path, [noise(0, 600, d=4), noise(1, 600, d=5)], labels)
    rows = np.arange(480)
    answer_as_told(monkeypatch, {4: rows >= num_wrong, 5: rows >= 0, 9: rows < 0})
    board = drawn.compare().leaderboard
    assert board.trials[board.winner].strategy.depths == (winner,)
    cheaper = next(trial for trial in board.trials if trial.strategy.depths == (0,))
    assert cheaper.tied is tied
    assert cheaper.difference == pytest.approx(-num_wrong / 480)


def test_a_tie_by_few_pictures_does_not_win(tmp_path, monkeypatch):
    labels = np.arange(60) % 3
    drawn = Drawn(tmp_path, [noise(0, 60, d=4), noise(1, 60, d=5)], labels)
    rows = np.arange(48)
    answer_as_told(monkeypatch, {4: rows >= 4, 5: rows >= 0, 9: rows < 0})
    board = drawn.compare().leaderboard
    cheaper = next(trial for trial in board.trials if trial.strategy.depths == (0,))
    assert cheaper.p_value > 0.05
    assert cheaper.difference_low < -0.05
    assert cheaper.tied
    assert board.trials[board.winner].strategy.depths == (1,)


def test_imbalance_is_met_by_balanced_accuracy_and_class_weights(tmp_path):
    labels = np.sort(np.arange(150) % 10 == 0).astype(int)
    drawn = Drawn(tmp_path, [blobs(11, labels, 1.2, d=4), noise(12, 150, d=4)], labels)
    assert imbalance(labels) == 9
    balanced, plain = drawn.compare(), drawn.compare(replace(PLAIN, metric="accuracy"))
    assert (balanced.leaderboard.metric, balanced.balanced) == ("balanced_accuracy", True)
    assert (plain.leaderboard.metric, plain.balanced) == ("accuracy", False)
    name = "drawn · 1 block cut · linear"
    one = next(trial for trial in balanced.leaderboard.trials if trial.name == name)
    other = next(trial for trial in plain.leaderboard.trials if trial.name == name)
    assert other.mean == pytest.approx(other.accuracy)
    assert one.mean != pytest.approx(one.accuracy)
    assert one.accuracy <= other.accuracy  # the price of finding the rare class
    noisy = [t for t in balanced.leaderboard.trials if t.strategy.depths == (1,) and t.strategy.head == "linear"]
    assert noisy[0].mean < 0.68  # always saying the common class would be 0.9 accurate, and is worth 0.5
    for trial in balanced.leaderboard.trials:
        assert 0 <= trial.low <= trial.mean <= trial.high <= 1
    board = balanced.leaderboard
    assert 0 <= board.chosen_low <= board.chosen_mean <= board.chosen_high <= 1


def test_balanced_accuracy_is_the_mean_recall(tmp_path):
    labels = np.sort(np.arange(120) % 6 == 0).astype(int)
    drawn = Drawn(tmp_path, [blobs(13, labels, 1.0, d=4)], labels)
    found = drawn.compare(replace(PLAIN, class_weights="none"), split=make_split(drawn.dataset, num_repeats=1))
    board = found.leaderboard
    assert (board.metric, found.balanced) == ("balanced_accuracy", False)
    truth, said = labels[found.rows], found.held_out_logits.argmax(axis=1)
    recalls = [np.mean(said[truth == k] == k) for k in (0, 1)]
    winner = board.trials[board.winner]
    assert winner.mean == pytest.approx(np.mean(recalls), abs=1e-6)
    assert winner.accuracy == pytest.approx(np.mean(said == truth))


def test_class_weights_may_be_asked_for_or_refused(one_good_depth):
    dataset = one_good_depth.dataset
    split = make_split(dataset, num_folds=2, num_repeats=1)
    for asked, expected in (("balanced", True), ("none", False), ("auto", False)):
        found = compare(
            one_good_depth.bank,
            one_good_depth.backbone,
            dataset=dataset,
            split=split,
            options=replace(PLAIN, class_weights=asked),
        )
        assert found.balanced is expected
        assert found.leaderboard.metric == "accuracy"


def test_the_validation_folder_is_the_one_fold(tmp_path):
    parts = (["train"] * 80 + ["validation"] * 40 + ["test"] * 30)[::-1]
    drawn = Drawn(tmp_path, [blobs(14, LABELS, 1.0), noise(15, 150)], LABELS, parts=parts)
    found = drawn.compare()
    board = found.leaderboard
    assert (board.rule, board.num_pictures) == ("the validation folder", 40)
    assert np.array_equal(found.rows, np.arange(30, 70))
    assert found.held_out_logits.shape == (40, 3)
    winner = board.trials[board.winner]
    right = found.held_out_logits.argmax(axis=1) == LABELS[30:70]
    assert winner.fold_scores == (pytest.approx(winner.mean),)
    assert winner.mean == pytest.approx(right.mean())
    assert winner.mean > 0.7
    assert board.num_fits == sum(entry.num_fits for entry in found.frozen.answers)
    assert [entry.num_fits for entry in found.frozen.answers if entry.strategy.head == "k-NN"] == [len(NEIGHBOURS)] * 3
    curve = (
        with_curves(board, drawn.bank, dataset=drawn.dataset, split=make_split(drawn.dataset))
        .trials[board.winner]
        .curve
    )
    assert curve is None or curve.validation_accuracy[-1] > 0.7


def test_copies_widen_intervals_and_weaken_tests(tmp_path):
    few = np.arange(40) % 2
    depths = [blobs(16, few, 1.6, d=4), blobs(17, few, 1.6, d=4)]
    labels, groups = np.repeat(few, 6), np.repeat(np.arange(40), 6)
    copied = Drawn(tmp_path / "copied", [np.repeat(x, 6, axis=0) for x in depths], labels, groups=groups).compare()
    alone = Drawn(tmp_path / "alone", [np.repeat(x, 6, axis=0) for x in depths], labels).compare()
    width = [board.leaderboard.trials[-1].high - board.leaderboard.trials[-1].low for board in (copied, alone)]
    assert width[0] > 1.5 * width[1]
    assert alone.leaderboard.trials[0].mean > copied.leaderboard.trials[0].mean  # copies across folds are leaks


def test_curves_are_drawn_for_cuts_alone_and_change_nothing_else(tmp_path):
    labels = np.arange(60) % 3
    drawn = Drawn(tmp_path, [blobs(18, labels, 1.0, d=4), blobs(19, labels, 0.5, d=4)], labels)
    split = make_split(drawn.dataset)
    board = drawn.compare(split=split).leaderboard
    curved = with_curves(board, drawn.bank, dataset=drawn.dataset, split=split)
    assert curved == with_curves(board, drawn.bank, dataset=drawn.dataset, split=split)
    assert replace(curved, trials=tuple(replace(trial, curve=None) for trial in curved.trials)) == board
    curves = {trial.strategy.depths: trial.curve for trial in curved.trials if trial.curve}
    assert set(curves) == {(0,), (1,)}
    assert all(trial.strategy.head == "linear" for trial in curved.trials if trial.curve)
    assert all(curve.train_loss[-1] < curve.train_loss[0] for curve in curves.values())


def test_progress_is_told_of_every_feature_set(one_good_depth):
    told = []

    class Heard:
        def note(self, text):
            """Notes are not counted."""

        def stage(self, name, total, *, unit="pictures"):
            from contextlib import contextmanager

            @contextmanager
            def running():
                yield lambda step: told.append((name, total, step))

            return running()

    one_good_depth.compare(split=make_split(one_good_depth.dataset, num_folds=2, num_repeats=1), progress=Heard())
    total = len(candidate_features(one_good_depth.bank.spec))
    assert told == [("compare", total, 1)] * total


# Large sets: sketched, then solved


@pytest.fixture
def screening(monkeypatch):
    """Let every set count as large."""
    monkeypatch.setattr(solving_module, "SCREENED_ROWS", 1)


def test_of_large_sets_what_may_win_is_solved_and_the_rest_is_sketched(one_good_depth, good_board, screening):
    found = one_good_depth.compare(full_pass_ms=10.0)
    board, whole = found.leaderboard, good_board.leaderboard
    assert [entry.strategy for entry in found.frozen.answers] == [e.strategy for e in good_board.frozen.answers]
    assert board.trials[0].name == whole.trials[0].name
    assert board.trials[board.winner].name == whole.trials[whole.winner].name
    assert board.num_fits < whole.num_fits
    sketched = {entry.strategy.name for entry in found.frozen.answers if entry.sketched}
    solved = {e.strategy.name: e for e in good_board.frozen.answers}
    assert 0 < len(sketched) < len(solved)
    assert {trial.name for trial in board.trials if trial.sketched} == sketched
    for entry in found.frozen.answers:
        assert entry.is_complete
        if entry.strategy.name not in sketched:
            assert (entry.predicted == solved[entry.strategy.name].predicted).mean() > 0.98
    exhaustive = one_good_depth.compare(replace(PLAIN, screened=False), full_pass_ms=10.0)
    assert numbers(exhaustive.leaderboard) == numbers(whole)


def test_scrambled_test_labels_change_nothing_where_strategies_are_screened(one_good_depth, screening):
    split = make_split(one_good_depth.dataset)
    labels = one_good_depth.dataset.labels.copy()
    labels[split.test] = np.random.default_rng(5).permutation(labels[split.test])
    boards = [
        one_good_depth.compare(dataset=one_good_depth.labelled(of), split=split).leaderboard
        for of in (one_good_depth.dataset.labels, labels)
    ]
    assert numbers(boards[0]) == numbers(boards[1])


def test_of_large_sets_views_are_learned_from_too(one_good_depth, screening):
    drawn = one_good_depth
    view = drawn.view("flip.1", [drawn.bank.read(drawn.hashes, [(cut, "mean")]) for cut in range(4)])
    found = drawn.compare(view_banks=[view], view_policy="flip")
    viewed = [entry for entry in found.frozen.answers if entry.strategy.augment == "flip"]
    assert len(viewed) == 3
    assert not any(entry.sketched for entry in viewed)


# Answers from elsewhere

CURVE = Curve((1.0,), (1.0,), (0.5,), (0.5,), (0.1,))


def tuned(frozen, right, *, folds, cost=1.0):
    """Return the answers of a network tuned on these folds of the first repeat, right where `right` says."""
    rows = frozen.rows
    labels = rows.scored_labels
    run = np.isin(rows.scored, np.concatenate([rows.held_out[fold] for fold in folds]))
    said = np.where(run, np.where(right, labels, (labels + 1) % 3), -1)
    predicted = np.stack([said, np.full_like(said, -1)])
    logits = np.where(run[:, None], np.eye(3, dtype=np.float32)[said], np.nan)
    strategy = Strategy("drawn", (1,), ("mean",), "linear", "drawn · all · tuned", cost, kind="full", tune="all")
    return answers_from(strategy, predicted, logits=logits, rows=rows, seconds=100.0, curve=CURVE)


@pytest.fixture(scope="module")
def poor(tmp_path_factory):
    """Pictures that no frozen depth tells apart well."""
    drawn = Drawn(tmp_path_factory.mktemp("cache"), [noise(40, 150), blobs(41, LABELS, 3.0)], LABELS)
    return drawn, answer_frozen(
        drawn.bank, drawn.backbone, dataset=drawn.dataset, split=make_split(drawn.dataset), options=PLAIN
    )


def test_comparing_is_answering_and_ranking(one_good_depth, good_board):
    drawn = one_good_depth
    frozen = answer_frozen(
        drawn.bank, drawn.backbone, dataset=drawn.dataset, split=make_split(drawn.dataset), options=PLAIN
    )
    again = leaderboard_of(replace(frozen, growth=good_board.frozen.growth), full_pass_ms=10.0)
    assert numbers(again.leaderboard) == numbers(good_board.leaderboard)
    assert np.array_equal(again.held_out_logits, good_board.held_out_logits)


def test_a_network_tuned_on_one_fold_wins_with_the_rows_that_it_answered(poor):
    drawn, frozen = poor
    split = make_split(drawn.dataset)
    found = leaderboard_of(frozen, [tuned(frozen, np.ones(len(split.pool), bool), folds=[0])], full_pass_ms=10.0)
    board = found.leaderboard
    winner = board.trials[board.winner]
    assert winner.name == "drawn · all · tuned"
    assert np.array_equal(found.rows, split.folds[0][1])
    assert found.held_out_logits.argmax(axis=1).tolist() == LABELS[found.rows].tolist()
    assert (winner.num_pictures, board.num_pictures) == (len(split.folds[0][1]), len(split.pool))
    assert (board.chosen_mean, board.chosen_low, board.chosen_high) == (winner.mean, winner.low, winner.high)
    assert board.num_fits == frozen.num_fits + 1
    assert board.seconds > frozen.seconds + 100


def test_a_network_tuned_on_every_fold_is_chosen_as_the_others_are(poor):
    drawn, frozen = poor
    right = np.arange(len(frozen.rows.scored)) % 10 > 0
    found = leaderboard_of(frozen, [tuned(frozen, right, folds=range(5))])
    board = found.leaderboard
    assert board.trials[board.winner].strategy.kind == "full"
    assert np.array_equal(found.rows, make_split(drawn.dataset).pool)
    assert board.chosen_mean - board.chosen_growth == pytest.approx(right.mean())
    assert board.num_fits == frozen.num_fits + 5


def test_who_may_win_can_be_limited(poor):
    _, frozen = poor
    bad = tuned(frozen, np.zeros(len(frozen.rows.scored), bool), folds=[0])
    eligible = [False] * len(frozen.answers) + [True]
    board = leaderboard_of(frozen, [bad], eligible=eligible).leaderboard
    assert board.trials[board.winner].strategy.kind == "full"
    assert board.winner == len(board.trials) - 1
    assert board.chosen_mean == 0


def test_curves_that_are_there_stay(poor):
    drawn, frozen = poor
    board = leaderboard_of(frozen, [tuned(frozen, np.ones(len(frozen.rows.scored), bool), folds=[0])]).leaderboard
    curved = with_curves(board, drawn.bank, dataset=drawn.dataset, split=make_split(drawn.dataset))
    by_kind = {kind: [t for t in curved.trials if t.strategy.kind == kind and t.curve] for kind in ("frozen", "full")}
    assert [trial.curve for trial in by_kind["full"]] == [CURVE]
    assert {trial.strategy.depths for trial in by_kind["frozen"]} == {(0,), (1,)}
    assert [trial.strategy for trial in curved.trials] == [trial.strategy for trial in board.trials]


# Views


def test_another_view_of_a_held_out_picture_gives_nothing_away(tmp_path):
    """Labels say nothing of the features, and a view is the picture itself: a head that saw it would know its label."""
    labels = np.random.default_rng(50).permutation(LABELS)
    depths = [noise(51, 150, d=300), noise(52, 150, d=300)]
    drawn = Drawn(tmp_path, depths, labels)
    found = drawn.compare(view_banks=[drawn.view("flip.1", depths)], view_policy="flip")
    viewed = [trial for trial in found.leaderboard.trials if trial.strategy.augment == "flip"]
    assert len(viewed) == 3
    assert all(trial.mean < 0.5 for trial in viewed)


@pytest.mark.parametrize("parted", [False, True])
def test_held_out_rows_weigh_nothing_in_any_view(tmp_path, monkeypatch, parted):
    parts = ["validation" if row % 4 == 0 else "train" for row in range(80)] if parted else None
    labels = np.arange(80) // 2 % 2
    depths = [blobs(53, labels, 1.0, d=4)]
    drawn = Drawn(tmp_path, depths, labels, parts=parts)
    views = [drawn.view(f"crop.{view}", [depths[0] + view]) for view in (1, 2)]
    seen, fit = [], module.fit_folds

    def watched(rotated, labels, *, row_weights, **options):
        seen.append((labels, row_weights))
        return fit(rotated, labels, row_weights=row_weights, **options)

    monkeypatch.setattr(module, "fit_folds", watched)
    split = make_split(drawn.dataset)
    drawn.compare(split=split, view_banks=views, view_policy="crop")
    (_, plain), (stacked_labels, stacked) = seen
    n = len(split.pool)
    assert stacked.shape == (3 * n, len(split.folds))
    assert np.array_equal(stacked_labels, np.tile(labels[split.pool], 3))
    for fold, (train, held) in enumerate(split.folds):
        by_view = stacked[:, fold].reshape(3, n)
        assert not by_view[:, np.searchsorted(split.pool, held)].any()
        np.testing.assert_allclose(by_view[:, np.searchsorted(split.pool, train)], 1 / 3)
    np.testing.assert_allclose(stacked.reshape(3, n, -1).sum(axis=0), plain)


def test_the_best_three_linear_heads_learn_from_views_and_say_so(one_good_depth, good_board):
    drawn = one_good_depth
    depths = [drawn.bank.read(drawn.hashes, [block]) for block in ((0, "mean"), (1, "mean"), (2, "mean"), (3, "mean"))]
    flipped = [depth + noise(60 + cut, 150) * 0.1 for cut, depth in enumerate(depths)]
    found = drawn.compare(full_pass_ms=10.0, view_banks=[drawn.view("flip.1", flipped)], view_policy="flip")
    board, plain = found.leaderboard, good_board.leaderboard
    best = [trial for trial in plain.trials if trial.strategy.head == "linear"][:3]
    viewed = {trial.strategy.depths: trial for trial in board.trials if trial.strategy.augment != "none"}
    assert set(viewed) == {trial.strategy.depths for trial in best}
    for trial in best:
        other = viewed[trial.strategy.depths]
        assert other.name == f"{trial.name} · flip ×2"
        assert other.strategy == replace(trial.strategy, augment="flip", name=other.name)
        assert other.num_pictures == trial.num_pictures == plain.num_pictures
        assert other.predict_ms == trial.predict_ms
        assert other.mean == pytest.approx(trial.mean, abs=0.1)
    assert board.num_fits == plain.num_fits + sum(
        entry.num_fits for entry in found.frozen.answers if entry.strategy.augment != "none"
    )
    assert len(board.trials) == len(plain.trials) + 3
    curved = with_curves(board, drawn.bank, dataset=drawn.dataset, split=make_split(drawn.dataset))
    assert not any(trial.curve for trial in curved.trials if trial.strategy.augment != "none")


def test_views_that_show_what_was_missing_help(tmp_path):
    """Few pictures in many noisy columns: five more readings of each, with other noise, show what their class is."""
    labels = np.arange(60) % 3
    centre = noise(70, 3, d=40)[labels]
    depths = [centre + noise(71, 60, d=40) * 2.5]
    drawn = Drawn(tmp_path, depths, labels)
    views = [drawn.view(f"crop.{view}", [centre + noise(72 + view, 60, d=40) * 2.5]) for view in range(1, 6)]
    board = drawn.compare(view_banks=views, view_policy="crop").leaderboard
    by_name = {trial.strategy.augment: trial.mean for trial in board.trials if trial.strategy.head == "linear"}
    assert by_name["crop"] > by_name["none"] + 0.05


def test_views_are_stacked_bank_by_bank(one_good_depth):
    drawn = one_good_depth
    plain = drawn.bank.read(drawn.hashes, [(0, "mean"), (2, "mean")])
    other = drawn.view("crop.1", [noise(80 + cut, 150) for cut in range(4)])
    stacked = stacked_views([drawn.bank, other], drawn.hashes[:7], blocks=[(0, "mean"), (2, "mean")])
    assert np.array_equal(stacked[:7], plain[:7])
    assert np.array_equal(stacked[7:], other.read(drawn.hashes[:7], [(0, "mean"), (2, "mean")]))
    assert np.array_equal(stacked_views([drawn.bank], drawn.hashes[:7], blocks=[(0, "mean")]), plain[:7, :8])
    table = module.BankTable((drawn.bank, other), drawn.hashes[:7], [(0, "mean"), (2, "mean")])
    in_parts = np.full(table.shape, np.nan, dtype=np.float32)
    for rows, features in table.parts(3):
        assert len(rows) <= 3
        in_parts[rows] = features
    assert np.array_equal(in_parts, table[:])
    assert table.shape == stacked.shape
    for rows in (slice(None), slice(5, 9), np.array([1, 8, 13])):
        assert np.array_equal(table[rows], stacked[rows])


def test_views_of_another_network_or_of_no_policy_are_refused(one_good_depth):
    drawn = one_good_depth
    depths = [noise(90, 150)] * 4
    other = drawn.bank_of(replace(drawn.bank.spec, views=("flip.1",), weights_sha256="1" * 64), depths)
    for view in (other, drawn.bank):
        with pytest.raises(ValueError, match=r"compare: the bank of view .* another view is required\. Extract"):
            drawn.compare(view_banks=[view], view_policy="flip")
    for banks, policy in (([drawn.view("flip.1", depths)], "none"), ([], "flip")):
        with pytest.raises(ValueError, match=r"compare: \d banks of views under the policy '\w+'; .* Pass both"):
            drawn.compare(view_banks=banks, view_policy=policy)
