"""Damaged pictures of every format, the same in every run: bytes changed, cut off, repeated, left out, overwritten."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

from thawline.data.formats import FORMATS

SEED = 20261128


def drawn(seed: int, size: tuple[int, int] = (96, 80)) -> Image.Image:
    """Return a smooth random picture."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def originals() -> list[bytes]:
    """Return sound pictures of every format and of many modes."""
    colour = drawn(1)
    modes = {"JPEG": ("RGB", "L", "CMYK"), "GIF": ("P", "L"), "AVIF": ("RGB",), "WEBP": ("RGB", "RGBA")}
    every = ("1", "L", "P", "RGB", "RGBA", "I;16")
    made = []
    for kind in FORMATS:
        for mode in modes.get(kind.name, every):
            with contextlib.suppress(OSError, ValueError, KeyError):
                level = colour.convert("I").convert(mode) if mode == "I;16" else colour.convert(mode)
                made.append(written(level, kind.name))
    made += [written(colour, "JPEG", progressive=True), written(colour, "WEBP", lossless=True)]
    made += [written(colour, "TIFF", compression=name) for name in ("tiff_lzw", "tiff_deflate", "jpeg", "packbits")]
    return [*made, written(colour.convert("1"), "TIFF", compression="group4")]


def written(image: Image.Image, image_format: str, **options: object) -> bytes:
    """Return a picture as Pillow encodes it."""
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def mutants(num: int) -> Iterator[bytes]:
    """Yield damaged pictures: bytes changed, cut off, repeated, left out, numbers overwritten; equal in every run."""
    rng, sound = np.random.default_rng(SEED), originals()
    for _ in range(num):
        data = bytearray(sound[rng.integers(len(sound))])
        for _ in range(rng.integers(1, 5)):
            if not data:
                break
            at = int(rng.integers(len(data)) if rng.random() < 0.5 else rng.integers(min(len(data), 200)))
            kind, size = rng.integers(6), int(rng.integers(1, 40))
            if kind == 0:
                data[at] = rng.integers(256)
            elif kind == 1:
                data[at : at + 4] = int(rng.choice([0, 1, 255, 65535, 2**31 - 1, 2**32 - 1])).to_bytes(4, "big")
            elif kind == 2:
                data[at : at + 4] = int(rng.choice([0, 1, 255, 65535, 2**31 - 1, 2**32 - 1])).to_bytes(4, "little")
            elif kind == 3:
                del data[at : at + size]
            elif kind == 4:
                data[at:at] = data[at : at + size] * int(rng.integers(1, 4))
            elif rng.random() < 0.3:
                del data[max(at, 1) :]
        yield bytes(data)
