"""What was logged is what TensorBoard reads back, in a folder a run."""

from __future__ import annotations

import sys

import pytest

from thawline.core.errors import StoreError, UsageError
from thawline.view.track import TensorBoardLog

pytest.importorskip("tensorboard", reason="TensorBoard is not installed")


def read(directory):
    """Return folder → tag → (epoch, value) pairs, as TensorBoard's own reader sees them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = {}
    for folder in sorted(path for path in directory.iterdir() if path.is_dir()):
        events = EventAccumulator(str(folder))
        events.Reload()
        found[folder.name] = {
            tag: [(event.step, pytest.approx(event.value)) for event in events.Scalars(tag)]
            for tag in events.Tags()["scalars"]
        }
    return found


def test_epochs_are_read_back(tmp_path):
    log = TensorBoardLog(tmp_path / "logs")
    for epoch, loss in enumerate((0.9, 0.4), 1):
        log("net · last 20 % · fold 1", epoch, {"loss/train": loss, "top-1/validation": 1 - loss})
    log("net · last 20 % · fold 2", 1, {"loss/train": 0.8})
    log.close()
    assert read(tmp_path / "logs") == {
        "net-last-20-percent-fold-1": {
            "loss/train": [(1, 0.9), (2, 0.4)],
            "top-1/validation": [(1, 0.1), (2, 0.6)],
        },
        "net-last-20-percent-fold-2": {"loss/train": [(1, 0.8)]},
    }


def test_an_epoch_is_on_disk_before_the_log_is_closed(tmp_path):
    log = TensorBoardLog(tmp_path)
    log("run", 1, {"loss": 0.5})
    assert read(tmp_path) == {"run": {"loss": [(1, 0.5)]}}
    log.close()


@pytest.mark.parametrize("run", ["../../escape", "/etc/passwd", "..", "", "a\\b:c*d?", "x" * 500, "élan · 火"])
def test_whatever_a_run_is_called_its_folder_lies_in_the_log(tmp_path, run):
    log = TensorBoardLog(tmp_path / "logs")
    log(run, 1, {"loss": 0.5})
    log.close()
    assert [path.name for path in tmp_path.iterdir()] == ["logs"]
    (folder,) = (tmp_path / "logs").iterdir()
    assert any(file.name.startswith("events.") for file in folder.iterdir())


def test_runs_whose_names_differ_little_stay_apart(tmp_path):
    log = TensorBoardLog(tmp_path)
    for loss, run in enumerate(("net · all", "net: all", "Net · all", "x" * 90, "x" * 91)):
        log(run, 1, {"loss": loss})
        log(run, 2, {"loss": loss})
    log.close()
    assert sorted(len(tags["loss"]) for tags in read(tmp_path).values()) == [2, 2, 2, 2, 2]


def test_a_log_where_no_folder_can_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"^track: .*file.* cannot be created .* Name another one\.$"):
        TensorBoardLog(tmp_path / "file")


def test_without_tensorboard_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UsageError, match=r"^track: TensorBoard is needed .* `pip install thawline\[track\]`") as caught:
        TensorBoardLog(tmp_path / "logs")
    assert caught.value.exit_code == 2
    assert not (tmp_path / "logs").exists()
