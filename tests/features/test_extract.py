"""One pass fills a bank: the same rows whoever shares the work, only what is missing, nothing lost when it fails."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from PIL import Image

from thawline.core import store
from thawline.core.errors import BackboneError, DataError, StoreError, UsageError
from thawline.core.runtime import Runtime
from thawline.core.store import NoRoomError
from thawline.data.augment import seen_as, view_names
from thawline.data.check import check
from thawline.data.dataset import Dataset, Sample
from thawline.data.images import prepare
from thawline.features import extract as extract_module
from thawline.features.extract import bank_spec, extract, extract_views, in_streams
from thawline.features.network import load_backbone
from thawline.features.pooling import pooled
from thawline.features.reader import FeatureReader, to_input

RUNTIME = Runtime("cpu", "float32", 4)


@dataclass(frozen=True)
class Memory:
    """A picture that is held in memory; counts who reads it."""

    data: bytes
    reads: list[int]
    pause_s: float = 0.0

    def read(self) -> bytes:
        self.reads.append(1)
        time.sleep(self.pause_s)
        return self.data


def png(seed, size=(40, 36)):
    """Return an encoded picture that is unlike those of other seeds."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(buffer, "PNG")
    return buffer.getvalue()


def square_png(seed, mirrored=False):
    """Return a picture of the network's own size, so that preparing it changes no pixel."""
    image = Image.open(io.BytesIO(png(seed, (32, 32))))
    buffer = io.BytesIO()
    (image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else image).save(buffer, "PNG")
    return buffer.getvalue()


def dataset_of(pictures, pause_s=0.0):
    """Return a checked data set of encoded pictures and the list that counts their reads."""
    reads: list[int] = []
    samples = [
        Sample(f"{at:03}.png", at % 2, hashlib.sha256(data).hexdigest(), None, at, Memory(data, reads, pause_s))
        for at, data in enumerate(pictures)
    ]
    return Dataset(None, ("a", "b"), tuple(samples), ()), reads


def write_folder(root, seeds_by_path):
    for path, seed in seeds_by_path.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(png(seed))
    return check(root)[0]


def rows_of(done, dataset):
    return done.bank.read([sample.sha256 for sample in dataset.samples], list(done.bank.spec.columns))


