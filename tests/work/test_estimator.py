"""`ThawlineClassifier` is an estimator: scikit-learn's tools take it, and its own checks pass where they apply."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone, is_classifier
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import check_estimator

import thawline
from thawline.core.errors import InputError, MissingError, UsageError
from thawline.core.options import Options
from thawline.features import extract as extract_module
from thawline.work.estimator import ThawlineClassifier

SMALL = {"backbone": "simple_cnn", "size": 32, "folds": 2, "repeats": 1}

NOT_OF_PICTURES = {
    "check_n_features_in": "Pictures have no fixed number of features: every one may have a size of its own.",
    "check_n_features_in_after_fitting": "As check_n_features_in: pictures of any size are answered.",
    "check_classifiers_train": "All of it passes but its last step: pictures of another size shall be refused.",
    "check_dtype_object": "Objects are paths, arrays and pictures of Pillow, never single numbers.",
    "check_estimators_empty_data_messages": "Wants to read of 0 feature(s); a picture has no features.",
}
"""Checks of scikit-learn that cannot pass, each with the reason."""


@pytest.fixture(scope="module")
def paths(tinted):
    return sorted(map(str, tinted.glob("*/*.png")))


@pytest.fixture(scope="module")
def arrays(paths):
    return np.stack([np.asarray(Image.open(path)) for path in paths])


@pytest.fixture(scope="module")
def labels():
    return np.repeat(["blue", "red"], 18)


@pytest.fixture(autouse=True)
def shared_features(tmp_path_factory, monkeypatch):
    """Let the tests of this file share one cache; they fit to the same pictures again and again."""
    monkeypatch.setenv("THAWLINE_CACHE", str(tmp_path_factory.getbasetemp() / "estimator"))


def small(**changes):
    return ThawlineClassifier(**{**SMALL, **changes})


def pictures_of(rows):
    """Return rows of numbers as pictures: each number a square of its grey."""
    rows = rows if hasattr(rows, "tocsr") else np.asarray(rows)
    if hasattr(rows, "tocsr") or rows.ndim != 2 or rows.dtype.kind not in "fciu" or not rows.size:
        return rows
    if rows.dtype.kind != "c" and np.isfinite(rows).all():
        rows = 1 / (1 + np.exp(-rows.astype(float)))
    return np.repeat(np.repeat(rows[:, :, None], 4, 1), 8, 2)


class RowsAsPictures(ThawlineClassifier):
    """The estimator for scikit-learn's checks, which feed rows of numbers; all else is passed on as it is."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.one_d_array = tags.input_tags.string = tags.input_tags.three_d_array = False
        return tags

    def fit(self, X, y, *, groups=None):
        return super().fit(pictures_of(X), y, groups=groups)

    def predict_proba(self, X):
        return super().predict_proba(pictures_of(X))


def test_scikit_learn_is_told_that_it_takes_pictures_and_no_rows():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SkipTestWarning)  # its checks feed rows
        check_estimator(small())
    assert is_classifier(small())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_its_checks_pass_where_rows_are_drawn_as_pictures():
    estimator = RowsAsPictures(**SMALL, copies="ignore")
    results = check_estimator(estimator, expected_failed_checks=NOT_OF_PICTURES, on_fail=None)
    failed = {(row["check_name"], str(row["exception"])) for row in results if row["status"] == "failed"}
    assert failed == set()
    assert {row["check_name"] for row in results if row["status"] == "xfail"} == set(NOT_OF_PICTURES)
    assert sum(row["status"] == "passed" for row in results) >= 40
    assert all(
        "number of features in predict is different" in str(row["exception"])
        for row in results
        if row["status"] == "xfail" and row["check_name"] == "check_classifiers_train"
    )


