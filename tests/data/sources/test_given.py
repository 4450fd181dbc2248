"""What a person hands over becomes pictures with names, in order; all else is refused with the next step."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from thawline.core.errors import DataError, InputError, MissingError, UsageError
from thawline.data.in_memory import encode_pixels
from thawline.data.sources.given import given_pictures, one_each

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5, 7, 3), dtype=np.uint8)
PPM = [encode_pixels(one) for one in PIXELS]


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / f"{number}.ppm" for number in range(6)]
    for path, data in zip(paths, PPM, strict=True):
        path.write_bytes(data)
    return paths


def contents(pictures, **options):
    return [source.read() for _, source in given_pictures(pictures, **options)]


def names(pictures):
    return [name for name, _ in given_pictures(pictures)]


class Column:
    """A column of a table as pandas has it: an order and a length, but no `Sequence`."""

    def __init__(self, values):
        self.values = list(values)

    def __len__(self):
        return len(self.values)

    def __iter__(self):
        return iter(self.values)


def test_many_of_every_kind_in_order(files):
    opened = [path.open("rb") for path in files]
    everything = [
        files,
        list(map(str, files)),
        tuple(files),
        np.array(list(map(str, files))),
        Column(files),
        (path for path in files),
        PIXELS,
        list(PIXELS),
        PIXELS / 255,
        (one for one in PIXELS),
        PPM,
        list(map(bytearray, PPM)),
        list(map(memoryview, PPM)),
        list(map(io.BytesIO, PPM)),
        opened,
        [Image.fromarray(one) for one in PIXELS],
        [Image.open(path) for path in files],
        [files[0], PIXELS[1], PPM[2], Image.fromarray(PIXELS[3]), io.BytesIO(PPM[4]), str(files[5])],
    ]
    for kind in everything:
        assert contents(kind) == PPM
    for stream in opened:
        stream.close()
    assert contents(PIXELS[..., ::-1], channels="bgr") == PPM
    assert contents([PIXELS[0][..., ::-1], PPM[1]], channels="bgr") == PPM[:2]  # bytes say themselves what they are


def test_one_of_every_kind(files):
    for one in (files[0], str(files[0]), PIXELS[0], PIXELS[:1], PPM[0], io.BytesIO(PPM[0]), Image.open(files[0])):
        assert contents(one) == PPM[:1]
    grey = PIXELS[0, ..., 0]
    assert contents(grey) == contents(grey[None]) == contents(grey[..., None]) == [encode_pixels(grey)]
    assert contents(PIXELS[..., 0]) == [encode_pixels(one) for one in PIXELS[..., 0]]
    assert contents([]) == contents(PIXELS[:0]) == contents(iter(())) == []


def test_pictures_are_called_as_people_know_them(files):
    assert names(files[:2]) == [str(files[0]), str(files[1])]
    assert names([PIXELS[0], files[1], PPM[2]]) == ["picture 0", str(files[1]), "picture 2"]
    with files[0].open("rb") as opened:
        assert names([opened, Image.open(files[1])]) == [str(files[0]), str(files[1])]


def test_a_folder_is_all_of_its_pictures(files, tmp_path):
    assert contents(tmp_path) == PPM
    assert contents([PPM[3], str(tmp_path)]) == [PPM[3], *PPM]
    assert contents(f"{tmp_path}/[01].ppm") == PPM[:2]
    with pytest.raises(MissingError, match=r"\[89\]"):
        given_pictures(f"{tmp_path}/[89].ppm")


def test_paths_that_lead_nowhere_raise_before_anything_is_read(files, tmp_path):
    gone = [tmp_path / f"gone{number}.jpg" for number in range(12)]
    with pytest.raises(MissingError, match=r"predict .*gone0.jpg.*, and 2 more: 12 of the 13 files") as caught:
        given_pictures([files[0], *gone])
    assert isinstance(caught.value, FileNotFoundError)
    assert isinstance(caught.value, DataError)
    assert str(caught.value).endswith(".")
    with pytest.raises(MissingError, match=r"^predict typo.jpg: there is no such file or folder. Check the spelling"):
        given_pictures("typo.jpg")
    for hopeless in ("null\0byte.jpg", "x" * 5000, str(files[0] / "below")):
        with pytest.raises(MissingError):
            given_pictures(hopeless)
    with pytest.raises(MissingError, match="gone0"):
        given_pictures([PIXELS[0], gone[0]])
    one_by_one = given_pictures(iter([files[0], gone[0]]))
    assert next(one_by_one)[1].read() == PPM[0]
    with pytest.raises(MissingError, match="gone0"):
        next(one_by_one)


@pytest.mark.parametrize(
    ("pictures", "words"),
    [
        (PIXELS[0].transpose(2, 0, 1), r"\(3, 5, 7\) looks like channels first.*moveaxis\(X, 0, -1\).*3 grey pictures"),
        (PIXELS.transpose(0, 3, 1, 2), r"\(6, 3, 5, 7\) looks like channels first.*moveaxis\(X, 1, -1\)"),
        ([PIXELS[0].transpose(2, 0, 1)], r"picture 0: an array of shape \(3, 5, 7\).*Move the channels to the end"),
        ([PIXELS], r"picture 0: an array of shape \(6, 5, 7, 3\)"),
        (PIXELS[None], "is neither a picture nor many"),
        (np.zeros((2, 0, 4, 3)), "is neither a picture nor many"),
        (np.zeros((4, 5)) + 2, r"from 2 to 2; floats from 0 \(black\) to 1"),
        ([PIXELS[0], 2.0 + PIXELS[0]], r"predict: picture 1: float64 values"),
        (3, "int is neither a picture nor many"),
        ({"a": 1}, "dict is neither a picture nor many"),
        ({"a"}, "set is neither"),
        ([3], "picture 0: it is of type int. Give a path, an array"),
        ([None], "picture 0: it is of type NoneType"),
        (np.zeros(3), "picture 0: it is of type float64"),
        (io.StringIO("text"), "opened as text. Open it with mode 'rb'"),
        (io.BytesIO(), r"at its end.*seek\(0\)"),
    ],
)
def test_what_is_no_picture_is_refused_with_the_next_step(pictures, words):
    with pytest.raises(InputError, match=words) as caught:
        list(given_pictures(pictures))
    assert str(caught.value).startswith("predict: ")


def test_an_order_of_channels_that_does_not_exist():
    with pytest.raises(UsageError, match="channels='gbr': `rgb` and `bgr` are possible"):
        given_pictures(PIXELS, channels="gbr")


def test_a_generator_may_change_what_it_yielded():
    frame = np.zeros((5, 7, 3), dtype=np.uint8)

    def frames():
        for one in PIXELS:
            frame[:] = one
            yield frame

    found = list(given_pictures(frames()))
    assert [source.read() for _, source in found] == PPM


def test_a_stacked_array_is_not_copied():
    found = list(given_pictures(PIXELS))
    assert all(np.shares_memory(source.pixels, PIXELS) for _, source in found)
    assert sum(source.held_bytes for _, source in found) == PIXELS.nbytes
    assert next(iter(given_pictures([PPM[0], PIXELS[0]])))[1].held_bytes == len(PPM[0])


def test_what_only_decoding_can_tell_becomes_a_row(tmp_path):
    (tmp_path / "a.ppm").write_bytes(PPM[0][:30])
    with Image.open(tmp_path / "a.ppm") as image:
        ((_, source),) = given_pictures(image)
    with pytest.raises(DataError, match="Pillow cannot load it"):
        source.read()
    ((_, source),) = given_pictures(b"text")
    assert source.read() == b"text"


def test_one_each_takes_many_pictures_and_no_folders(files, tmp_path):
    for many in (files, PIXELS, list(PIXELS), np.array(list(map(str, files))), PPM, PIXELS[..., 0]):
        assert len(one_each(many)) == 6
    assert [source.read() for _, source in one_each([*files[:3], *PIXELS[3:]])] == PPM
    for single in (PIXELS[0], PIXELS[0, ..., 0], PPM[0], str(files[0]), Image.fromarray(PIXELS[0])):
        with pytest.raises(InputError, match=r"fit: a single .* many pictures are required"):
            one_each(single)
    with pytest.raises(InputError, match=r"A row of numbers is no picture: X.reshape"):
        one_each(np.zeros((20, 64)))
    with pytest.raises(InputError, match="is a folder; every item has to be one picture"):
        one_each([files[0], tmp_path])
    with pytest.raises(MissingError, match=r"fit gone\.jpg"):
        one_each(["gone.jpg"])
    with pytest.raises(MissingError, match="there is no such"):
        one_each([f"{tmp_path}/[01].ppm"])  # one name, two pictures
