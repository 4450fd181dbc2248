"""A TOML text -> a checked `Recipe`: what a run is asked for, in the very words of the command line.

One idea: a recipe is data. The same file serves `thawline recipe run`, which remakes a comparison that somebody made
once, and `--config` of `fit` and `tune`. Nothing in it is executed.

photos = "monkeys"
plans = ["simple_cnn from nothing", "last 20 %"]
size = 224
epochs = 12
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from thawline.core.errors import UsageError
from thawline.core.options import Options
from thawline.core.spelling import did_you_mean
from thawline.core.toml import checked, parse_table, read_text, refuse_unknown
from thawline.data.sources.places import Place
from thawline.train.hyperparameters import TrainOptions
from thawline.train.plan import Plan, parse_plan
from thawline.work.order import Expectations, Expected, Goal, Order, Protocol, Row, overridden

__all__ = [
    "Recipe",
    "load_recipe",
    "order_of",
    "parse_recipe",
    "read_config",
    "recipe_names",
    "recipe_text",
    "rows_of_plans",
]

Entry = TypeVar("Entry")

SAME_SCORES = frozenset(
    {"backbone", "class_names", "one_against_rest", "limit", "cache_dir", "device", "engine", "on_bad"}
    | {"path_column", "label_column", "picture_folder", "corrections", "refit", "error_rate", "false_alarms"}
)
"""Options that may differ from the recipe's where its stated scores are compared: the key of the pictures and labels
tells whether they changed anything, or they change no score."""

OWN_KEYS = ("title", "story", "photos", "protocol", "deliver", "outside", "plans", "goal", "imagenet")
TABLES = ("options", "training", "rows", "expected", "data")


@dataclass(frozen=True)
class Recipe:
    """What a TOML text asks for, every key and value of it checked.

    Attributes:
        name: Short name.
        rows: The rows of its comparison, in the author's order.
        options: Options of the run that it gives, by name.
        training: Options of all training runs that it gives, by name.
        protocol: As in `Order`, or None where it does not say.
        deliver: As in `Order`.
        photos: Where the pictures come from when the person names none, or None.
        expectations: What is known beforehand.
        text: The TOML itself.
        where: What errors call it.
    """

    name: str = ""
    rows: tuple[Row, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    protocol: Protocol | None = None
    deliver: str | None = None
    photos: Place | None = None
    expectations: Expectations = field(default_factory=Expectations)
    text: str = field(default="", repr=False)
    where: str = "order"

    @property
    def title(self) -> str:
        """One line."""
        return self.expectations.title

    @property
    def minutes(self) -> float | None:
        """Minutes that it took on two cores where it was measured, or None."""
        return self.expectations.expected[0].minutes if self.expectations.expected else None

    def parted(self, changes: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return changes by name as (options of the run, options of training runs).

        Raises:
            UsageError: A name that neither has, with the nearest that is one.
        """
        names = [item.name for item in fields(TrainOptions)]
        refuse_unknown(changes, [*(item.name for item in fields(Options)), *names], where=self.where)
        training = {name: value for name, value in changes.items() if name in names}
        return {name: value for name, value in changes.items() if name not in names}, training

    def order(
        self,
        photos: Place | Path | str | None = None,
        *,
        rows: Sequence[Row] = (),
        protocol: Protocol | None = None,
        options: Mapping[str, Any] | None = None,
        training: Mapping[str, Any] | None = None,
        budget_s: float | None = None,
        goal: float | None = None,
        outside: Path | None = None,
        command: str = "",
    ) -> Order:
        """Return the order that the recipe makes with what was given next to it; what was given goes first.

        Args:
            photos: The pictures, instead of the recipe's.
            rows: Rows, instead of the recipe's.
            protocol: Instead of the recipe's; where neither says, `choose`.
            options: Options of the run by name; only those that were given, be they equal to a default or not.
            training: Options of training runs by name, the same; they go before those of single rows, too.
            budget_s: As in `Order`.
            goal: Accuracy to exceed, instead of the recipe's.
            outside: As in `Order`.
            command: As in `Order`.

        Raises:
            UsageError: No pictures are named, or something that cannot be; the key is named.
        """
        options, training = options or {}, training or {}
        place = self.photos if photos is None else Place.of(photos)
        if place is None:
            named = "--data PHOTOS" if self.name else "thawline tune PHOTOS"
            raise UsageError(f"{self.where}: no pictures are named. Name yours: {named}.")
        protocol = protocol or self.protocol or "choose"
        own = self._options({}, protocol)
        wanted = self._options(options, protocol)
        changed = {name for name, value in asdict(wanted).items() if value != asdict(own)[name]} - SAME_SCORES
        expectations = asdict(self.expectations) | {"is_changed": bool(changed or training or rows)}
        if goal is not None:
            expectations["goal"] = {"accuracy": goal}
        if expectations["is_changed"]:
            expectations["expected"] = ()
        facts = {
            "photos": place,
            "rows": tuple(rows) or self.rows,
            "protocol": protocol,
            "options": wanted,
            "training": checked(TrainOptions, overridden(self.training, training), where=f"{self.where}, [training]"),
            "overrides": dict(training),
            "budget_s": budget_s,
            "deliver": None if rows else self.deliver,
            "expectations": expectations,
            "outside": outside,
            "command": command,
        }
        return checked(Order, facts, where=self.where)

    def _options(self, given: Mapping[str, Any], protocol: Protocol) -> Options:
        """Return the run's options: the recipe's and what was given over them.

        Rows are compared by accuracy, and folds that answer every row are drawn once unless somebody says otherwise:
        each repeat trains all rows again.
        """
        usual: dict[str, Any] = {} if protocol == "choose" else {"metric": "accuracy"}
        if protocol == "folds":
            usual["repeats"] = 1
        return checked(Options, usual | dict(self.options) | dict(given), where=f"{self.where}, [options]")