def test_paths_arrays_and_pictures_of_pillow_are_the_same(paths, arrays, labels):
    fitted = small().fit(paths, labels)
    expected = fitted.predict_proba(paths)
    assert (expected.shape, expected.dtype) == ((36, 2), np.float32)
    assert fitted.score(paths, labels) > 0.9
    for X in (arrays, arrays / 255, list(arrays), [Image.fromarray(one) for one in arrays]):
        assert np.array_equal(fitted.predict_proba(X), expected)
        again = small().fit(X, labels)
        assert again.strategy_ == fitted.strategy_
        assert np.array_equal(again.predict_proba(X), expected)
    backwards = small(channels="bgr").fit(arrays[..., ::-1], labels)
    assert np.array_equal(backwards.predict_proba(arrays[..., ::-1]), expected)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["red", "blue"], ["blue", "red"]),
        ([10, 9], [9, 10]),  # as text, 10 comes before 9
        ([True, False], [False, True]),
        (np.array(["x", "y"], dtype=object), ["x", "y"]),
    ],
)
def test_labels_come_back_as_they_were(arrays, values, expected):
    y = np.repeat(values, 18)
    fitted = small().fit(arrays, y)
    assert fitted.classes_.tolist() == expected
    assert fitted.predict(arrays).dtype == y.dtype
    assert (fitted.predict(arrays) == y).mean() > 0.9
    assert fitted.score(arrays, list(y)) > 0.9
    assert (fitted.classes_[fitted.predict_proba(arrays).argmax(axis=1)] == y).mean() > 0.9


def test_scans_of_8_by_8_are_pictures_once_they_are_scaled():
    digits = load_digits(n_class=3)
    X, y = digits.images[:120], digits.target[:120]
    with pytest.raises(InputError, match=r"fit: float64 .* from 0 to 16; .* X / 16"):
        small().fit(X, y)
    assert small().fit(X[:90] / 16, y[:90]).score(X[90:] / 16, y[90:]) > 0.6


def test_parameters_are_the_options_of_fit(paths, labels):
    names = set(ThawlineClassifier().get_params())
    own = {"picture_fit", "channels", "random_state", "augment", "views"}
    assert names - own <= set(Options.__dataclass_fields__)
    made = small(random_state=3, picture_fit="letterbox", pooling=("mean",))
    options = made._options(3)
    assert (options.fit, options.seed, options.pooling, options.backbone) == (
        "letterbox",
        3,
        ("mean",),
        ("simple_cnn",),
    )
    assert ThawlineClassifier()._options(0) == Options(on_bad="stop")
    copy = clone(made)
    assert copy.get_params() == made.get_params()
    assert copy.set_params(size=48).size == 48
    for wrong in ({"size": 3}, {"pooling": ("median",)}, {"folds": 1}, {"backbone": ()}):
        with pytest.raises(UsageError):
            small(**wrong).fit(paths, labels)


def test_the_seed_decides_the_folds(arrays, labels):
    boards = [
        [trial.mean for trial in small(random_state=seed).fit(arrays, labels).leaderboard_.trials]
        for seed in (0, 0, 1, np.random.RandomState(5), np.random.RandomState(5), None)
    ]
    assert boards[0] == boards[1]
    assert boards[3] == boards[4]


def test_cross_validation_reads_each_picture_once(arrays, labels, monkeypatch, tmp_path):
    monkeypatch.setenv("THAWLINE_CACHE", str(tmp_path / "cache"))
    read, filled = [], extract_module._fill

    def counting(bank, samples, **facts):
        read.extend(sample.sha256 for sample in samples)
        return filled(bank, samples, **facts)

    monkeypatch.setattr(extract_module, "_fill", counting)
    scores = cross_val_score(small(), arrays, labels, cv=2)
    assert scores.mean() > 0.8
    assert len(read) == len(set(read)) == 36
    found = GridSearchCV(small(), {"size": [32, 48], "pooling": [("mean",), ("mean", "std")]}, cv=2).fit(arrays, labels)
    assert set(found.best_params_) == {"size", "pooling"}
    assert found.score(arrays, labels) > 0.8
    assert len(read) == 36 * 4  # the bank that was there, and three more
    assert cross_val_predict(small(), list(arrays), labels, cv=2, method="predict_proba").shape == (36, 2)


