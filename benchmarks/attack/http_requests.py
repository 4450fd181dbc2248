"""What strangers send to `thawline serve`: `python benchmarks/attack/http_requests.py`, over loopback only.

Starts the service on a port of its own with a small model, and prints a line a figure. Exit code 1 where one of them
misses what docs/reliability.md promises. About two minutes; `--requests 1000 --seconds 5` for a quick look.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from files import tree_mb
from malformed import form, malformed, request
from PIL import Image

import thawline
from thawline.core.options import Options
from thawline.data.digits import write_digits

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "cases"))
import costly_pictures as costly

MAX_MB = 1000
QUICK_S = 2.0
"""An honest request during an attack is answered in this time."""

HEALTH = request(b"", method=b"GET", target=b"/health", kind=b"", length=b"", headers=(b"Connection: close",))
SAFE = [b"content-security-policy:", b"referrer-policy:", b"x-content-type-options:"]


class Service:
    """A running `thawline serve`."""

    def __init__(self, model: Path, folder: Path) -> None:
        self.log = folder / "log.txt"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "thawline", "serve", str(model), "--port", "0"],
            stderr=self.log.open("wb"),
            stdout=subprocess.DEVNULL,
        )
        self._whole = psutil.Process(self.process.pid)
        until = time.monotonic() + 60
        while not (match := re.search(rb"127\.0\.0\.1:(\d+)", self.log.read_bytes())):
            if self.process.poll() is not None or time.monotonic() > until:
                sys.exit(f"attack: the service did not start: {self.log.read_text()}")
            time.sleep(0.1)
        self.address = ("127.0.0.1", int(match.group(1)))
        self.peak_mb = 0.0
        self.is_watched = True
        threading.Thread(target=self._watch, daemon=True).start()

    def memory_mb(self) -> float:
        """Return the resident memory of the service and its workers in MB."""
        return tree_mb(self._whole)

    def _watch(self) -> None:
        while self.is_watched:
            self.peak_mb = max(self.peak_mb, self.memory_mb())
            time.sleep(0.02)

    def connect(self) -> socket.socket:
        """Return a new connection."""
        return socket.create_connection(self.address, timeout=30)

    def ask(self, data: bytes, *, wait_s: float = 30.0) -> bytes:
        """Return what the service answers to some bytes, until it closes or is silent for `wait_s` seconds."""
        with self.connect() as connection:
            connection.settimeout(wait_s)
            answer = b""
            with suppress(OSError):
                connection.sendall(data)
            with suppress(OSError):
                while piece := connection.recv(1 << 16):
                    answer += piece
            return answer

    def is_healthy(self) -> bool:
        """Whether the service answers its health check."""
        return self.ask(HEALTH).startswith(b"HTTP/1.1 200")


class Report:
    """Figures, and whether each is as it must be."""

    def __init__(self) -> None:
        self.num_missed = 0

    def line(self, name: str, value: object, *, is_right: bool) -> None:
        """Print one figure."""
        self.num_missed += not is_right
        print(f"{'ok  ' if is_right else 'MISS'}  {name}: {value}", flush=True)

    def health(self, name: str, service: Service) -> None:
        """Print whether the service answers its health check."""
        is_healthy = service.is_healthy()
        self.line(name, is_healthy, is_right=is_healthy)


def statuses(answer: bytes) -> list[tuple[int, bytes]]:
    """Return status and head of every reply on a connection."""
    heads = re.findall(rb"HTTP/1\.1 (\d{3})[^\r]*\r\n(.*?)\r\n\r\n", answer, re.DOTALL)
    return [(int(status), head.lower()) for status, head in heads if int(status) != 100]


def send_malformed(service: Service, report: Report, *, count: int, seed: int, picture: bytes) -> None:
    """Send malformed requests, a few connections at a time."""

    def one(data: bytes) -> list[tuple[int, bytes]]:
        return statuses(service.ask(data, wait_s=0.25))

    begin_s = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        replies = [reply for found in pool.map(one, malformed(seed, picture, count)) for reply in found]
    counts = Counter(status for status, _ in replies)
    bad = sum(n for status, n in counts.items() if status >= 500 and status != 503)
    bare = sum(status == 503 and b"retry-after:" not in head for status, head in replies)
    open_ = sum(not all(name in head for name in SAFE) for _, head in replies)
    moved = sum(300 <= status < 400 for status, _ in replies)
    took_s = time.monotonic() - begin_s
    print(f"      statuses of {count:,} malformed requests in {took_s:.0f} s: {dict(sorted(counts.items()))}")
    report.line("5xx but 503 with Retry-After", bad + bare, is_right=bad + bare == 0)
    report.line("replies without the safe headers", open_, is_right=open_ == 0)
    report.line("redirects", moved, is_right=moved == 0)
    report.health("healthy after", service)


async def _client(service: Service, data: bytes, until_s: float, found: Counter[int]) -> None:
    while time.monotonic() < until_s:
        with suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await asyncio.open_connection(*service.address)
            while time.monotonic() < until_s:
                writer.write(data)
                head = await reader.readuntil(b"\r\n\r\n")
                status = int(head[9:12])
                length = int(re.search(rb"content-length: (\d+)", head.lower())[1])  # type: ignore[index]
                await reader.readexactly(length)
                found[status if status != 503 or b"retry-after" in head.lower() else 599] += 1
                if status == 503:
                    await asyncio.sleep(0.5)
            writer.close()


async def _clients(service: Service, bodies: list[bytes], *, count: int, seconds: float) -> Counter[int]:
    found: Counter[int] = Counter()
    until_s = time.monotonic() + seconds
    await asyncio.gather(
        *(_client(service, request(form([bodies[i % len(bodies)]])), until_s, found) for i in range(count))
    )
    return found


def send_many(service: Service, report: Report, *, seconds: float, pictures: list[bytes]) -> None:
    """Let 200 clients send pictures, small, large and damaged, for some seconds."""
    found = asyncio.run(_clients(service, pictures, count=200, seconds=seconds))
    bad = sum(n for status, n in found.items() if status >= 500 and status != 503)
    report.line(
        f"200 clients for {seconds:.0f} s",
        f"{dict(sorted(found.items()))}, {found[200] / seconds:,.0f} answered a second",
        is_right=bad == 0 and found[200] > 0,
    )
    report.health("healthy after", service)


@contextmanager
def crowd(service: Service, count: int, first: bytes, more: Callable[[], bytes] | None = None) -> Any:
    """Hold `count` connections open that have sent `first`, and send `more` on each every two seconds."""
    connections = [service.connect() for _ in range(count)]
    is_on = threading.Event()

    def keep() -> None:
        while not is_on.wait(2.0):
            for connection in connections:
                with suppress(OSError):
                    connection.sendall(more() if more else b"")

    for connection in connections:
        connection.settimeout(0.5)
        with suppress(OSError):
            connection.sendall(first)
    threading.Thread(target=keep, daemon=True).start()
    try:
        yield connections
    finally:
        is_on.set()
        for connection in connections:
            connection.close()


def ask_meanwhile(service: Service, report: Report, name: str, *, picture: bytes, seconds: float) -> None:
    """Ask for health and a prediction while others hold connections, and print the slowest answer."""
    slowest, wrong, until_s = 0.0, Counter[int](), time.monotonic() + seconds
    while time.monotonic() < until_s:
        for data in (HEALTH, request(form([picture]), headers=(b"Connection: close",))):
            begin_s = time.monotonic()
            found = statuses(service.ask(data))
            slowest = max(slowest, time.monotonic() - begin_s)
            wrong[found[0][0] if found else 0] += not found or found[0][0] != 200
        time.sleep(0.3)
    num_wrong = sum(wrong.values())
    value = f"slowest honest answer {slowest:.2f} s, {num_wrong} not 200 {dict(+wrong) or ''}"
    report.line(name, value, is_right=num_wrong == 0 and slowest < QUICK_S)


def hold(service: Service, report: Report, *, picture: bytes) -> None:
    """Hold connections in every way that costs the client nothing."""
    half = request(b"half", length=b"Content-Length: 100000\r\n")
    slow = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "
    greedy = request(b"", method=b"GET", target=b"/openapi.json", kind=b"", length=b"") * 40
    ways = {
        "32 silent sockets": (32, b"", None),
        "400 silent sockets": (400, b"", None),
        "50 sockets at a byte of the header in 2 s": (50, slow, lambda: b"x"),
        "300 half-sent bodies": (300, half, None),
        "50 bodies at a byte in 2 s": (50, half, lambda: b"x"),
        "100 clients that do not read": (100, greedy, None),
    }
    for name, (count, first, more) in ways.items():
        with crowd(service, count, first, more) as connections:
            ask_meanwhile(service, report, name, picture=picture, seconds=4)
    with crowd(service, 40, slow, lambda: b"x") as connections:
        time.sleep(13)
        gone = 0
        for connection in connections:
            with suppress(TimeoutError):
                gone += connection.recv(1 << 16)[:12] in {b"", b"HTTP/1.1 408"}
    report.line("slow headers that were ended after 13 s", f"{gone} of 40", is_right=gone == 40)


def send_endless(service: Service, report: Report) -> None:
    """Send a body that is longer than it says."""
    head = request(b"", length=b"Content-Length: 10\r\n", headers=(b"Transfer-Encoding: chunked",))
    for name, start, wanted in (
        ("two lengths", head, 400),
        ("an unknown length", head.replace(b"Content-Length: 10\r\n", b""), 411),
    ):
        sent, chunk = 0, b"%x\r\n" % (1 << 20) + b"x" * (1 << 20) + b"\r\n"
        with service.connect() as connection:
            with suppress(OSError):
                connection.sendall(start)
                while sent < 187:
                    connection.sendall(chunk)
                    sent += 1
            answer = b""
            with suppress(OSError):
                answer = connection.recv(1 << 16)
        status = statuses(answer)[0][0] if statuses(answer) else 0
        report.line(
            f"187 MiB with {name}", f"status {status} after {sent} MiB were taken off", is_right=status == wanted
        )


def hang_up(service: Service, report: Report, *, slow: bytes, picture: bytes) -> None:
    """Hang up on requests with many costly pictures, and ask at once."""
    for _ in range(6):
        with service.connect() as connection:
            connection.sendall(request(form([slow] * 10)))
            time.sleep(0.1)
    begin_s = time.monotonic()
    found = statuses(service.ask(request(form([picture]), headers=(b"Connection: close",))))
    took_s = time.monotonic() - begin_s
    is_right = bool(found) and found[0][0] == 200 and took_s < 5
    report.line("an answer after six clients with 10 large pictures each hung up", f"{took_s:.1f} s", is_right=is_right)


def send_costly(service: Service, report: Report, *, picture: bytes) -> None:
    """Send pictures that cost much for their length, eight at a time, and look at what memory is left behind."""
    bodies = [
        costly.png(7000, 7000, bits=16, channels=3),
        costly.png(6000, 6000, bits=16, channels=4),
        costly.jpeg_of_scans(2000, 2000, 3000),
        costly.avif_that_lies(64, 64, claimed=(7000, 7000)),
        costly.run_length_bmp(7000, 7000, b"\x01\x00" * 10_000),
    ]
    service.peak_mb = 0.0
    asked = [request(form([body] * 2), headers=(b"Connection: close",)) for body in bodies * 3]
    begin_s = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        replies = [found[0][0] if (found := statuses(answer)) else 0 for answer in pool.map(service.ask, asked)]
    took_s, peak = time.monotonic() - begin_s, service.peak_mb
    time.sleep(1)
    counts = dict(sorted(Counter(replies).items()))
    is_right = set(replies) <= {200, 422, 503} and peak <= MAX_MB and service.memory_mb() <= MAX_MB / 2
    value = f"{counts} in {took_s:.1f} s, peak {peak:,.0f} MB, {service.memory_mb():,.0f} MB a second later"
    report.line("30 costly pictures, eight requests at a time", value, is_right=is_right)
    ask_meanwhile(service, report, "after them", picture=picture, seconds=1)


def stop(service: Service, report: Report, *, slow: bytes) -> None:
    """Tell the service to stop with a request in flight and a half-sent body."""
    half = service.connect()
    half.sendall(request(b"half", length=b"Content-Length: 100000\r\n"))
    answers: list[bytes] = []
    asking = threading.Thread(target=lambda: answers.append(service.ask(request(form([slow] * 4)))))
    asking.start()
    time.sleep(0.3)
    begin_s = time.monotonic()
    service.is_watched = False
    service.process.send_signal(signal.SIGTERM)
    try:
        code: object = service.process.wait(30)
    except subprocess.TimeoutExpired:
        service.process.kill()
        code = "none in 30 s"
    asking.join()
    status = statuses(answers[0])[0][0] if statuses(answers[0]) else 0
    value = f"exit code {code} after {time.monotonic() - begin_s:.1f} s, the request in flight got {status}"
    report.line("SIGTERM", value, is_right=code == 0 and status == 200)


def drawn(side: int, kind: str, seed: int, *, scale: int = 8, **words: Any) -> bytes:
    """Return an encoded picture of noise, each speck of it `scale` pixels wide."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 255, (side // scale, side // scale, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    small.resize((side, side), Image.Resampling.NEAREST if scale > 8 else Image.Resampling.BICUBIC).save(
        buffer, kind, **words
    )
    return buffer.getvalue()