def snapshot(directory):
    return {str(p.relative_to(directory)): p.read_bytes() for p in sorted(directory.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def tiny():
    return load_backbone("test_efficientnet", pretrained=False, crop_share=1.0, size_px=32)


@pytest.fixture(scope="module")
def lite0():
    return load_backbone(size_px=64)


@pytest.fixture(scope="module")
def pictures():
    return [png(seed) for seed in range(11)]


@pytest.fixture
def cache(own_cache):
    return store.cache_root(own_cache)


@pytest.fixture
def short_segments(monkeypatch):
    """Commit every four rows."""
    monkeypatch.setattr(extract_module, "SEGMENT_ROWS", 4)


def test_rows_are_the_pooled_activations_of_their_own_pictures(tiny, pictures, cache, short_segments):
    dataset, _ = dataset_of(pictures[:5])
    done = extract(
        dataset, tiny, runtime=RUNTIME, cache=cache, storage="float32", poolings=("mean", "std", "max", "grid")
    )
    assert (done.num_extracted, done.num_damaged, len(done.bank)) == (5, 0, 5)
    for sample, data in zip(dataset.samples, pictures[:5], strict=True):
        x = to_input(prepare(data, tiny.backbone.input)[None], tiny.backbone.input, runtime=RUNTIME)
        for cut, activation in tiny.features(x, range(len(tiny.backbone.cuts))):
            for pooling, expected in pooled(activation, done.bank.spec.poolings, num_prefix_tokens=0).items():
                stored = done.bank.read([sample.sha256], [(cut, pooling)])
                np.testing.assert_allclose(stored, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["tiny", "lite0"])
def test_rows_do_not_depend_on_what_they_were_extracted_with(request, pictures, tmp_path, monkeypatch, name, dtype):
    """Alone, in short batches, in another order, by one worker or two: the same bits."""
    network, runtime = request.getfixturevalue(name), Runtime("cpu", dtype, 4)
    dataset, _ = dataset_of(pictures[:7])
    backwards = replace(dataset, samples=dataset.samples[::-1])
    alone = replace(dataset, samples=dataset.samples[4:5])
    seen = []
    for number, (segment, threads, steps) in enumerate(
        [(256, "1", [dataset]), (3, "2", [dataset]), (5, "1", [backwards]), (256, "2", [alone, dataset])]
    ):
        monkeypatch.setenv("THAWLINE_THREADS", threads)
        monkeypatch.setattr(extract_module, "SEGMENT_ROWS", segment)
        cache = store.cache_root(tmp_path / str(number))
        for step in steps:
            done = extract(step, network, runtime=runtime, cache=cache)
        seen.append(rows_of(done, dataset))
    for rows in seen[1:]:
        assert np.array_equal(rows, seen[0])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_batch_size_changes_no_more_than_rounding(tiny, pictures, tmp_path, dtype):
    dataset, _ = dataset_of(pictures[:3])
    seen = []
    for size in (2, 1, 16):
        runtime, cache = Runtime("cpu", dtype, size), store.cache_root(tmp_path / str(size))
        seen.append(rows_of(extract(dataset, tiny, runtime=runtime, cache=cache), dataset))
        np.testing.assert_allclose(seen[-1], seen[0], rtol=2e-3, atol=1e-5)
    if dtype == "bfloat16":
        assert np.array_equal(seen[0], seen[1])


def test_the_same_pictures_fill_the_same_bank_on_one_worker_and_on_two(
    tiny, pictures, tmp_path, monkeypatch, short_segments
):
    dataset, _ = dataset_of(pictures)
    for threads in ("1", "2"):
        monkeypatch.setenv("THAWLINE_THREADS", threads)
        extract(dataset, tiny, runtime=RUNTIME, cache=store.cache_root(tmp_path / threads))
    assert snapshot(tmp_path / "1") == snapshot(tmp_path / "2")
    assert len(list((tmp_path / "1").glob("banks/*/segments/*"))) == 3


def test_only_what_is_new_is_extracted(tiny, tmp_path, cache):
    root = tmp_path / "photos"
    first = write_folder(root, {f"{name}/{seed}": seed for seed, name in enumerate("aabbaabb")})
    assert extract(first, tiny, runtime=RUNTIME, cache=cache).num_extracted == 8
    assert extract(first, tiny, runtime=RUNTIME, cache=cache).num_extracted == 0
    grown = write_folder(root, {f"b/new {seed}": seed for seed in (20, 21, 22)})
    done = extract(grown, tiny, runtime=RUNTIME, cache=cache)
    assert (done.num_extracted, len(done.bank)) == (3, 11)
    before = snapshot(cache)
    (root / "a").rename(root / "renamed label")
    (root / "b/2").rename(root / "renamed label/moved and relabelled.jpg")
    moved = check(root)[0]
    assert moved.class_names == ("b", "renamed label")
    done = extract(moved, tiny, runtime=RUNTIME, cache=cache)
    assert done.num_extracted == 0
    assert snapshot(cache) == before
    once = extract(moved, tiny, runtime=RUNTIME, cache=store.cache_root(tmp_path / "other cache"))
    assert np.array_equal(rows_of(done, moved), rows_of(once, moved))


def test_exact_copies_run_once(tiny, pictures, cache):
    dataset, reads = dataset_of([*pictures[:5], *pictures[:3], pictures[0]])
    done = extract(dataset, tiny, runtime=RUNTIME, cache=cache)
    assert (done.num_extracted, len(done.bank), len(reads)) == (5, 5, 5)
    rows = rows_of(done, dataset)
    assert np.array_equal(rows[[5, 6, 7, 8]], rows[[0, 1, 2, 0]])
    assert len(np.unique(rows, axis=0)) == 5


def test_a_changed_pixel_is_another_picture(tiny, pictures, cache):
    image = Image.open(io.BytesIO(pictures[0]))
    image.putpixel((3, 3), tuple(255 - level for level in image.getpixel((3, 3))))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    extract(dataset_of(pictures[:2])[0], tiny, runtime=RUNTIME, cache=cache)
    changed, _ = dataset_of([buffer.getvalue(), *pictures[:2]])
    done = extract(changed, tiny, runtime=RUNTIME, cache=cache)
    assert (done.num_extracted, len(done.bank)) == (1, 3)
    rows = rows_of(done, changed)
    assert not np.array_equal(rows[0], rows[1])


@pytest.mark.parametrize("change", ["fit", "dtype", "poolings", "storage", "weights"])
def test_another_way_of_reading_is_another_bank(tiny, pictures, cache, change):
    dataset, _ = dataset_of(pictures[:3])
    first = extract(dataset, tiny, runtime=RUNTIME, cache=cache)
    network, runtime, options = tiny, RUNTIME, {}
    if change == "fit":
        network = load_backbone("test_efficientnet", pretrained=False, size_px=32, fit="stretch")
    elif change == "weights":
        network = load_backbone("test_resnet", pretrained=False, size_px=32)
    elif change == "dtype":
        runtime = replace(RUNTIME, dtype="bfloat16")
    else:
        options = {"poolings": ("mean",)} if change == "poolings" else {"storage": "float32"}
    second = extract(dataset, network, runtime=runtime, cache=cache, **options)
    assert second.num_extracted == 3
    assert second.bank.key != first.bank.key
    assert extract(dataset, tiny, runtime=replace(RUNTIME, batch_size=1), cache=cache).num_extracted == 0


def test_a_class_token_is_kept_beside_what_is_asked_for():
    spec = bank_spec(load_backbone("test_vit", pretrained=False).backbone, RUNTIME, poolings=("mean", "grid"))
    assert spec.poolings == ("mean", "grid", "token")
    assert {pooling for _, pooling, _ in spec.blocks} == {"mean", "grid", "token"}


def test_a_damaged_row_is_made_again(tiny, pictures, cache):
    dataset, _ = dataset_of(pictures)
    whole = rows_of(extract(dataset, tiny, runtime=RUNTIME, cache=cache), dataset)
    (file,) = cache.glob("banks/*/segments/*/rows.npy")
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    done = extract(dataset, tiny, runtime=RUNTIME, cache=cache)
    assert (done.num_damaged, done.num_extracted) == (0, 0)  # nothing has read it yet
    assert np.array_equal(rows_of(done, dataset), whole)
    assert (done.num_damaged, done.num_extracted) == (1, 1)
    done = extract(dataset, tiny, runtime=RUNTIME, cache=cache)
    assert np.array_equal(rows_of(done, dataset), whole)
    assert (done.num_damaged, done.num_extracted) == (0, 0)


def test_a_network_that_has_changed_meanwhile_makes_no_row_again(pictures, cache):
    network = load_backbone("test_efficientnet", pretrained=False, crop_share=1.0, size_px=32)
    dataset, _ = dataset_of(pictures)
    done = extract(dataset, network, runtime=RUNTIME, cache=cache)
    (file,) = cache.glob("banks/*/segments/*/rows.npy")
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with torch.no_grad():
        next(network.model.parameters()).mul_(2)
    with pytest.raises(StoreError, match=r"^read features: .* was damaged: 1 row had to be removed\. Run again\."):
        rows_of(done, dataset)
    assert len(done.bank) == len(pictures) - 1


@pytest.mark.parametrize("event", ["changed", "vanished"])
def test_a_picture_that_is_not_what_was_checked_is_named_and_the_rest_is_kept(
    tiny, tmp_path, cache, short_segments, event
):
    root = tmp_path / "photos"
    dataset = write_folder(root, {f"{'ab'[seed % 2]}/{seed:02}": seed for seed in range(12)})
    last = root / dataset.samples[-1].path
    last.write_bytes(png(99)) if event == "changed" else last.unlink()
    text = (
        r"^read: b/11 has changed since it was checked\. Run again\.$" if event == "changed" else "^read: b/11: missing"
    )
    with pytest.raises(DataError, match=text):
        extract(dataset, tiny, runtime=RUNTIME, cache=cache)
    assert list(cache.glob(".thawline-staging/*")) == []
    mended = write_folder(root, {"b/11": 11})
    assert 4 <= 12 - extract(mended, tiny, runtime=RUNTIME, cache=cache).num_extracted <= 8


def test_a_picture_that_cannot_be_decoded_is_named(tiny, pictures, cache):
    dataset, _ = dataset_of([pictures[0], pictures[1][:200]])
    with pytest.raises(DataError, match=r"^decode: 001\.png: .+\. Run again: .+\.$"):
        extract(dataset, tiny, runtime=RUNTIME, cache=cache)


def test_a_feature_that_the_storage_cannot_hold_is_refused(pictures, cache):
    network = load_backbone("test_efficientnet", pretrained=False, size_px=32)
    with torch.no_grad():
        network.model.bn1.weight.mul_(1e7)
    dataset, _ = dataset_of(pictures)
    with pytest.raises(
        StoreError,
        match=r"^extract: features of test_efficientnet exceed what float16 .*65,504.*Pass --storage float32\.$",
    ):
        extract(dataset, network, runtime=RUNTIME, cache=cache)
    assert list(cache.glob("banks/*/segments/*")) == []
    assert extract(dataset, network, runtime=RUNTIME, cache=cache, storage="float32").num_extracted == 11


def test_features_that_are_no_numbers_are_refused_with_another_way_on(pictures, cache):
    network = load_backbone("test_efficientnet", pretrained=False, size_px=32)
    with torch.no_grad():
        network.model.bn1.weight.mul_(float("inf"))
    with pytest.raises(
        BackboneError,
        match=r"^extract: features of test_efficientnet are not finite in float32\. Pass --dtype float32, or choose",
    ):
        extract(dataset_of(pictures)[0], network, runtime=RUNTIME, cache=cache, storage="float32")


def test_the_size_is_forecast_and_compared_with_the_disk(tiny, pictures, cache, monkeypatch):
    dataset, reads = dataset_of(pictures)
    needed = 11 * bank_spec(tiny.backbone, RUNTIME).row_bytes
    usage = shutil.disk_usage(cache)
    monkeypatch.setattr(store.shutil, "disk_usage", lambda _: usage._replace(free=needed - 1))
    with pytest.raises(StoreError, match=r"^extract: .* has 0 MiB free, 0 MiB are needed\. Free some space"):
        extract(dataset, tiny, runtime=RUNTIME, cache=cache)
    assert reads == []
    monkeypatch.setattr(store.shutil, "disk_usage", lambda _: usage._replace(free=needed))
    done = extract(dataset, tiny, runtime=RUNTIME, cache=cache)
    written = sum(len(data) for name, data in snapshot(done.bank.directory).items() if name.endswith(".npy"))
    assert written == needed + 3 * 128  # three files, each with a header
    monkeypatch.setattr(store.shutil, "disk_usage", lambda _: usage._replace(free=0))
    assert extract(dataset, tiny, runtime=RUNTIME, cache=cache).num_extracted == 0


def test_progress_says_how_much_and_how_far(tiny, pictures, cache, capsys):
    class Noted(extract_module.SilentProgress):
        def note(self, text):
            print(text)

    dataset, _ = dataset_of([*pictures, pictures[0]])
    extract(dataset, tiny, runtime=RUNTIME, cache=cache, progress=Noted())
    assert capsys.readouterr().out == "extract: 11 pictures × 880 columns at 6 cuts, 0.0 MiB\n"
    extract(dataset, tiny, runtime=RUNTIME, cache=cache, progress=Noted())
    assert capsys.readouterr().out == ""


def test_an_interrupt_stops_the_threads_and_keeps_what_is_committed(tiny, pictures, cache, short_segments):
    dataset, reads = dataset_of([png(seed, (8, 8)) for seed in range(200)], pause_s=0.01)

    class Interrupted(extract_module.SilentProgress):
        """Ctrl-C while the second segment is being filled."""

        @contextmanager
        def stage(self, *_, **__):
            done = []

            def advance(count):
                done.append(count)
                if sum(done) > 4:
                    raise KeyboardInterrupt

            yield advance

    threads = torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt):
        extract(dataset, tiny, runtime=RUNTIME, cache=cache, progress=Interrupted())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pictures")]
    assert torch.get_num_threads() == threads
    assert len(reads) <= 4 * (2 + 4 * extract_module.num_workers())
    assert len(list(cache.glob("banks/*/segments/*"))) == 1
    assert list(cache.glob(".thawline-staging/*")) == []
    assert extract(dataset, tiny, runtime=RUNTIME, cache=cache).num_extracted == 196


def test_a_view_has_a_bank_of_its_own_with_the_features_of_its_pixels(tiny, pictures, cache):
    dataset, _ = dataset_of(pictures[:5])
    views = view_names("augmix", 2)
    plain, augmix = extract_views(dataset, tiny, runtime=RUNTIME, views=views, cache=cache)
    assert [done.bank.spec.views for done in (plain, augmix)] == [("plain",), ("augmix.1",)]
    assert extract(dataset, tiny, runtime=RUNTIME, cache=cache).bank.key == plain.bank.key
    reader = FeatureReader(tiny, RUNTIME, list(plain.bank.spec.columns), "float16")
    for done, view in ((plain, "plain"), (augmix, "augmix.1")):
        seen = [seen_as(prepare(s.source.data, tiny.backbone.input), view, sha256=s.sha256) for s in dataset.samples]
        np.testing.assert_allclose(rows_of(done, dataset), reader.read(np.stack(seen)), rtol=2e-3, atol=1e-4)
    assert not np.allclose(rows_of(plain, dataset), rows_of(augmix, dataset), rtol=1e-2)


def test_one_more_view_extracts_that_view_and_one_more_picture_its_views(tiny, pictures, cache):
    dataset, reads = dataset_of(pictures[:5])
    extract(dataset, tiny, runtime=RUNTIME, cache=cache)
    before = snapshot(cache)
    done = extract_views(dataset, tiny, runtime=RUNTIME, views=view_names("flip", 2), cache=cache)
    assert [view.num_extracted for view in done] == [0, 5]
    assert len(reads) == 10
    assert before.items() <= snapshot(cache).items()
    grown, _ = dataset_of(pictures[:7])
    done = extract_views(grown, tiny, runtime=RUNTIME, views=view_names("flip", 2), cache=cache)
    assert [view.num_extracted for view in done] == [2, 2]


def test_the_mirrored_view_has_the_features_of_mirrored_files(tiny, cache):
    """A view is an input preparation and nothing more: features of `flip.1` are those of the mirrored files."""
    dataset, _ = dataset_of([square_png(seed) for seed in range(3)])
    mirrored, _ = dataset_of([square_png(seed, mirrored=True) for seed in range(3)])
    flipped = extract(dataset, tiny, runtime=RUNTIME, cache=cache, view="flip.1")
    plain = extract(mirrored, tiny, runtime=RUNTIME, cache=cache)
    assert np.array_equal(rows_of(flipped, dataset), rows_of(plain, mirrored))


def test_the_bytes_of_all_views_are_compared_with_the_budget_before_the_first_pass(tiny, pictures, cache, monkeypatch):
    dataset, reads = dataset_of([*pictures, pictures[0]])
    views, one = view_names("crop", 3), 11 * bank_spec(tiny.backbone, RUNTIME).row_bytes
    with pytest.raises(
        NoRoomError,
        match=r"^extract: 3 views of 11 pictures would take 0\.1 MiB, the budget is 0\.1 MiB\. Ask for fewer --views",
    ):
        extract_views(dataset, tiny, runtime=RUNTIME, views=views, cache=cache, budget_bytes=3 * one - 1)
    usage = shutil.disk_usage(cache)
    monkeypatch.setattr(store.shutil, "disk_usage", lambda _: usage._replace(free=3 * one - 1))
    with pytest.raises(NoRoomError, match="Free some space"):
        extract_views(dataset, tiny, runtime=RUNTIME, views=views, cache=cache)
    assert reads == []
    monkeypatch.undo()
    done = extract_views(dataset, tiny, runtime=RUNTIME, views=views, cache=cache, budget_bytes=3 * one)
    assert [view.num_extracted for view in done] == [11, 11, 11]
    done = extract_views(dataset, tiny, runtime=RUNTIME, views=views, cache=cache, budget_bytes=0)
    assert [view.num_extracted for view in done] == [0, 0, 0]


def test_an_unknown_view_is_refused_before_anything_is_written(tiny, pictures, cache):
    with pytest.raises(UsageError, match="view 'mirror' does not exist"):
        extract(dataset_of(pictures)[0], tiny, runtime=RUNTIME, cache=cache, view="mirror")
    assert snapshot(cache) == {}


@pytest.mark.parametrize(
    ("row_bytes", "rows"), [(100, 256), (1 << 18, 256), (300_000, 128), (1 << 25, 2), (1 << 30, 1)]
)
def test_segments_of_large_rows_stay_within_64_mib(row_bytes, rows):
    assert extract_module.segment_rows(row_bytes) == rows


def test_streams_keep_order_and_leave_torch_as_it_was(monkeypatch):
    monkeypatch.setenv("THAWLINE_THREADS", "2")
    before = torch.get_num_threads()
    seen = list(in_streams(lambda item: (item, torch.get_num_threads()), range(20)))
    assert seen == [(item, 1) for item in range(20)]
    assert torch.get_num_threads() == before


def test_a_reader_gives_predictions_what_the_bank_holds(tiny, pictures, cache):
    dataset, _ = dataset_of(pictures[:4])
    done = extract(dataset, tiny, runtime=RUNTIME, cache=cache)
    blocks = [(5, "std"), (2, "mean")]
    reader = FeatureReader(tiny, RUNTIME, blocks, "float16")
    rows = reader.read(np.stack([prepare(data, tiny.backbone.input) for data in pictures[:4]]))
    assert rows.dtype == np.float16
    assert np.array_equal(rows.astype(np.float32), done.bank.read([s.sha256 for s in dataset.samples], blocks))


@pytest.fixture
def small_disk(tmp_path):
    """Return a file system of 160 KiB and a function that gives it another size."""
    disk = tmp_path / "small disk"
    disk.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", disk], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a small disk needs `mount` and the superuser: {done.stderr.strip()}")

    def resize(options):
        subprocess.run(["mount", "-o", f"remount,{options}", disk], check=True)

    yield disk, resize
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_keeps_what_is_committed_and_more_space_lets_it_go_on(tiny, tmp_path, small_disk, short_segments):
    disk, resize = small_disk
    dataset, _ = dataset_of([png(seed) for seed in range(60)])
    with pytest.raises(
        StoreError, match=r"^extract: .*small disk.*: the disk is full\. Free some space .* What was written is kept\.$"
    ):
        extract(dataset, tiny, runtime=RUNTIME, cache=disk)
    committed = len(list(disk.glob("banks/*/segments/*")))
    assert committed > 2
    assert list(disk.glob(".thawline-staging/*")) == []
    resize("size=2m")
    done = extract(dataset, tiny, runtime=RUNTIME, cache=disk)
    assert (done.num_extracted, done.num_damaged) == (60 - 4 * committed, 0)
    extract(dataset, tiny, runtime=RUNTIME, cache=store.cache_root(tmp_path / "large"))
    assert snapshot(disk) == snapshot(tmp_path / "large")
    resize("ro")
    assert extract(dataset, tiny, runtime=RUNTIME, cache=disk).num_extracted == 0
    with pytest.raises(StoreError, match=r"the file system is read-only\. Choose a place that you may write to"):
        extract(dataset, tiny, runtime=replace(RUNTIME, dtype="bfloat16"), cache=disk)


def test_a_disk_that_fills_up_within_a_segment_says_so(tiny, small_disk, monkeypatch):
    disk, _ = small_disk
    monkeypatch.setattr(extract_module, "require_space", lambda *_, **__: None)
    dataset, _ = dataset_of([png(seed) for seed in range(100)])
    with pytest.raises(StoreError, match=r"^extract: .*small disk.*: the disk is full\. Free some space"):
        extract(dataset, tiny, runtime=RUNTIME, cache=disk)
    assert list(disk.glob(".thawline-staging/*")) == []
    assert list(disk.glob("banks/*/segments/*")) == []
