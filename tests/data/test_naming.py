"""Classes under people's names, one against the rest, or fewer pictures: decided before a picture is opened."""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from thawline.core.errors import DataError
from thawline.core.options import CheckOptions, make_options
from thawline.data.check import check
from thawline.data.naming import against_rest, limited, read_class_names, renamed
from thawline.data.sources.listing import Candidate, FileSource, Listing
from thawline.data.sources.pictures import list_pictures
from thawline.data.sources.places import Place

MESSY = "Label,  Latin Name\t , Common Name \nn0 , apus_apus\t, common_swift ,\n\n n1, hirundo,barn_swallow , 12\n"


def listing(*rows: tuple[str, str, str | None]) -> Listing:
    candidates = tuple(Candidate(path, label, split, FileSource(Path(path))) for path, label, split in rows)
    return Listing(Place.of("photos"), tuple(sorted({label for _, label, _ in rows})), candidates)


def many(count: int, label: str = "a", split: str | None = None) -> list[tuple[str, str, str | None]]:
    return [(f"{label}/{split}/{number}.jpg", label, split) for number in range(count)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (MESSY, {"n0": "common_swift", "n1": "barn_swallow"}),
        ("\ufeffn0,swift\r\nn1,swallow\r\nn7,crow\r\n", {"n0": "swift", "n1": "swallow"}),
        ('{"n1": " swallow ", "n0": "swift, common", "n7": "crow"}', {"n0": "swift, common", "n1": "swallow"}),
        ("title,id,NAME\nMr,n0,swift\nMs,n1,swallow\n", {"n0": "swift", "n1": "swallow"}),
        ("id,pages,Class\nn0,3,swift\nn1,4,swallow\n", {"n0": "swift", "n1": "swallow"}),
        ("class,common_name\nn0,swift\nn1,swallow\n", {"n0": "swift", "n1": "swallow"}),
        ("class,latin\nn0,apus\nn1,hirundo\n", {"n0": "apus", "n1": "hirundo"}),
        ('n0,"swift, common"\nn1,"a ""swallow"""\n', {"n0": "swift, common", "n1": 'a "swallow"'}),
        ("n0,swift\nn0,swift\nn1,n0\n", {"n0": "swift", "n1": "n0"}),
    ],
)
def test_names_are_read_from_what_people_write(tmp_path, text, names):
    file = tmp_path / "names.txt"
    file.write_text(text, encoding="utf-8")
    assert read_class_names(file, ("n0", "n1")) == names


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("folder;name\nn0;Mönchsgrasmücke, jung\nn1;Schwalbe\n", "cp1252"),
        ("sep=;\nn0;Mönchsgrasmücke, jung\nn1;Schwalbe\n", "utf-8-sig"),
        ("n0\tMönchsgrasmücke, jung\r\nn1\tSchwalbe\r\n", "utf-16"),
        ("# made by a tool\n\nn0|Mönchsgrasmücke, jung\rn1|Schwalbe\r", "utf-8"),
    ],
)
def test_names_are_read_in_every_dialect_of_csv(tmp_path, text, encoding):
    (tmp_path / "names.csv").write_bytes(text.encode(encoding))
    found = read_class_names(tmp_path / "names.csv", ("n0", "n1"))
    assert found == {"n0": "Mönchsgrasmücke, jung", "n1": "Schwalbe"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "missing. Name a CSV or JSON file"),
        (b"", "names none of the class folders (n0, n1): it is empty"),
        (b"a;b\nn7;swift\nn8;swallow\n", "names none of the class folders (n0, n1): its first line is 'a, b'"),
        (b"x,swift\ny,swallow\n", "its first line is 'x, swift'"),
        (b"\x81\x8d,n0", "not a CSV table in UTF-8, UTF-16 or cp1252"),
        (b"swift,n0\nswallow,n1\n", "has folder names in its last column"),
        (b"n0,swift\n", "has no name for n1. Add a row"),
        (b"n0,swift\nn1,\n", "has no name for n1. Add a row"),
        (b"n0,swift\nn1\n", "has no name for n1. Add a row"),
        (b"n0,bird\nn1,bird\n", "n0 and n1 are both 'bird'. Give each its own name"),
        (b"n0,swift\nn0,crow\nn1,swallow\n", "more than one name for n0 (crow, swift). Keep one row"),
        (b'{"n0": "swift", "n0": "crow", "n1": "swallow"}', "more than one name for n0"),
        (b'{"n0": "swift", "n1": 3}', "something other than a text as the name of n1"),
        (b'{"n0": "swift"', "is not JSON that can be read"),
        (b'{"a":' * 100_000, "is not JSON that can be read: it is nested too deeply"),
        (b'{"n0": "swift", "n1": "\\ud800"}', "cannot be printed: '\\ud800'"),
        (b'{"n0": "swift\\u001b[2J", "n1": "x"}', "cannot be printed: 'swift\\x1b[2J'"),
        (b"n0," + b"x" * 200_000 + b"\nn1,y\n", "not a CSV table that can be taken apart: line 1: field larger"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_the_way_out(tmp_path, content, said):
    file = tmp_path / "names.csv"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_class_names(file, ("n0", "n1"))
    assert str(caught.value).startswith(f"class names: {file}")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_renamed_classes_are_sorted_anew_and_pictures_keep_their_order():
    found = renamed(listing(("n0/1", "n0", None), ("n1/1", "n1", None)), {"n0": "wren", "n1": "auk"})
    assert found.class_names == ("auk", "wren")
    assert [(item.path, item.label) for item in found.candidates] == [("n0/1", "wren"), ("n1/1", "auk")]


def test_one_class_against_the_rest():
    found = against_rest(listing(*many(2, "hen"), *many(1, "duck"), *many(1, "goose")), "hen")
    assert found.class_names == ("hen", "rest")
    assert [item.label for item in found.candidates] == ["hen", "hen", "rest", "rest"]
    assert found.notes == ("hen against the rest: duck, goose",)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hne", "photos has no class 'hne'. Did you mean hen?"),
        ("xyz", "photos has no class 'xyz'. Name one of duck, hen, rest."),
        ("rest", "the class is called 'rest' itself. Name another class"),
    ],
)
def test_a_class_that_cannot_stand_against_the_rest_is_refused(name, said):
    with pytest.raises(DataError) as caught:
        against_rest(listing(*many(2, "hen"), *many(1, "duck"), *many(1, "rest")), name)
    assert said in str(caught.value)