def rows_of_plans(plans: Sequence[str | Plan]) -> tuple[Row, ...]:
    """Return a row for every plan, in words or parsed, each once and in their order.

    Raises:
        UsageError: One of them is no plan.
    """
    spellings = [
        f"{plan.network} {plan.name}" if plan.network else plan.name
        for plan in dict.fromkeys(parse_plan(plan) if isinstance(plan, str) else plan for plan in plans)
    ]
    return tuple(Row(name=spelling, plan=spelling) for spelling in spellings)


def recipe_names() -> tuple[str, ...]:
    """Return the names of the recipes that come with Thawline, sorted."""
    folder = resources.files("thawline") / "work"
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")))


def recipe_text(name: str) -> str:
    """Return a recipe's TOML: one that comes with Thawline by its name, any other by its file.

    Raises:
        UsageError: There is none of that name, with the nearest that is; or the file cannot be read.
    """
    names = recipe_names()
    if name in names:
        return (resources.files("thawline") / "work" / f"{name}.toml").read_text(encoding="utf-8")
    if not name.endswith(".toml"):
        hint = did_you_mean(name, names, otherwise=f"There is {', '.join(names)}, or a file: my-own.toml.")
        raise UsageError(f"recipe {name!r}: there is no such recipe. {hint}")
    return read_text(Path(name), "recipe")


def load_recipe(name: str) -> Recipe:
    """Return a recipe, every key and value of it checked.

    Args:
        name: Of a recipe that comes with Thawline, or the path of a TOML file.

    Raises:
        UsageError: There is no such recipe, or it says what cannot be; the key is named, with the nearest right one.
    """
    return parse_recipe(recipe_text(name), Path(name).stem)


def read_config(path: Path) -> Recipe:
    """Return what the TOML file of `--config` asks for; places in it are relative to its folder.

    Raises:
        UsageError: As in `load_recipe`.
    """
    return parse_recipe(read_text(path, "config"), "", where=f"config {path}", folder=path.parent)


