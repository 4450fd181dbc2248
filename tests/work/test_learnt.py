"""Pictures and labels are learnt from as a folder of them is, and the bank gives the answers of the model."""

from __future__ import annotations

import numpy as np
import pytest

from thawline.core.errors import DataError
from thawline.data.sources.given import one_each
from thawline.data.sources.listing import FileSource
from thawline.features import extract as extract_module
from thawline.use.bundle import load_bundle
from thawline.work.learnt import answers_from_bank, learn
from thawline.work.session import compare_frozen, open_session


@pytest.fixture(scope="module")
def paths(tinted):
    return sorted(tinted.glob("*/*.png"))


@pytest.fixture(scope="module")
def learnt(paths, order):
    return learn(one_each(paths), [path.parent.name for path in paths], options=order.options, training=order.training)


def test_it_is_the_comparison_of_a_folder_without_a_test(learnt, order, tmp_path):
    folder = compare_frozen(open_session(order, tmp_path), hold_out=False)
    ours, theirs = learnt.leaderboard, folder.leaderboard
    assert [trial.name for trial in ours.trials] == [trial.name for trial in theirs.trials]
    assert [trial.mean for trial in ours.trials] == [trial.mean for trial in theirs.trials]
    assert learnt.strategy == ours.trials[ours.winner].name
    assert len(learnt.compared.split.test) == 0


def test_the_bank_gives_the_answers_of_the_model(learnt, paths, order, monkeypatch):
    pictures = one_each(paths)
    found = answers_from_bank(learnt.classifier, pictures, options=order.options)
    direct = np.concatenate(
        [answers_from_bank(learnt.classifier, pictures[at : at + 9], options=order.options) for at in range(0, 36, 9)]
    )
    np.testing.assert_allclose(found, direct, atol=1e-6)
    assert (found.argmax(axis=1) == [path.parent.name == "red" for path in paths]).mean() > 0.9

    def nothing_is_extracted(*_args, **_kwargs):
        raise AssertionError("extracted again")

    monkeypatch.setattr(extract_module, "_fill", nothing_is_extracted)
    assert np.array_equal(answers_from_bank(learnt.classifier, pictures, options=order.options), found)


def test_what_is_saved_answers_alike_and_abstains(learnt, paths, order, tmp_path):
    learnt.save(tmp_path / "model")
    bundle = load_bundle(tmp_path / "model", device="cpu")
    assert bundle.manifest.strategy == learnt.strategy
    assert len(bundle.training_digests) == 36
    assert bundle.classifier.doubt is not None
    found = answers_from_bank(bundle.classifier, one_each(paths), options=order.options)
    np.testing.assert_allclose(
        found, answers_from_bank(learnt.classifier, one_each(paths), options=order.options), atol=1e-6
    )


def test_its_evaluation_is_of_heads_that_never_saw_the_picture(learnt):
    evaluation = learnt.evaluation()
    board = learnt.leaderboard
    assert evaluation.accuracy.n == 36
    assert evaluation.accuracy.value == pytest.approx(board.trials[board.winner].mean, abs=1e-9)


def test_groups_are_not_parted(paths, order):
    labels = [path.parent.name for path in paths]
    groups = [f"{path.parent.name}{number % 6}" for number, path in enumerate(paths)]
    found = learn(one_each(paths), labels, groups=groups, options=order.options, training=order.training)
    numbers = np.unique(groups, return_inverse=True)[1]
    assert found.compared.dataset.has_named_groups
    for train, held_out in found.compared.split.folds:
        assert not set(numbers[train]) & set(numbers[held_out])


def test_a_picture_that_cannot_be_decoded_is_named(learnt, order, tmp_path):
    (tmp_path / "a.png").write_text("text")
    for count in (1, 40):
        broken = [(f"{number}", FileSource(tmp_path / "a.png")) for number in range(count)]
        with pytest.raises(DataError, match="text, not a picture"):
            answers_from_bank(learnt.classifier, broken, options=order.options)
    with pytest.raises(DataError, match=r"predict: b: missing\. Leave it out"):
        answers_from_bank(learnt.classifier, [("b", FileSource(tmp_path / "b.png"))], options=order.options)
