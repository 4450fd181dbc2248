"""What all steps share is one object; a row with options of its own has a context of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from thawline.train.hyperparameters import TrainOptions


def test_seed_storage_and_cache_are_the_options_of_the_run(learnable, network, make_context, tmp_path):
    context = make_context(learnable, network("test_resnet"), seed=3, cache=tmp_path / "cache", epochs=2)
    assert (context.seed, context.storage, context.cache) == (3, "float16", tmp_path / "cache")
    assert context.training.epochs == 2
    assert context.runtime is context.machine.runtime


def test_a_row_s_context_differs_in_training_and_folder_alone(learnable, network, make_context):
    context = make_context(learnable, network("test_resnet"))
    own = replace(context, training=TrainOptions(epochs=9), folder=Path("0-row"))
    assert own.machine is context.machine
    assert own.dataset is context.dataset
    assert (own.training.epochs, own.folder) == (9, Path("0-row"))


def test_a_context_prints_in_a_line(learnable, network, make_context):
    context = make_context(learnable, network("test_resnet"))
    assert len(repr(context)) < 200
    assert "36 pictures" in repr(context)