def main() -> None:
    """Run every attack and print its figures."""
    parser = argparse.ArgumentParser(description="Attack `thawline serve` over loopback.")
    parser.add_argument("--model", type=Path, help="an exported model; by default one of scanned digits is made")
    parser.add_argument("--requests", type=int, default=10_000, help="malformed requests")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long 200 clients send pictures")
    parser.add_argument("--seed", type=int, default=11, help="of the malformed requests")
    arguments = parser.parse_args()
    report = Report()
    with tempfile.TemporaryDirectory(prefix="thawline-attack-") as place:
        folder = Path(place)
        model = arguments.model
        if model is None:
            photos = write_digits(folder / "digits")
            thawline.fit(photos, folder / "run", options=Options(size=64))
            model = thawline.export(folder / "run" / "model").path
        picture, damaged = drawn(128, "JPEG", 1), bytearray(drawn(256, "JPEG", 2))
        damaged[600:640] = random.Random(1).randbytes(40)
        large = drawn(3000, "JPEG", 3, quality=85)
        slow = drawn(6400, "PNG", 4, scale=100, compress_level=1)
        service = Service(model, folder)
        try:
            service.is_healthy()
            report.line("memory at the start", f"{service.memory_mb():,.0f} MB", is_right=True)
            send_malformed(service, report, count=arguments.requests, seed=arguments.seed, picture=picture)
            send_many(
                service, report, seconds=arguments.seconds, pictures=[picture, picture, picture, large, bytes(damaged)]
            )
            hold(service, report, picture=picture)
            send_endless(service, report)
            hang_up(service, report, slow=slow, picture=picture)
            peak = service.peak_mb
            send_costly(service, report, picture=picture)
            report.health("healthy at the end", service)
            time.sleep(2)
            after = service.memory_mb()
            peak = max(peak, service.peak_mb)
            report.line("peak memory of the service", f"{peak:,.0f} MB", is_right=peak <= MAX_MB)
            report.line("memory at the end", f"{after:,.0f} MB", is_right=after <= MAX_MB)
            stop(service, report, slow=slow)
        finally:
            service.process.kill()
        text = service.log.read_text(errors="replace")
        lines = text.splitlines()[1:]
        report.line("tracebacks in the log", text.count("Traceback"), is_right="Traceback" not in text)
        report.line("other lines in the log", len(lines), is_right=len(lines) < 10)
        print("\n".join(lines[-40:]), end="\n" if lines else "")
    print(json.dumps({"missed": report.num_missed}))
    sys.exit(1 if report.num_missed else 0)


if __name__ == "__main__":
    main()
