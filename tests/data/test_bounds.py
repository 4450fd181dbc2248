"""What decoding takes is read off headers: ordinary files pass, costly ones are told apart or refused in a sentence."""

from __future__ import annotations

import io
import threading
import time

import costly_pictures as costly
import numpy as np
import pytest
from PIL import Image

from thawline.core.errors import DataError
from thawline.data import bounds
from thawline.data.bounds import Turns, check_forecast, is_light
from thawline.data.formats import FORMATS, format_of
from thawline.data.images import decode


def opened(data):
    return format_of(data).open(io.BytesIO(data))


def forecast(data, size_px=None):
    image = opened(data)
    full = image.size
    if size_px:
        image.draft(None, (2 * size_px, 2 * size_px))
    pixel_bytes = format_of(data).pixel_bytes
    return check_forecast(image, pixel_bytes, full_size=full, num_encoded=len(data)), image


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True, "exif": b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"}),
        ("PNG", {}),
        ("GIF", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("BMP", {}),
        ("TIFF", {}),
    ],
)
def test_ordinary_pictures_are_decoded_by_the_thread_that_asks(encode, draw, monkeypatch, name, options):
    monkeypatch.setattr("thawline.data.images.workers", None)  # asking it would raise
    data = encode(draw(1, (300, 200)), name, **options)
    assert format_of(data).is_ordinary(data)
    assert decode(data, size_px=64).width_px == 300


@pytest.mark.parametrize(
    "data",
    [
        costly.jpeg_of_segments(2 << 20, b"\xff\xe1\xff\xff" + bytes(65533)),
        costly.jpeg_of_segments(9_000, b"\xff"),
        costly.jpeg_of_segments(9_000, b"\xff\0"),
        costly.jpeg_of_segments(9_000, b"\xff\xfe\0\x03x"),
        costly.jpeg_of_scans(2000, 1500, 80),
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xda\0\x08\x03",
        costly.png_of_chunks(10_001),
        costly.gif_of_blocks(1 << 20),
        costly.encoded("WEBP", 2100, 2100),
        costly.encoded("WEBP", 900, 900, "RGBA", lossless=True) + bytes(1 << 16),
        b"RIFF\0\0\0\0WEBPVP9 ",
        costly.encoded("TIFF", 9, 9, compression="tiff_lzw"),
        costly.tiff_of(9, 20_001, strips=20_001),
        costly.tiff([(at, 3, 1, 0) for at in range(201)]),
        b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0",
        b"II*\0\xff\xff\0\0",
        b"MM\0*",
    ],
)
def test_what_is_out_of_the_ordinary_is_left_to_a_worker(data):
    assert format_of(data).is_ordinary(data) is False


def test_formats_that_bound_nothing_are_never_ordinary():
    assert [item.name for item in FORMATS if item.is_ordinary is None] == ["AVIF", "HEIF"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (costly.jpeg_of_scans(16, 16, 95), r"^a JPEG of 105 scans, over the 100 allowed$"),
        (
            costly.jpeg_that_claims(costly.jpeg_of_scans(16, 16, 60), 6000, 5000),
            r"^a JPEG of 70 scans of 30 megapixels, together over the 2,000 megapixels allowed$",
        ),
        (
            costly.jpeg_that_claims(costly.encoded("JPEG", 16, 16, "CMYK", progressive=True), 11_000, 9_000),
            r"^99.0 megapixels of mode CMYK take 767 MiB to decode, over the 256 MiB allowed",
        ),
        (
            costly.jpeg_of_segments(16 << 20, b"\xff\xfe\0\2"),
            r"^a JPEG with no picture in its first 16 MiB, the most that is searched$",
        ),
        (
            costly.tiff_of(8, 100_001, strips=100_001),
            r"^a TIFF of 100,001 strips or tiles, over the 100,000 allowed$",
        ),
        (costly.png_of_chunks(100_000), r"^a PNG of more than the 100,000 chunks allowed$"),
        (
            costly.png(20_000, 10_000, bits=16, num_lines=1),
            r"^200.0 megapixels of mode I;16 take 381 MiB to decode, over the 256 MiB allowed for a file",
        ),
        (costly.png(9_500, 9_500, channels=3, num_lines=1), r"^90.2 megapixels of mode RGB take 344 MiB"),
        (costly.bmp_of_short_lines(4_100, 1_000), r"^a run-length BMP of 4.1 megapixels, over the 4 allowed$"),
        (costly.avif_that_lies(64, 64, claimed=(6000, 6000)), r"^36.0 megapixels of mode RGB take 411 MiB"),
        (costly.webp_that_claims(6000, 6000), r"^36.0 megapixels of mode RGBA take 549 MiB to decode, over the 256"),
    ],
)
def test_what_costs_too_much_is_refused_in_a_sentence(data, reason):
    start = time.process_time()
    with pytest.raises(DataError, match=reason) as refusal:
        decode(data, size_px=224)
    assert "\n" not in str(refusal.value)
    assert time.process_time() - start < 0.5  # of this process: no pixel was decoded


