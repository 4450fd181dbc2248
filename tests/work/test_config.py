"""A TOML file says what a tuning is asked for; what cannot be is refused by its key, with the nearest one."""

from __future__ import annotations

from pathlib import Path

import pytest

from thawline.core.errors import UsageError
from thawline.core.options import Options
from thawline.data.sources.places import Place
from thawline.train.hyperparameters import TrainOptions
from thawline.work.config import read_config
from thawline.work.order import Order

PHOTOS = Place.of("mine")


@pytest.fixture
def config(tmp_path):
    """Return a function from a text to the file that holds it."""

    def write(text):
        path = tmp_path / "run.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_every_key_reaches_its_option(config):
    path = config(
        'photos = "monkeys"\n'
        'plans = ["simple_cnn from nothing", "last 20 %"]\n'
        'size = 224\npooling = ["mean", "max"]\nweights = "net.safetensors"\n'
        'epochs = 12\nschedule = "one-cycle"\nlearning_rate = 1e-3\nclip_norm = 2\n'
    )
    asked = read_config(path)
    assert asked.photos == Place.of(path.parent / "monkeys")
    assert asked.plans == ("simple_cnn from nothing", "last 20 %")
    assert asked.options == Options(size=224, pooling=("mean", "max"), weights=Path("net.safetensors"))
    assert asked.training == TrainOptions(epochs=12, schedule="one-cycle", learning_rate=1e-3, clip_norm=2.0)


def test_an_empty_file_asks_for_nothing(config):
    assert read_config(config(""), photos=PHOTOS) == Order(PHOTOS, (), Options(), TrainOptions())


def test_an_absolute_folder_of_pictures_stays_what_it_is(config, tmp_path):
    assert read_config(config(f'photos = "{tmp_path}/elsewhere"')).photos == Place.of(tmp_path / "elsewhere")


def test_what_is_given_beside_the_file_goes_before_it(config):
    path = config('photos = "theirs"\nplans = ["all"]\nsize = 224\nfolds = 3\nepochs = 12\nbatch_size = 8')
    asked = read_config(path, photos=PHOTOS, plans=["head"], options=Options(size=96), training=TrainOptions(epochs=2))
    assert (asked.photos, asked.plans) == (PHOTOS, ("head",))
    assert asked.options == Options(size=96, folds=3)
    assert asked.training == TrainOptions(epochs=2, batch_size=8)


def test_pictures_must_be_named_in_the_file_or_beside_it(config):
    path = config("epochs = 12")
    with pytest.raises(UsageError, match=r"no pictures are named\. Write `photos` into it, or name their folder: thaw"):
        read_config(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epoch = 3", r"there is no key 'epoch'; did you mean epochs\?"),
        ("plan = ['all']", r"no key 'plan'; did you mean plans\?"),
        ("zzz = 1\nepoch = 3", r"no key 'zzz' \(there is photos, plans, .*no key 'epoch'; did you mean epochs"),
        ('"\\u001b[31m" = 1', r"'\\x1b\[31m'"),
        ("[training]\nepochs = 3", r"no key 'training'"),
        ("epochs = 'many'", r"epochs = 'many': input should be a valid integer"),
        ("epochs = [3]\nfolds = 2", r"epochs = \[3\]: input should be a valid integer"),
        ("fit = 'zoom'", r"fit = 'zoom': input should be 'crop', 'letterbox' or 'stretch'"),
        ("pooling = ['mode']", r"pooling\.0 = 'mode'"),
        ("plans = 'all'", r'plans a list of texts, e\.g\. plans = \["last 20 %"\]'),
        ("plans = [1]", r"plans a list of texts"),
        ("photos = 3", r"photos must be a text"),
        ("epochs = ", r"Invalid value .*Mend the TOML there"),
    ],
)
def test_what_cannot_be_is_refused_by_its_key(text, said, config):
    path = config(text)
    with pytest.raises(UsageError, match=said) as caught:
        read_config(path)
    assert str(caught.value).startswith(f"config {path}: ")


def test_contradictions_are_refused_as_on_the_command_line(config):
    with pytest.raises(UsageError, match="--warmup 4 is as long as the training, --epochs 4"):
        read_config(config("epochs = 4\nwarmup = 4"))
    with pytest.raises(UsageError, match="--folds 1"):
        read_config(config("folds = 1"))


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match=r"run\.toml: No such file or directory\. Name a TOML file"):
        read_config(tmp_path / "run.toml")
    with pytest.raises(UsageError, match="Is a directory"):
        read_config(tmp_path)
    (tmp_path / "run.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"run\.toml: no UTF-8 text"):
        read_config(tmp_path / "run.toml")
