"""The service under load: `python benchmarks/service.py`, over loopback; `--rounds 2 --seconds 4` for a look.

Records a line a figure, and ends with code 1 where one misses. Throughput is compared with decoding and a bare
onnxruntime in one process without HTTP, several times in turn; the load comes from this process, over a few connections
that stay open. Needs the real pictures (THAWLINE_DATA, or ../shared/data next to the project) and a model: a run of
them is made where `--model` names none.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path

import psutil

from pictures import DATA, fewer, fitted, need
from record import record
from thawline.use.model_place import find_model
from thawline.use.onnx_model import OnnxModel, open_onnx
from thawline.use.service.ready_export import servable

CONNECTIONS = 16
CLIENTS, IN_FLIGHT = fewer(1000, 60), fewer(50, 6)
MIN_RATIO, MAX_SPREAD, MAX_MB, HEALTHY_S = 0.8, 4.0, 1500.0, 5.0

BARE = """
import sys
sys.path.insert(0, {folder!r})
from service import bare_per_s
from pathlib import Path
print(bare_per_s(Path({model!r}), Path({pictures!r}), {seconds}))
"""


class Service:
    """A running `thawline serve`."""

    def __init__(self, model: Path, log: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "thawline", "serve", str(model), "--port", "0"],
            stderr=log.open("wb"),
            stdout=subprocess.DEVNULL,
        )
        while not (match := re.search(rb"127\.0\.0\.1:(\d+)", log.read_bytes())):
            if self.process.poll() is not None:
                sys.exit(f"service: it did not start: {log.read_text()}")
            time.sleep(0.1)
        self.port = int(match.group(1))
        self.peak_mb = 0.0

    def memory_mb(self) -> float:
        """Return the resident memory of the service and its workers in MB, and keep the most."""
        whole = psutil.Process(self.process.pid)
        found = 0.0
        for process in [whole, *whole.children(recursive=True)]:
            with suppress(psutil.Error):
                found += process.memory_info().rss / 1e6
        self.peak_mb = max(self.peak_mb, found)
        return found


class Report:
    """Figures, and whether each is as it must be."""

    def __init__(self) -> None:
        self.num_missed = 0

    def line(self, name: str, value: str, *, reach: str, is_right: bool) -> None:
        """Record one figure."""
        self.num_missed += not is_right
        record("service", name, value, reach=reach, holds=is_right)


class Client:
    """A connection that stays open, and as little work on this side as possible."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.writer: asyncio.StreamWriter | None = None

    async def ask(self, data: bytes) -> tuple[int, float]:
        """Send a request; return the reply's status and the seconds after which to come back, 0 where none are said."""
        if self.writer is None or self.reader.at_eof():  # the service ends what is idle for some seconds
            self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)
        self.writer.write(data)
        head = (await self.reader.readuntil(b"\r\n\r\n")).lower()
        await self.reader.readexactly(int(re.search(rb"content-length: (\d+)", head)[1]))  # type: ignore[index]
        later = re.search(rb"retry-after: (\d+)", head)
        if b"connection: close" in head:
            self.close()
        return int(head[9:12]), float(later[1]) if later else 0.0

    def close(self) -> None:
        """Hang up."""
        if self.writer is not None:
            self.writer.close()
            self.writer = None


def requests_of(folder: Path, count: int) -> list[bytes]:
    """Return requests with a picture each, as clients send them: half as forms, half as they are."""
    found = []
    for number, path in enumerate(sorted(folder.rglob("*.jpg"))[:count]):
        data, kind = path.read_bytes(), b"image/jpeg"
        if number % 2:
            part = b'--edge\r\nContent-Disposition: form-data; name="pictures"; filename="a.jpg"\r\n\r\n'
            data, kind = part + data + b"\r\n--edge--\r\n", b"multipart/form-data; boundary=edge"
        head = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
        found.append(head % (kind, len(data)) + data)
    return found


def bare_per_s(model: Path, folder: Path, seconds: float) -> float:
    """Return the pictures a second that decoding and onnxruntime answer in one process, a thread a processor."""
    session: OnnxModel = open_onnx(model, num_threads=1)
    pictures = [path.read_bytes() for path in sorted(folder.rglob("*.jpg"))[:200]]
    size = session.batch_size

    def work(batch: list[bytes]) -> int:
        return len(session.answers_to([session.prepare(data)[0] for data in batch]).probabilities)

    endless = itertools.cycle(pictures)
    until_s = time.perf_counter() + 1.0
    batches = iter(lambda: [next(endless) for _ in range(size)], None)
    warm = itertools.takewhile(lambda _: time.perf_counter() < until_s, batches)
    for _ in session.in_streams(work, warm):
        pass
    begin_s = time.perf_counter()
    timed = itertools.takewhile(lambda _: time.perf_counter() < begin_s + seconds, batches)
    count = sum(session.in_streams(work, timed))
    return count / (time.perf_counter() - begin_s)