def test_a_sequential_jpeg_ends_with_its_first_scan(encode, draw):
    data = encode(draw(1, (64, 64)), "JPEG")
    assert format_of(data).is_ordinary(data + data[data.rindex(b"\xff\xda") :] * 300)


def test_a_file_that_can_hold_what_it_claims_may_take_more(monkeypatch, encode):
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    monkeypatch.setattr(bounds, "MAX_BYTES", 500_000)
    assert forecast(encode(Image.fromarray(noise)))[0] == 300 * 300 * 8
    with pytest.raises(DataError, match="take 0 MiB to decode, over the 0 MiB allowed for a file of"):
        forecast(costly.png(300, 300, channels=3))
    monkeypatch.setattr(bounds, "MAX_HONEST_BYTES", 700_000)
    with pytest.raises(DataError, match="over the 0 MiB allowed"):
        forecast(encode(Image.fromarray(noise)))


@pytest.mark.parametrize(
    ("mode", "pixel_bytes"), [("1", 5), ("L", 5), ("RGB", 8), ("P", 5), ("LA", 24), ("RGBA", 24), ("I;16", 34)]
)
def test_the_forecast_counts_what_is_kept_and_what_the_conversion_takes(encode, mode, pixel_bytes):
    assert forecast(encode(Image.new(mode, (20, 10))))[0] == 200 * pixel_bytes


def test_a_progressive_jpeg_holds_all_its_coefficients(encode, draw):
    plain, progressive, full_colour = (
        encode(draw(1, (800, 800)), "JPEG", **options)
        for options in ({}, {"progressive": True}, {"progressive": True, "subsampling": 0})
    )
    assert forecast(plain, 50)[0] == 100 * 100 * 8
    assert forecast(progressive, 50)[0] == 100 * 100 * 8 + 800 * 800 * 3
    assert forecast(full_colour, 50)[0] == 100 * 100 * 8 + 800 * 800 * 6


def test_light_is_small_and_decoded_in_c():
    number, image = forecast(costly.png(64, 64))
    assert is_light(image, number)
    assert not is_light(image, bounds.MAX_BYTES + 1)
    assert not is_light(forecast(costly.bmp_of_short_lines(64, 64))[1], 0)
    assert not is_light(forecast(costly.encoded("TIFF", 9, 9, compression="tiff_lzw"))[1], 0)
    assert not is_light(forecast(costly.png(3000, 3000, bits=1, num_lines=1))[1], 0)


def test_turns_let_one_wait_until_there_is_room():
    turns, order = Turns(10), []

    def take(name, num_bytes):
        with turns.reserved(num_bytes):
            order.append(name)

    with turns.reserved(50):  # more than there is, alone
        threads = [threading.Thread(target=take, args=item) for item in (("a", 6), ("b", 7))]
        for thread in threads:
            thread.start()
        time.sleep(0.05)
        assert order == []
    for thread in threads:
        thread.join()
    assert sorted(order) == ["a", "b"]
    with turns.reserved(4), turns.reserved(6):
        pass
