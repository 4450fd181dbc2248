"""Pixels in memory (NumPy, PyTorch, Pillow) -> the bytes of a picture file that holds just them.

The one idea: an array takes the road of every file, so that its answer cannot differ from that of a file with the same
pixels. Grey and RGB become netpbm, which is a header and the pixels as they are; the rest TIFF and PNG, uncompressed.
"""

from __future__ import annotations

import io
import math
import struct
import sys
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from thawline.core.errors import DataError, InputError
from thawline.data.lossless import encode_png

__all__ = ["CHANNELS", "Array", "Channels", "array_of", "check_values", "encode_image", "encode_pixels", "is_array"]

Array = npt.NDArray[Any]
Channels = Literal["rgb", "bgr"]
"""The order of an array's colours: red first, as Pillow, or blue first, as OpenCV reads files."""

CHANNELS = frozenset({1, 3, 4})
"""Values of a pixel: grey, RGB, RGB with opacity."""

ROUNDING = 1e-4
"""How far floats may lie outside 0…1: an antialiased resize leaves as much."""

TIFF_HEADER_BYTES = 8 + 2 + 10 * 12 + 4 + 6

FULL_SCALES = (16, 255, 1023, 4095, 65535)
"""Values that usually are white, where floats exceed 1."""


def is_array(value: object) -> bool:
    """Return whether a value holds numbers in two dimensions or more: an array of NumPy, PyTorch, JAX, TensorFlow."""
    return hasattr(value, "__array__") and not hasattr(value, "columns") and getattr(value, "ndim", 0) >= 2


def array_of(value: Any) -> Array:
    """Return an array of any library as one of NumPy, channels last.

    Tensors of PyTorch are (C, H, W) or (N, C, H, W), as torchvision has them, and may lie on an accelerator.
    """
    torch = sys.modules.get("torch")  # whoever has a tensor has loaded it
    if torch is None or not isinstance(value, torch.Tensor):
        return np.asarray(value)
    tensor = cast("Any", value).detach().cpu()
    if tensor.dtype is torch.bfloat16:
        tensor = tensor.float()
    array: Array = tensor.numpy()
    if array.ndim in {3, 4} and array.shape[-3] in CHANNELS:
        return np.moveaxis(array, -3, -1)
    if array.ndim in {3, 4}:
        raise InputError(
            f"a tensor of shape {tuple(array.shape)}; (C, H, W) or (N, C, H, W) with C of 1, 3 or 4 is required of "
            "PyTorch. Move the channels there with tensor.permute, or hand over tensor.numpy()"
        )
    return array


def check_values(pixels: Array) -> None:
    """Refuse numbers that are no levels of light; says what they are and what they should be.

    Args:
        pixels: An array of one picture or many.

    Raises:
        InputError: Neither uint8, uint16, bool nor floats from 0 to 1.
    """
    found = f"{pixels.dtype} values in an array of shape {pixels.shape}"
    kind = pixels.dtype.kind
    if pixels.dtype in (np.uint8, np.uint16, np.bool_) or not pixels.size:
        return
    if kind in "iu":
        low, high = int(pixels.min()), int(pixels.max())
        raise InputError(
            f"{found}, from {low:,} to {high:,}; uint8, or floats from 0 (black) to 1 (white), are required. "
            f"{_scaling(high) if low >= 0 else 'Shift and scale them'}"
        )
    if kind != "f":
        if kind == "c":
            raise InputError(f"{found}: Complex data not supported. Give uint8, or floats from 0 to 1")
        raise InputError(f"{found}; uint8, or floats from 0 (black) to 1 (white), are required")
    darkest, brightest = float(pixels.min()), float(pixels.max())
    if not (math.isfinite(darkest) and math.isfinite(brightest)):
        what = "NaN" if np.isnan(pixels).any() else "infinity (inf)"
        raise InputError(f"{found} with {what} among them; floats from 0 to 1 are required. Replace what is missing")
    wrong = f"{found}, from {darkest:.4g} to {brightest:.4g}; floats from 0 (black) to 1 (white) are required."
    if darkest < -ROUNDING:
        raise InputError(f"{wrong} Give the pictures before a mean is subtracted: the model does so itself")
    if brightest > 1 + ROUNDING:
        raise InputError(f"{wrong} {_scaling(brightest)}")


