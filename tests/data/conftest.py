"""Small drawn pictures, encoded and laid out as the tests of the data floor need them."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Draw = Callable[..., Image.Image]


def draw_picture(seed: int, size: tuple[int, int] = (48, 40)) -> Image.Image:
    """Return a smooth random picture: different seeds never look like copies, re-encodings of one seed always do."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def encode_picture(image: Image.Image, format_name: str = "PNG", **options: object) -> bytes:
    if format_name == "HEIF":
        pytest.importorskip("pillow_heif").register_heif_opener()
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def draw() -> Draw:
    return draw_picture


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    return encode_picture


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes {relative path: bytes, or the seed of a picture} into a new folder."""

    def make(files: dict[str, bytes | int], name: str = "photos") -> Path:
        root = tmp_path / name
        root.mkdir(exist_ok=True)
        for path, content in files.items():
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else encode_picture(draw_picture(content)))
        return root

    return make
