"""12-megapixel photos on one thread: `python benchmarks/photos.py [--quick]`.

From the bytes to a network's input (draft, resize) against decoding alone (Pillow's draft), in processor time of one
thread, photo by photo in turn. Photos are real ones of `celebrities/` scaled up to 12 megapixels, as they are and with
the noise of a sensor, and the real ones of 8 megapixels and more. Needs the real pictures (THAWLINE_DATA).
"""

from __future__ import annotations

import argparse
import cProfile
import io
import pstats
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from pictures import DATA, need
from record import is_quick, record
from thawline.data.images import prepare
from thawline.data.square import side_px
from thawline.features.network import load_backbone

NUM_PHOTOS, ROUNDS, NOISE, LEAST_PX = 12, 5, 3.5, 500


def photos(count: int, *, noise: float) -> list[bytes]:
    """Return real photos as JPEGs of 4000 × 3000 or 3000 × 4000 pixels, quality 90."""
    made, draws = [], np.random.default_rng(0)
    for path in sorted((DATA / "celebrities").rglob("*.jpg")):
        with Image.open(path) as image:
            if min(image.size) < LEAST_PX and not is_quick():
                continue
            size = (4000, 3000) if image.width >= image.height else (3000, 4000)
            large = image.convert("RGB").resize(size, Image.Resampling.BICUBIC)
        if noise:
            values = np.asarray(large, dtype=np.float32) + draws.normal(0, noise, (*size[::-1], 3)).astype(np.float32)
            large = Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))
        buffer = io.BytesIO()
        large.save(buffer, "JPEG", quality=90)
        made.append(buffer.getvalue())
        if len(made) == count:
            break
    return made


def real_photos() -> list[bytes]:
    """Return the photos of 8 megapixels and more as they are."""
    found = []
    for path in sorted((DATA / "celebrities").rglob("*.jpg")):
        with Image.open(path) as image:
            if image.width * image.height >= 8e6:
                found.append(path.read_bytes())
    return found


def median_ms(work: Callable[[bytes], object], data: bytes, rounds: int) -> float:
    """Return the processor milliseconds of this thread."""
    times = []
    for _ in range(rounds):
        start = time.thread_time()
        work(data)
        times.append(time.thread_time() - start)
    return 1000 * statistics.median(times)


def measure(what: str, encoded: Sequence[bytes], rounds: int) -> None:
    """Record photos a second, and their time against decoding alone."""
    spec = load_backbone(pretrained=False).backbone.input
    least = 2 * side_px(spec)

    def decoded(data: bytes) -> None:
        with Image.open(io.BytesIO(data)) as image:
            image.draft(None, (least, least))
            image.load()

    decode_ms = [median_ms(decoded, data, rounds) for data in encoded]
    whole_ms = [median_ms(lambda item: prepare(item, spec), data, rounds) for data in encoded]
    size = f"{statistics.median(map(len, encoded)) / 1e6:.1f} MB in the middle, {len(encoded)} photos"
    rate = 1000 / statistics.mean(whole_ms)
    record("photos", f"{what}: prepared a second, one thread", round(rate, 1), reach="≥ 44", note=size)
    ratio = sum(whole_ms) / sum(decode_ms)
    note = f"{statistics.mean(whole_ms):.1f} ÷ {statistics.mean(decode_ms):.1f} ms; {profile(encoded, spec)}"
    record("photos", f"{what}: prepared ÷ decoded alone", round(ratio, 3), reach="≤ 1.15", note=note)


def profile(encoded: Sequence[bytes], spec) -> str:
    """Return where the time goes, in words: the four functions that take most."""
    watch = cProfile.Profile(time.thread_time)
    watch.enable()
    for data in encoded:
        prepare(data, spec)
    watch.disable()
    own = {key[2].strip("<>"): row[2] for key, row in pstats.Stats(watch).stats.items()}
    first = sorted(own.items(), key=lambda item: -item[1])[:4]
    return ", ".join(f"{name} {1000 * took / len(encoded):.1f} ms" for name, took in first)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two photos, nothing recorded")
    parser.parse_args()
    need("celebrities")
    count, rounds = (2, 1) if is_quick() else (NUM_PHOTOS, ROUNDS)
    measure("12 megapixels, scaled up", photos(count, noise=0), rounds)
    measure("12 megapixels, scaled up, with noise", photos(count, noise=NOISE), rounds)
    if real := real_photos()[:count]:
        measure("real photos of 8 to 13 megapixels", real, rounds)


if __name__ == "__main__":
    main()