def test_the_limit_holds_for_each_class_and_part_and_a_smaller_one_takes_a_subset():
    rows = [*many(40, "a", "train"), *many(9, "a", "test"), *many(40, "b", "train"), *many(3, "b", "test")]
    whole = listing(*rows)
    taken = {limit: limited(whole, limit) for limit in (2, 5, 20)}
    for limit, found in taken.items():
        counts = Counter((item.label, item.split) for item in found.candidates)
        assert counts == {key: min(limit, count) for key, count in Counter((r[1], r[2]) for r in rows).items()}
        assert [item for item in whole.candidates if item in set(found.candidates)] == list(found.candidates)
        assert found.notes[-1].startswith(f"--limit {limit}: {len(found.candidates)} of 92 pictures take part")
    assert set(taken[2].candidates) < set(taken[5].candidates) < set(taken[20].candidates)
    assert limited(whole, 5).candidates == taken[5].candidates
    assert limited(whole, 5, seed=1).candidates != taken[5].candidates
    assert limited(whole, 40) == whole


def test_the_limit_draws_evenly():
    drawn = Counter(
        int(item.path.split("/")[-1].split(".")[0])
        for seed in range(200)
        for item in limited(listing(*many(20)), 5, seed=seed).candidates
    )
    assert len(drawn) == 20
    assert 25 < min(drawn.values()) <= max(drawn.values()) < 80  # 50 each on average, within four deviations


