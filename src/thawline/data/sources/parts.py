"""The name of a folder, file, split or cell -> the part of the data that it stands for.

The one idea: one table of words serves folders, archives, shards, tables and hubs. A name is taken apart into words;
what is left of it must say nothing (`train_images`, `val2017`), or must be the same in a sibling of
another part (`seg_train` next to `seg_test`).
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal

from thawline.data.dataset import Role

__all__ = ["file_roles", "is_unlabelled", "name_role", "name_roles", "says_nothing"]

_Kind = Literal["train", "validation", "evaluation", "test", "unlabelled"]

_WORDS: dict[_Kind, str] = {
    "train": "train training trn trainval entrenamiento entrainement 训练 训练集",
    "validation": """
        val vali valid validation validate validating dev devel development validierung validacion 验证 验证集
        """,
    "evaluation": "eval evaluation evaluate evaluating",
    "test": "test testing tests tst holdout heldout prueba pruebas 测试 测试集",
    "unlabelled": """
        pred preds predict predicts prediction predictions predicting inference infer unlabelled unlabeled unlabel
        nolabel nolabels unsup unsupervised submission
        """,
}
_FILLERS = frozenset(
    """
    set sets data dataset datasets image images img imgs picture pictures pic pics photo photos split splits part
    folder folders dir file files sample samples shard shards batch of for to the my x final full raw new public private
    """.split()  # noqa: SIM905 -- a list of words is easier to read and to extend without quotes
)

_KINDS = {word: kind for kind, words in _WORDS.items() for word in words.split()}
_FILLER = "|".join(sorted(_FILLERS, key=lambda word: (-len(word), word)))
_JOINED = re.compile(f"(?:{_FILLER})?({'|'.join(sorted(_KINDS, key=lambda word: (-len(word), word)))})(?:{_FILLER})?")


def name_role(name: str) -> Role | None:
    """Return the part of the data that a name stands for by itself, whatever its case; else None.

    `eval` and its like are `validation` here: with a test next to it that is right, and a single held-out part is the
    test anyway (`settle_roles`). Where there are siblings, `name_roles` knows more.

    >>> name_role("Training_Set"), name_role("val2017"), name_role("images-test"), name_role("steam train")
    ('train', 'validation', 'test', None)
    """
    kinds, rest = _take_apart(name)
    return _role(kinds) if not rest else None


def name_roles(names: Iterable[str]) -> dict[str, Role | None]:
    """Return the part of the data that each of several sibling names stands for, or None.

    Beyond `name_role`, a name may have words of its own where a sibling of another part has the same (`seg_train` and
    `seg_test`, `birds-train-000` and `birds-val-000`), and `eval` is the test where there is none but a validation.

    >>> name_roles(["seg_train", "seg_test", "seg_pred"])
    {'seg_train': 'train', 'seg_test': 'test', 'seg_pred': None}
    >>> name_roles(["train", "dev", "eval"])
    {'train': 'train', 'dev': 'validation', 'eval': 'test'}
    >>> name_roles(["steam train", "car"])
    {'steam train': None, 'car': None}
    """
    taken = {name: _take_apart(name) for name in names}
    siblings: dict[tuple[str, ...], set[_Kind]] = defaultdict(set)
    for kinds, rest in taken.values():
        siblings[rest] |= kinds
    roles = {
        name: _role(kinds) if not rest or (len(siblings[rest]) > 1 and "train" in siblings[rest]) else None
        for name, (kinds, rest) in taken.items()
    }
    evaluating = [name for name, (kinds, _) in taken.items() if "evaluation" in kinds and roles[name]]
    others = {role for name, role in roles.items() if name not in evaluating}
    if "validation" in others and "test" not in others:
        roles.update(dict.fromkeys(evaluating, "test"))
    return roles


def file_roles(names: Iterable[str]) -> dict[str, Role | None]:
    """Return the part of the data that each of several files (shards, tables) stands for, or None.

    As `name_roles` without what the names end in; a word of a part at the very beginning is enough.

    >>> file_roles(["train-cats-0.tar", "birds_test.parquet", "labels.csv"])
    {'train-cats-0.tar': 'train', 'birds_test.parquet': None, 'labels.csv': None}
    """
    stems = {name: name.partition(".")[0] for name in names}
    roles = name_roles(stems.values())
    return {name: roles[stem] or name_role(re.split(r"[-_]", stem)[0]) for name, stem in stems.items()}


def is_unlabelled(name: str) -> bool:
    """Return whether a folder's name says that its pictures wait for a prediction: `images to predict`, `unlabeled`.

    >>> is_unlabelled("images to predict"), is_unlabelled("seg_pred"), is_unlabelled("test")
    (True, True, False)
    """
    return "unlabelled" in _take_apart(name)[0]


def says_nothing(name: str) -> bool:
    """Return whether a folder's name says of its pictures at most which part they are: `images`, `test data`.

    >>> says_nothing("images"), says_nothing("test_set"), says_nothing("cat images"), says_nothing("7")
    (True, True, False, False)
    """
    return not _take_apart(name)[1] and any(letter.isalpha() for letter in name)


def _role(kinds: frozenset[_Kind]) -> Role | None:
    """Return the part that the words of one name mean together: `train_val` is for training, `test-dev` a test."""
    if kinds <= {"train", "validation"} and "train" in kinds:
        return "train"
    if kinds <= {"test", "validation", "evaluation"} and kinds:
        return "test" if "test" in kinds else "validation"
    return None


@lru_cache(maxsize=4096)
def _take_apart(name: str) -> tuple[frozenset[_Kind], tuple[str, ...]]:
    """Return the kinds of part that a name's words mean, and its other words; numbers and fillers are dropped."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", plain).casefold()
    spaced = re.sub(r"\b(held|hold)[ _-]out\b", "holdout", spaced)
    kinds: set[_Kind] = set()
    rest: list[str] = []
    for word in re.findall(r"[^\W\d_]+", spaced):
        joined = _JOINED.fullmatch(word)
        if joined:
            kinds.add(_KINDS[joined[1]])
        elif word not in _FILLERS:
            rest.append(word)
    return frozenset(kinds), tuple(rest)