async def saturate(port: int, requests: list[bytes], seconds: float) -> float:
    """Return the pictures a second that a few connections get answered, each of which asks again at once."""
    clients = [Client(port) for _ in range(CONNECTIONS)]
    endless, counts = itertools.cycle(requests), Counter[int]()

    async def one(client: Client, until_s: float) -> None:
        while time.perf_counter() < until_s:
            counts[(await client.ask(next(endless)))[0]] += 1

    await asyncio.gather(*(one(client, time.perf_counter() + 1.0) for client in clients))
    counts.clear()
    begin_s = time.perf_counter()
    await asyncio.gather(*(one(client, begin_s + seconds) for client in clients))
    took_s = time.perf_counter() - begin_s
    for client in clients:
        client.close()
    if set(counts) != {200}:
        sys.exit(f"service: not all were answered: {counts}")
    return counts[200] / took_s


async def at_rate(port: int, requests: list[bytes], per_s: float, seconds: float) -> list[float]:
    """Return the seconds that answers take where requests come at random times, so many a second in the mean."""
    rng, idle, taken = random.Random(1), [Client(port) for _ in range(64)], list[float]()
    endless, asking = itertools.cycle(requests), list[Awaitable[None]]()

    async def one(data: bytes, due_s: float) -> None:
        client = idle.pop() if idle else Client(port)
        status, _ = await client.ask(data)
        if status == 200:
            taken.append(time.perf_counter() - due_s)
        idle.append(client)

    begin_s = due_s = time.perf_counter()
    while due_s < begin_s + seconds:
        due_s += rng.expovariate(per_s)
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
        asking.append(asyncio.ensure_future(one(next(endless), due_s)))
    await asyncio.gather(*asking)
    for client in idle:
        client.close()
    return sorted(taken)


async def crowd(service: Service, requests: list[bytes], seconds: float) -> Counter[str]:
    """Return what 1,000 clients get, each of which asks again when it is told to."""
    found: Counter[str] = Counter()
    until_s = time.perf_counter() + seconds

    async def one(data: bytes) -> None:
        client = Client(service.port)
        while time.perf_counter() < until_s:
            try:
                status, later_s = await client.ask(data)
            except (OSError, asyncio.IncompleteReadError) as error:
                found[type(error).__name__] += 1
                client.close()
                continue
            found["503 without Retry-After" if status == 503 and not later_s else str(status)] += 1
            await asyncio.sleep(later_s)
        client.close()

    async def watch() -> None:
        while time.perf_counter() < until_s:
            service.memory_mb()
            await asyncio.sleep(0.1)

    await asyncio.gather(watch(), *(one(requests[number % len(requests)]) for number in range(CLIENTS)))
    return found


