"""A head written down as tensors is the same head; tensors that are no head are refused, each for its reason."""

from __future__ import annotations

import numpy as np
import pytest

from thawline.core.errors import BundleError
from thawline.heads.head import head_from_tensors, head_tensors
from thawline.heads.linear import fit_linear
from thawline.heads.nearest import fit_class_mean, fit_neighbours
from thawline.heads.together import Member, TogetherHead

D, K = 5, 3


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(24, D)).astype(np.float32)
    x[:, 0] = np.abs(x[:, 0])
    return x, np.arange(24) % K


def together(rows):
    """Return two heads as one, the first on all columns, the second on two of them."""
    x, labels = rows
    some = np.arange(D) % 2 == 1
    heads = [fit_linear(x[:, reads], labels, l2=1e-3, num_classes=K) for reads in (some | True, some)]
    return TogetherHead((Member(some | True, heads[0], 1.0), Member(some, heads[1], 0.5)))


def all_heads(rows):
    x, labels = rows
    return {
        "together": together(rows),
        "linear": fit_linear(x, labels, l2=1e-3, num_classes=K),
        "class mean": fit_class_mean(x, labels, num_classes=K),
        "k-NN": fit_neighbours(x, labels, k=5, num_classes=K),
    }


def load(tensors):
    return head_from_tensors(tensors, num_columns=D, num_classes=K)


@pytest.mark.parametrize("name", ["linear", "class mean", "k-NN", "together"])
def test_round_trip(rows, name):
    head = all_heads(rows)[name]
    tensors = head_tensors(head)
    assert all(tensor.flags.c_contiguous for tensor in tensors.values())
    again = load(tensors)
    assert type(again) is type(head)
    assert np.array_equal(again.logits(rows[0]), head.logits(rows[0]))


def test_something_else_is_no_head():
    with pytest.raises(TypeError, match="str is not a head"):
        head_tensors("head")


@pytest.mark.parametrize("name", ["linear", "k-NN", "together"])
def test_unknown_and_missing_tensors_are_refused(rows, name):
    tensors = head_tensors(all_heads(rows)[name])
    with pytest.raises(BundleError, match=r"more.* found, .* required.*write it again with `thawline fit`"):
        load({**tensors, "more": np.zeros(1)})
    for missing in tensors:
        with pytest.raises(BundleError, match="required"):
            load({key: value for key, value in tensors.items() if key != missing})
    with pytest.raises(BundleError, match=r"tensors \[\] found"):
        load({})


@pytest.mark.parametrize("name", ["linear", "k-NN", "together"])
def test_a_tensor_of_another_shape_is_refused(rows, name):
    tensors = head_tensors(all_heads(rows)[name])
    for key, value in tensors.items():
        for wrong in (np.concatenate([value, value]), value[None], value.reshape(-1)[0], value[:0]):
            with pytest.raises(BundleError, match="load the head"):
                load({**tensors, key: wrong})


def test_of_several_faults_the_same_one_is_named_in_whatever_order_a_file_gives_its_tensors(rows):
    tensors = head_tensors(all_heads(rows)["linear"])
    said = set()
    for order in (sorted(tensors), sorted(tensors, reverse=True)):
        with pytest.raises(BundleError) as refusal:
            head_from_tensors({name: tensors[name] for name in order}, num_columns=D + 1, num_classes=K + 1)
        said.add(str(refusal.value))
    assert len(said) == 1
    assert "load the head: rooted is uint8 of shape (5,)" in said.pop()


@pytest.mark.parametrize("name", ["linear", "k-NN"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_none_is_refused(rows, name, value):
    tensors = head_tensors(all_heads(rows)[name])
    for key in set(tensors) & {"mean", "scale", "weight", "bias", "keys"}:
        spoilt = tensors[key].copy()
        spoilt.reshape(-1)[0] = value
        with pytest.raises(BundleError, match=f"load the head: {key}"):
            load({**tensors, key: spoilt})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("0.reads", np.full(D, 2, np.uint8)),
        ("1.reads", np.zeros(D, np.uint8)),
        ("1.reads", np.ones(D, np.uint8)),  # its head has two columns
        ("1.reads", np.ones(D, np.float32)),
        ("0.temperature", np.zeros(1, np.float32)),
        ("0.temperature", np.full(1, -1, np.float32)),
        ("0.temperature", np.full(1, np.nan, np.float32)),
        ("1.temperature", np.full(1, np.inf, np.float32)),
        ("1.temperature", np.ones(1, np.float64)),
        ("1.weight", np.full((2, K), np.nan, np.float32)),
    ],
)
def test_what_a_head_of_several_reads_and_its_temperature_must_make_sense(rows, name, value):
    tensors = head_tensors(together(rows))
    with pytest.raises(BundleError, match="load the head: "):
        load({**tensors, name: value})


@pytest.mark.parametrize("first", ["00", "2", "-1", ""])
def test_heads_of_several_are_numbered_from_zero(rows, first):
    tensors = head_tensors(together(rows))
    numbered = {
        name.replace("0.", f"{first}.", 1) if name[:2] == "0." else name: value for name, value in tensors.items()
    }
    with pytest.raises(BundleError, match=r"0\.bias.* required of 2 heads together\. The bundle was altered"):
        load(numbered)


def test_numbers_of_another_kind_are_refused(rows):
    heads = all_heads(rows)
    for name, key, dtype in (
        ("linear", "weight", np.int64),
        ("linear", "weight", np.float64),
        ("linear", "rooted", np.float32),
        ("linear", "bias", np.complex64),
        ("k-NN", "labels", np.float32),
        ("k-NN", "k", np.float64),
        ("k-NN", "keys", np.uint8),
    ):
        tensors = head_tensors(heads[name])
        with pytest.raises(BundleError, match=f"load the head: {key}"):
            load({**tensors, key: tensors[key].astype(dtype)})


def test_neighbours_must_exist(rows):
    tensors = head_tensors(all_heads(rows)["k-NN"])
    for key, value in (("k", 0), ("k", -1), ("k", 25), ("labels", -1), ("labels", K)):
        spoilt = tensors[key].copy()
        spoilt[0] = value
        with pytest.raises(BundleError, match=r"neighbours of 24 pictures, or a label outside 0…2"):
            load({**tensors, key: spoilt})


def test_a_head_for_other_features_or_classes_is_refused(rows):
    tensors = head_tensors(all_heads(rows)["linear"])
    with pytest.raises(BundleError, match=r"shape \(5,\), .*\(6,\)"):
        head_from_tensors(tensors, num_columns=6, num_classes=K)
    with pytest.raises(BundleError, match=r"weight .*\(5, 3\), .*\(5, 4\)"):
        head_from_tensors(tensors, num_columns=D, num_classes=4)


def test_heads_print_in_a_line(rows):
    assert [repr(head) for head in all_heads(rows).values()] == [
        f"<TogetherHead: 2 heads on {D} columns>",
        f"<LinearHead: {D} columns, {K} classes>",
        f"<LinearHead: {D} columns, {K} classes>",
        f"<NeighbourHead: 5 of 24 pictures, {K} classes>",
    ]
