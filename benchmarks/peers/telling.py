"""Answers to the test pictures -> a line for whoever measures; what answering takes is taken off the clock."""

import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

STARTED_S = float(os.environ.get("PEERS_STARTED") or time.time())
_answering_s = [0.0]


@contextmanager
def answering() -> Iterator[None]:
    """Take what happens within off the clock: a person would not test after every epoch."""
    start = time.time()
    yield
    _answering_s[0] += time.time() - start


def tell(answers: Iterable[tuple[object, str]]) -> None:
    """Write (path of a test picture, class that it was taken for) of all of them, and the seconds so far."""
    seconds = time.time() - STARTED_S - _answering_s[0]
    right = {Path(str(path)).name: int(Path(str(path)).parent.name == name) for path, name in answers}
    line = json.dumps({"seconds": round(seconds, 2), "right": right})
    with Path(os.environ.get("PEERS_ANSWERS") or "answers.jsonl").open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    print(f"{seconds:7.1f} s: {sum(right.values())} of {len(right)} right", flush=True)