def test_it_goes_into_a_pipeline_and_takes_groups(arrays, labels):
    piped = make_pipeline(FunctionTransformer(lambda X: X / 255), small()).fit(arrays, labels)
    assert piped.score(arrays, labels) > 0.9
    groups = np.tile(np.arange(6), 6)
    fitted = small().fit(arrays, labels, groups=groups)
    dataset = fitted._learnt.compared.dataset
    assert dataset.has_named_groups
    assert len(set(dataset.groups.tolist())) == 6
    assert cross_val_score(small(), arrays, labels, groups=groups, cv=GroupKFold(2)).shape == (2,)


def test_what_is_saved_is_the_model(arrays, labels, tmp_path):
    fitted = small().fit(arrays, labels)
    fitted.save(tmp_path / "model")
    expected = fitted.predict_proba(arrays)
    for model in (thawline.load(tmp_path / "model"), fitted.model()):
        np.testing.assert_allclose(model.predict_proba(arrays), expected, atol=1e-6)
        assert model.predict(arrays).tolist() == fitted.predict(arrays).tolist()
        assert model.doubt is not None
    fitted.save(str(tmp_path / "model"))  # an older model of ours is replaced


def test_a_pickle_keeps_the_model_and_says_what_it_has_lost(arrays, labels):
    fitted = small().fit(arrays, labels)
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(again.predict_proba(arrays), fitted.predict_proba(arrays))
    for verb in (again.model, lambda: again.save("anywhere")):
        with pytest.raises(UsageError, match="was pickled, which leaves out what it learnt from"):
            verb()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda X, y: (X, y[:-1]), "36 pictures and 35 labels"),
        (lambda X, y: (X, None), "requires y to be passed, but the target y is None"),
        (lambda X, y: (X, ["red"] * 36), "y has one class, 'red'; a classifier needs two"),
        (lambda X, y: (X, np.linspace(0, 1, 36)), "continuous"),
        (lambda X, y: (X, ["rare", *y[1:]]), "rare has one usable picture"),
        (lambda X, y: (X.reshape(36, -1), y), r"A row of numbers is no picture: X.reshape\(len\(X\), height, width\)"),
        (lambda X, y: (X[..., 0].reshape(-1), y), "Reshape your data"),
        (lambda X, y: ([*X[:-1], b"text"], y), r"picture 35.*text, not a picture"),
        (lambda X, y: (X[:0], y[:0]), "0 sample"),
    ],
)
def test_what_does_not_fit_is_a_value_error_with_the_next_step(arrays, labels, change, words):
    with pytest.raises(ValueError, match=words):
        small().fit(*change(arrays, labels))


def test_errors_of_what_is_not_there(arrays, labels, paths):
    with pytest.raises(NotFittedError):
        small().predict(arrays)
    with pytest.raises(NotFittedError):
        small().save("anywhere")
    with pytest.raises(MissingError, match=r"fit gone\.png"):
        small().fit([*paths[:-1], "gone.png"], labels)
    fitted = small().fit(paths, labels)
    with pytest.raises(FileNotFoundError, match=r"predict gone\.png"):
        fitted.predict(["gone.png"])
    with pytest.raises(InputError, match=r"text, not a picture"):
        fitted.predict([b"text"])
    with pytest.raises(InputError, match="0 sample"):
        fitted.predict([])


def test_pictures_that_cannot_be_decoded_may_be_left_out_of_fitting(arrays, labels):
    X = [*arrays[:-1], b"text"]
    fitted = small(on_bad="skip").fit(X, labels)
    assert len(fitted._learnt.compared.dataset) == 35
    with pytest.raises(InputError, match="other: no picture of it can be decoded"):
        small(on_bad="skip").fit([*arrays, b"text"], [*labels, "other"])