async def seconds_to_healthy(port: int) -> float:
    """Return how long the service's health check takes."""
    begin_s = time.perf_counter()
    status, _ = await Client(port).ask(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    return time.perf_counter() - begin_s if status == 200 else 1e9


async def stop_in_flight(service: Service, requests: list[bytes]) -> Counter[int]:
    """Return the statuses that 50 requests get which are in flight when the service is told to stop."""
    sent: list[asyncio.StreamWriter] = []

    async def one(data: bytes) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
        writer.write(data)
        await writer.drain()
        sent.append(writer)
        head = await reader.read(1 << 16)
        writer.close()
        return int(head[9:12] or 0)

    asking = [asyncio.ensure_future(one(requests[number % len(requests)])) for number in range(IN_FLIGHT)]
    while len(sent) < IN_FLIGHT:
        await asyncio.sleep(0)
    service.process.send_signal(signal.SIGTERM)
    return Counter(await asyncio.gather(*asking))


def measure_throughput(
    service: Service, model: Path, folder: Path, *, rounds: int, seconds: float, report: Report
) -> float:
    """Compare the service with a bare onnxruntime, in turn; return its pictures a second."""
    requests = requests_of(folder, 200)
    facts = {"folder": str(Path(__file__).parent), "model": str(model), "pictures": str(folder), "seconds": seconds}
    bare, served = [], []
    for _ in range(rounds):
        call = [sys.executable, "-c", BARE.format(**facts)]
        bare.append(float(subprocess.run(call, capture_output=True, text=True, check=True).stdout))
        served.append(asyncio.run(saturate(service.port, requests, seconds)))
        print(f"      bare {bare[-1]:.1f} a second, served {served[-1]:.1f}: {served[-1] / bare[-1]:.2f}", flush=True)
    ratio = statistics.median(mine / floor for mine, floor in zip(served, bare, strict=True))
    value = f"{ratio:.2f} ({statistics.median(served):.1f} and {statistics.median(bare):.1f} pictures a second)"
    report.line(
        "throughput at saturation ÷ bare onnxruntime with the same decoding",
        value,
        reach=f"≥ {MIN_RATIO}",
        is_right=ratio >= MIN_RATIO,
    )
    return statistics.median(served)


def measure_all(model: Path, folder: Path, *, place: Path, rounds: int, seconds: float) -> int:
    """Print all figures; return how many miss."""
    report, log = Report(), place / "log.txt"
    service = Service(model, log)
    try:
        per_s = measure_throughput(service, model, folder, rounds=rounds, seconds=seconds, report=report)
        requests, spreads = requests_of(folder, 200), []
        for _ in range(rounds):
            taken = asyncio.run(at_rate(service.port, requests, per_s / 2, 2 * seconds))
            p50, p99 = taken[len(taken) // 2], taken[int(0.99 * len(taken))]
            spreads.append(p99 / p50)
            print(f"      p50 {1000 * p50:.0f} ms, p99 {1000 * p99:.0f} ms of {len(taken)}", flush=True)
        spread = statistics.median(spreads)
        report.line("p99 ÷ p50 at half load", f"{spread:.1f}", reach=f"≤ {MAX_SPREAD:g}", is_right=spread <= MAX_SPREAD)
        found = asyncio.run(crowd(service, requests, 2 * seconds))
        healthy_s = asyncio.run(seconds_to_healthy(service.port))
        is_right = set(found) <= {"200", "503"} and found["200"] > 0
        report.line(
            f"{CLIENTS:,} clients", str(dict(sorted(found.items()))), reach="200 and 503 alone", is_right=is_right
        )
        report.line(
            "peak memory", f"{service.peak_mb:,.0f} MB", reach=f"≤ {MAX_MB:,.0f} MB", is_right=service.peak_mb <= MAX_MB
        )
        report.line(
            "healthy again after", f"{healthy_s:.2f} s", reach=f"≤ {HEALTHY_S:g} s", is_right=healthy_s <= HEALTHY_S
        )
        statuses = asyncio.run(stop_in_flight(service, requests))
        code = service.process.wait(60)
        is_right = statuses == {200: IN_FLIGHT} and code == 0
        report.line(
            f"SIGTERM with {IN_FLIGHT} in flight",
            f"{dict(statuses)}, exit code {code}",
            reach="all, 0",
            is_right=is_right,
        )
    finally:
        service.process.kill()
    text = log.read_text(errors="replace")
    report.line("tracebacks in the log", str(text.count("Traceback")), reach="0", is_right="Traceback" not in text)
    print("\n".join(text.splitlines()[1:][-20:]))
    return report.num_missed


def main() -> None:
    """Measure a model, or one that is made of the real pictures."""
    parser = argparse.ArgumentParser(description="Measure `thawline serve` over loopback.")
    parser.add_argument("--model", type=Path, help="a run or an exported model; by default a run of monkeys is made")
    parser.add_argument("--rounds", type=int, default=fewer(5, 1), help="of the comparison, in turn")
    parser.add_argument("--seconds", type=float, default=float(fewer(10, 1)), help="of every measurement")
    parser.add_argument("--quick", action="store_true", help="drawn pictures, a second each: whether it runs")
    arguments = parser.parse_args()
    need("monkeys")
    with tempfile.TemporaryDirectory(prefix="thawline-service-") as place:
        named = arguments.model or fitted(Path(place) / "run", part="training")
        with servable(find_model(named).named, note=print) as found:
            assert found.onnx is not None
            num_missed = measure_all(
                found.onnx,
                DATA / "monkeys" / "validation",
                place=Path(place),
                rounds=arguments.rounds,
                seconds=arguments.seconds,
            )
    print(json.dumps({"missed": num_missed}))
    sys.exit(1 if num_missed and not arguments.quick else 0)


if __name__ == "__main__":
    main()