def _scaling(high: float) -> str:
    """Return the next step for values that reach `high`."""
    white = next((scale for scale in FULL_SCALES if scale >= high), math.ceil(high))
    if white == 255:
        return "Where 255 is white, convert them: X.astype('uint8')"
    return f"Divide them by what is white, here perhaps {white:,}: X / {white}"


def encode_pixels(pixels: Array, *, channels: Channels = "rgb") -> bytes:
    """Return one picture as the bytes of a file with the same pixels.

    Floats become 8 bits by rounding; uint16 stays and is read by the range of the model's set, as such files are.

    Args:
        pixels: (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), as `check_values` admits.
        channels: Order of the colours; of no account for grey.

    Raises:
        InputError: As `check_values`; or uint16 with opacity.
    """
    check_values(pixels)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    elif pixels.dtype.kind == "f":
        pixels = np.rint(np.clip(pixels, 0, 1).astype(np.float32) * 255).astype(np.uint8)
    if channels == "bgr" and pixels.ndim == 3:
        pixels = pixels[..., [2, 1, 0, *range(3, pixels.shape[2])]]
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        if pixels.dtype != np.uint8:
            raise InputError(f"{pixels.dtype} values with opacity; uint8 is required for them. Scale them to 0…255")
        return encode_png(np.ascontiguousarray(pixels))
    return _plain(pixels)


def _plain(pixels: Array) -> bytes:
    """Return (H, W) or (H, W, 3) levels as a header and the levels: of 8 bits as netpbm, of 16 as TIFF.

    A netpbm of 16 bits has a full scale of its own, and would not meet the range of a set of other files.
    """
    height, width = pixels.shape[:2]
    if pixels.dtype == np.uint8:
        return f"P{5 if pixels.ndim == 2 else 6}\n{width} {height}\n255\n".encode() + pixels.tobytes()
    count = 1 if pixels.ndim == 2 else 3
    entries = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, count, 16 if count == 1 else TIFF_HEADER_BYTES - 6),
        (259, 3, 1, 1), (262, 3, 1, 1 if count == 1 else 2), (273, 4, 1, TIFF_HEADER_BYTES), (277, 3, 1, count),
        (278, 4, 1, height), (279, 4, 1, 2 * pixels.size), (284, 3, 1, 1),
    ]  # fmt: skip
    table = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    header = b"II*\0" + struct.pack("<IH", 8, len(entries)) + table + struct.pack("<I3H", 0, 16, 16, 16)
    return header + pixels.astype("<u2").tobytes()


def encode_image(image: Image.Image) -> bytes:
    """Return a picture of Pillow as the bytes of a file, turned as its EXIF says; its current frame, if it has several.

    Raises:
        DataError: Its file cannot be decoded; says why.
    """
    try:
        image.load()
        upright = ImageOps.exif_transpose(image)
        return _encoded(upright)
    except DataError:
        raise
    except Exception as error:  # Pillow's readers raise a dozen kinds
        raise DataError(f"Pillow cannot load it: {' '.join(str(error).split())[:100]}") from None


def _encoded(image: Image.Image) -> bytes:
    if "transparency" in image.info or image.mode in {"LA", "La", "PA", "RGBA", "RGBa"}:
        layers = image.convert("LA") if image.mode == "La" else image
        return encode_png(np.asarray(layers.convert("RGBA")))
    if image.mode.startswith("I;16"):
        return _plain(np.asarray(image).astype(np.uint16))
    if image.mode in {"I", "F"}:
        buffer = io.BytesIO()
        image.save(buffer, "TIFF")
        return buffer.getvalue()
    grey = image.mode in {"1", "L"}
    return _plain(np.asarray(image.convert("L" if grey else "RGB")))
