"""Pictures, arrays, leaderboards and evaluations <-> what JSON can hold: how the data of a report are stored."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from thawline.core.errors import StoreError
from thawline.core.scores import Score
from thawline.search.leaderboard import Curve, Gain, Leaderboard, Member, Trial
from thawline.search.strategy import Strategy
from thawline.use.evaluation import ClassScore, Evaluation, ReliabilityBin
from thawline.use.expectation import Expectation
from thawline.vet.advice import Advice
from thawline.vet.answer_table import AnswerTable

__all__ = [
    "advice_from",
    "answers_from",
    "array_from",
    "encode",
    "evaluation_from",
    "expectation_from",
    "leaderboard_from",
    "refusing_damage",
    "with_jpeg",
]

_ADVICE = TypeAdapter(Advice)


def encode(value: object) -> dict[str, Any]:
    """Return bytes and arrays in a form that JSON can hold."""
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode("ascii")}
    if isinstance(value, np.ndarray):
        plain = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<"))
        packed = base64.b64encode(zlib.compress(plain.tobytes(), 6)).decode("ascii")
        return {"array": packed, "dtype": plain.dtype.str, "shape": list(plain.shape)}
    if isinstance(value, np.generic):
        return value.item()  # type: ignore[no-any-return]
    raise TypeError(f"a report cannot hold {type(value).__name__}: {value!r}")


def with_jpeg(raw: dict[str, Any]) -> dict[str, Any]:
    """Return fields of a picture, its encoded bytes as they were before `encode`."""
    return raw | {"jpeg": base64.b64decode(raw["jpeg"]["base64"], validate=True)}


def array_from(raw: dict[str, Any]) -> Any:
    """Return an array as it was before `encode`."""
    flat = np.frombuffer(zlib.decompress(base64.b64decode(raw["array"], validate=True)), dtype=raw["dtype"])
    return flat.reshape(raw["shape"])


def leaderboard_from(raw: dict[str, Any]) -> Leaderboard:
    """Return the leaderboard whose fields, as JSON gives them back, are `raw`."""
    gain = raw.get("gain") and Gain(**raw["gain"])
    return Leaderboard(**raw | {"trials": tuple(_trial_from(trial) for trial in raw["trials"]), "gain": gain})


def _trial_from(raw: dict[str, Any]) -> Trial:
    strategy, members = _strategy_from(raw["strategy"]), tuple(Member(**member) for member in raw.get("members", ()))
    curve = raw["curve"] and Curve(**{name: tuple(values) for name, values in raw["curve"].items()})
    typed = {"strategy": strategy, "curve": curve, "fold_scores": tuple(raw["fold_scores"]), "members": members}
    return Trial(**raw | typed)


def _strategy_from(raw: dict[str, Any]) -> Strategy:
    typed: dict[str, Any] = {name: tuple(raw[name]) for name in ("depths", "pooling")}
    typed["reads"] = tuple((cut, pooling) for cut, pooling in raw.get("reads", ()))
    typed["passes"] = tuple(raw.get("passes", ()))
    typed["members"] = tuple(_strategy_from(member) for member in raw.get("members", ()))
    return Strategy(**raw | typed)


def evaluation_from(raw: dict[str, Any]) -> Evaluation:
    """Return the evaluation whose fields, as JSON gives them back, are `raw`."""
    typed: dict[str, Any] = {"scores": {name: Score(**score) for name, score in raw["scores"].items()}}
    typed |= {name: tuple(raw[name]) for name in ("class_names", "paths")}
    typed |= {name: array_from(raw[name]) for name in ("confusion", "labels", "probabilities", "leaked")}
    typed["per_class"] = tuple(ClassScore(**row) for row in raw["per_class"])
    typed["reliability"] = tuple(ReliabilityBin(**one) for one in raw.get("reliability", ()))
    return Evaluation(**raw | typed)


def expectation_from(raw: dict[str, Any]) -> Expectation:
    """Return the expectation whose fields, as JSON gives them back, are `raw`."""
    return Expectation(**raw | {name: Score(**raw[name]) for name in ("score", "test", "choosing")})


def advice_from(raw: dict[str, Any]) -> Advice:
    """Return the advice whose fields, as JSON gives them back, are `raw`: checked, since all of it is plain data."""
    return _ADVICE.validate_python(raw)


def answers_from(raw: dict[str, Any]) -> AnswerTable:
    """Return the table of answers whose fields, as JSON gives them back, are `raw`."""
    arrays = {name: array_from(value) for name, value in raw.items() if name != "paths"}
    return AnswerTable(tuple(raw["paths"]), **arrays)


@contextmanager
def refusing_damage() -> Iterator[None]:
    """Turn whatever goes wrong in reading a report's data into a `StoreError`."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, zlib.error) as error:
        raise StoreError(
            f"report: the stored data of the report cannot be read ({type(error).__name__}: {error}). "
            "Run `thawline fit` again, or what else made the run, with the same options; nothing is extracted twice."
        ) from error