def parse_recipe(text: str, name: str, *, where: str = "", folder: Path | None = None) -> Recipe:
    """Return the recipe that a TOML text holds.

    Options stand in `[options]` and `[training]`, or next to the other keys by their own names. `plans` is a short form
    of `[[rows]]`, `data` another name of `photos`.

    Args:
        text: The text.
        name: What to call it.
        where: What errors call it; by default `recipe NAME`.
        folder: Where the places in it start, or None for the present folder.

    Raises:
        UsageError: As in `load_recipe`.
    """
    where = where or f"recipe {name}"
    table = parse_table(text, where)
    kinds = {kind: [item.name for item in fields(kind)] for kind in (Options, TrainOptions)}
    refuse_unknown(table, [*OWN_KEYS, *TABLES, *kinds[Options], *kinds[TrainOptions]], where=where)
    options, training = (
        _own_options(table, section, kinds[kind], where)
        for section, kind in (("options", Options), ("training", TrainOptions))
    )
    plans, rows = table.get("plans", []), _entries(table, "rows", Row, where)
    if not isinstance(plans, list) or not all(isinstance(plan, str) for plan in plans):
        raise UsageError(f'{where}: plans must be a list of texts, e.g. plans = ["last 20 %"].')
    if plans and rows:
        raise UsageError(f"{where}: plans and [[rows]] both say what is compared. Keep one of them.")
    photos = table.get("photos", table.get("data"))
    if not (photos is None or isinstance(photos, str)):
        raise UsageError(f"{where}: photos must be a text: a folder, or hf:OWNER/NAME.")
    goal = table.get("goal")
    goal = {"accuracy": goal} if isinstance(goal, int | float) else goal
    facts = {
        "name": name,
        "title": table.get("title", ""),
        "story": table.get("story", ""),
        "goal": checked(Goal, goal, where=f"{where}, [goal]") if isinstance(goal, dict) else goal,
        "expected": _entries(table, "expected", Expected, where),
        "imagenet": table.get("imagenet", {}),
        "outside_words": table.get("outside", ""),
    }
    recipe = Recipe(
        name=name,
        rows=rows or rows_of_plans(plans),
        options=options,
        training=training,
        protocol=table.get("protocol"),
        deliver=table.get("deliver"),
        photos=None if photos is None else Place.of(photos).beside(folder) if folder else Place.of(photos),
        expectations=checked(Expectations, facts, where=where),
        text=text,
        where=where,
    )
    recipe.order(recipe.photos or ".")  # whatever cannot be is refused here
    return recipe


def _own_options(table: Mapping[str, Any], section: str, names: Sequence[str], where: str) -> dict[str, Any]:
    """Return the options that a text gives, in their section or next to the other keys."""
    own = table.get(section, {})
    if not isinstance(own, dict):
        raise UsageError(f"{where}: {section} must be a table, begun by [{section}].")
    refuse_unknown(own, names, where=f"{where}, [{section}]")
    flat = {name: table[name] for name in names if name in table}
    if twice := sorted(flat.keys() & own.keys()):
        raise UsageError(f"{where}: {twice[0]} stands twice, by itself and in [{section}]. Keep one of them.")
    return own | flat


def _entries(table: Mapping[str, Any], key: str, kind: type[Entry], where: str) -> tuple[Entry, ...]:
    """Return the tables under `[[key]]`, each checked."""
    entries = table.get(key, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UsageError(f"{where}: {key} must be tables, each begun by [[{key}]].")
    return tuple(checked(kind, entry, where=f"{where}, [[{key}]] {place}") for place, entry in enumerate(entries, 1))


def order_of(
    photos: str | Path | Place,
    plans: Sequence[str],
    *,
    options: Options | None = None,
    training: TrainOptions | None = None,
    budget_s: float | None = None,
    goal: float | None = None,
) -> Order:
    """Return the order of `fit` and `tune` in Python: plans as rows, options as they are; the arguments are theirs."""
    return Order(
        Place.of(photos),
        rows=rows_of_plans(plans),
        options=options or Options(),
        training=training or TrainOptions(),
        budget_s=budget_s,
        expectations=Expectations(goal=None if goal is None else Goal(goal)),
    )