def test_check_takes_names_rest_and_limit_and_says_so(make_folder, tmp_path):
    files = {f"n{kind}/{number}.png": 10 * kind + number for kind in range(3) for number in range(6)}
    root = make_folder(files)
    names = tmp_path / "names.json"
    names.write_text(json.dumps({"n0": "wren", "n1": "auk", "n2": "owl"}))
    dataset, report = check(root, make_options(class_names=names, limit=4))
    assert dataset.class_names == ("auk", "owl", "wren")
    assert report.class_counts == {"auk": 4, "owl": 4, "wren": 4}
    assert {(sample.path[:2], dataset.class_names[sample.label]) for sample in dataset.samples} == {
        ("n0", "wren"), ("n1", "auk"), ("n2", "owl")
    }  # fmt: skip
    assert [note.split(":")[0] for note in report.notes] == ["classes are named by names.json", "--limit 4"]
    told, _ = check(root, CheckOptions(class_names=names, one_against_rest="owl"))
    assert told.class_names == ("owl", "rest")
    assert told.labels.tolist() == [1] * 12 + [0] * 6
    assert told.images_key == check(root)[0].images_key


def test_a_folder_of_one_class_is_not_told_of_the_limit_as_its_layout(make_folder):
    root = make_folder({f"a/{number}.png": number for number in range(6)})
    with pytest.raises(DataError, match=r"needs two or more\. Put the pictures"):
        check(root, CheckOptions(limit=3))


@pytest.mark.pictures
def test_the_monkeys_go_by_their_common_names(shared_data):
    found = list_pictures(shared_data / "monkeys")
    names = read_class_names(shared_data / "monkeys/monkey_labels.txt", found.class_names)
    assert list(names) == [f"n{number}" for number in range(10)]
    assert (names["n0"], names["n9"], len(set(names.values()))) == ("mantled_howler", "nilgiri_langur", 10)


@pytest.mark.pictures
def test_relabelling_extracts_nothing_anew(shared_data, tmp_path):
    from thawline.core.runtime import choose_runtime
    from thawline.core.store import cache_root
    from thawline.features.extract import extract
    from thawline.features.network import load_backbone

    root = tmp_path / "photos"
    for name in ("n0", "n1", "n2"):
        (root / name).mkdir(parents=True)
        for path in sorted((shared_data / "monkeys/training" / name).iterdir())[:4]:
            shutil.copy(path, root / name)
    network = load_backbone("test_efficientnet", pretrained=False, size_px=32)
    names = shared_data / "monkeys/monkey_labels.txt"
    extracted = []
    for changes in (
        {},
        {"class_names": names},
        {"class_names": names, "one_against_rest": "patas_monkey"},
        {"limit": 2},
    ):
        dataset, _ = check(root, make_options(**changes))
        done = extract(dataset, network, runtime=choose_runtime("cpu", "float32"), cache=cache_root())
        extracted.append((done.num_extracted, done.bank.key))
    assert [count for count, _ in extracted] == [12, 0, 0, 0]
    assert len({key for _, key in extracted}) == 1


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("typed", ["NFC", "NFD"])
def test_accents_may_be_composed_or_apart(tmp_path, form, typed):
    """`Käse` as a Mac's folders have it is `Käse` as it is typed, and the other way round."""
    own, word = (unicodedata.normalize(kind, "Käse") for kind in (form, typed))
    listed = listing((f"{own}/1.jpg", own, None), ("Brot/1.jpg", "Brot", None))
    assert against_rest(listed, word).class_names == (own, "rest")
    for text in (f"{word},Stück\nBrot,Laib\n", f"ordner,name\n{word},Stück\nBrot,Laib\n"):
        (tmp_path / "names.csv").write_text(text, encoding="utf-8")
        assert read_class_names(tmp_path / "names.csv", (own, "Brot")) == {own: "Stück", "Brot": "Laib"}
    (tmp_path / "names.json").write_text(json.dumps({word: "Stu\u0308ck", "Brot": "Laib"}))
    assert read_class_names(tmp_path / "names.json", (own, "Brot")) == {own: "Stück", "Brot": "Laib"}
