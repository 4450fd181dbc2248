"""The page and a service: every way in, the rows of `predict`, its CSV, and a service that is busy or gone."""

from __future__ import annotations

import csv
import io

import pytest

import thawline
from thawline.view.prediction_text import answered_csv

pytestmark = pytest.mark.browser

DROP = """([kinds, name, base64, type]) => {
  const bytes = Uint8Array.from(atob(base64), one => one.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, {type}));
  for (const kind of kinds) {
    const how = {clipboardData: transfer, dataTransfer: transfer, bubbles: true, cancelable: true};
    const event = kind === "paste" ? new ClipboardEvent(kind, how) : new DragEvent(kind, how);
    document.body.dispatchEvent(event);
  }
}"""


def give(page, kinds, name, data, *, mime="image/jpeg"):
    """Drop or paste a picture, as far as a script can."""
    import base64

    page.evaluate(DROP, [kinds, name, base64.b64encode(data).decode(), mime])


def test_pictures_that_are_chosen_get_the_rows_of_predict(open_page, service, drawn_model, picture, tmp_path):
    names = [f"{seed}.jpg" for seed in range(9)]
    for seed, name in enumerate(names):
        (tmp_path / name).write_bytes(picture(seed))
    opened = open_page(service)
    opened.page.set_input_files("#files", [tmp_path / name for name in names])
    cards = opened.cards(9)
    assert [card.locator(".file").inner_text() for card in cards] == names
    wanted = list(thawline.predict(drawn_model, [tmp_path / name for name in names]))
    for card, row in zip(cards, wanted, strict=True):
        assert card.locator("h3").inner_text() == row.label
        shares = [float(text.removesuffix(" %").lstrip("<> ")) for text in card.locator(".share").all_inner_texts()]
        assert shares == pytest.approx([100 * share for share in row.probabilities.values()], abs=0.11)
    asked = [url for url in opened.requests if url.endswith("/predict")]
    assert 2 < len(asked) < 9, "several pictures go in a request"


def test_a_picture_is_dropped_anywhere(open_page, service, picture):
    opened = open_page(service)
    give(opened.page, ["dragenter", "dragover"], "dropped.jpg", picture(1))
    opened.page.locator("#over").wait_for()
    give(opened.page, ["drop"], "dropped.jpg", picture(1))
    (card,) = opened.cards(1)
    assert card.locator(".file").inner_text() == "dropped.jpg"
    assert opened.page.locator("#over").is_hidden()


def test_a_picture_is_pasted_and_text_is_not(open_page, service, picture):
    opened = open_page(service)
    give(opened.page, ["paste"], "image.png", picture(1), mime="image/png")
    give(opened.page, ["paste"], "holiday.jpg", picture(2))
    cards = opened.cards(2)
    assert [card.locator(".file").inner_text() for card in cards] == ["holiday.jpg", "pasted 1.png"]
    opened.page.evaluate("document.body.dispatchEvent(new ClipboardEvent('paste', {bubbles: true}))")
    opened.page.get_by_text("There is no picture to paste.").wait_for()


def test_what_comes_before_the_model_is_known_is_answered_too(open_page, service, picture):
    opened = open_page(service + "#", before_facts=lambda page: give(page, ["paste"], "early.jpg", picture(1)))
    (card,) = opened.cards(1)
    assert card.locator(".file").inner_text() == "early.jpg"


def test_the_camera_takes_a_picture_and_is_switched_off(open_page, service):
    opened = open_page(service, permissions=["camera"])
    page = opened.page
    page.get_by_role("button", name="Use the camera").click()
    shoot = page.get_by_role("button", name="Take the picture")
    page.wait_for_selector("#shoot:enabled")
    assert page.evaluate("document.activeElement.id") == "shoot"
    page.keyboard.press("Enter")
    (card,) = opened.cards(1)
    assert card.locator(".file").inner_text() == "camera 1.jpg"
    assert page.evaluate("document.getElementById('video').srcObject") is None
    assert page.evaluate("document.activeElement.id") == "camera"
    page.keyboard.press("Enter")
    page.wait_for_selector("#shoot:enabled")
    page.keyboard.press("Escape")
    assert shoot.is_hidden()
    page.wait_for_function("() => document.getElementById('video').srcObject === null")


def test_a_camera_that_is_not_allowed_is_told_in_words(open_page, service):
    opened = open_page(service)
    opened.page.evaluate(
        """() => {
          navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("", "NotAllowedError"); };
        }"""
    )
    opened.page.get_by_role("button", name="Use the camera").click()
    opened.page.get_by_text("The camera is not allowed. Allow it").wait_for()
    opened.page.get_by_role("button", name="Close").click()
    assert opened.page.locator("#photo").is_visible(), "a camera of the system may still be there"


def test_the_csv_is_that_of_predict(open_page, service, drawn_model, picture, tmp_path):
    names = ["=1+1.jpg", 'a,"b".jpg', "träne 🦜.jpg", "no picture.jpg"]
    for seed, name in enumerate(names[:3]):
        (tmp_path / name).write_bytes(picture(seed))
    (tmp_path / names[3]).write_text("text")
    opened = open_page(service)
    opened.page.set_input_files("#files", [tmp_path / name for name in names])
    opened.cards(4)
    with opened.page.expect_download() as download:
        opened.page.get_by_role("button", name="Download CSV").click()
    assert download.value.suggested_filename == "predictions.csv"
    opened.page.get_by_text("4 rows as predictions.csv.").wait_for()
    found = download.value.path().read_bytes().decode()
    rows = [drawn_row(drawn_model, tmp_path / name, name) for name in names]
    wanted = "".join(line + "\n" for line in answered_csv(rows, drawn_model.class_names))
    assert found.split("\n")[0] == wanted.split("\n")[0]
    for mine, theirs in zip(csv.reader(io.StringIO(found)), csv.reader(io.StringIO(wanted)), strict=True):
        for one, other in zip(mine, theirs, strict=True):
            assert one == other or float(one) == pytest.approx(float(other), abs=1e-3)


def drawn_row(model, path, name):
    """Return the row of a file under the name that a browser gives it."""
    from dataclasses import replace

    (row,) = thawline.predict(model, [path])
    return replace(row, path=name)


def test_a_bad_picture_and_a_large_one_are_told_apart_from_good_ones(open_page, service, picture, tmp_path):
    (tmp_path / "good.jpg").write_bytes(picture(1))
    (tmp_path / "bad.jpg").write_bytes(picture(1)[:300])
    (tmp_path / "large.jpg").write_bytes(bytes(33 << 20))
    opened = open_page(service)
    opened.page.set_input_files("#files", [tmp_path / name for name in ("good.jpg", "bad.jpg", "large.jpg")])
    good, bad, large = opened.cards(3)
    assert bad.locator("h3").inner_text() == "No answer"
    assert "Ends after 300" in bad.locator(".error").inner_text()
    assert "too large for the service: 35 MB, it takes 33 MB" in large.locator(".error").inner_text()
    assert good.locator(".error").count() == 0
    assert opened.page.locator("#count").inner_text() == "3 pictures · 2 without an answer"


def test_a_busy_service_is_waited_for_and_the_page_says_so(open_page, service, picture, tmp_path):
    (tmp_path / "a.jpg").write_bytes(picture(1))
    opened = open_page(service, quiet=False)  # a browser writes refusals to its console
    busy = {"status": 503, "headers": {"retry-after": "1"}, "json": {"detail": "busy"}}
    tries = []

    def answer(route):
        tries.append(route)
        route.fulfill(**busy) if len(tries) < 3 else route.continue_()

    opened.page.route("**/predict", answer)
    opened.page.set_input_files("#files", [tmp_path / "a.jpg"])
    opened.page.locator("#count", has_text="the service is busy, asking again in").wait_for()
    (card,) = opened.cards(1)
    assert card.locator(".row").count() == 3
    assert len(tries) == 3


def test_a_request_that_is_refused_as_a_whole_is_asked_again_in_halves(open_page, service, picture, tmp_path):
    for seed in range(4):
        (tmp_path / f"{seed}.jpg").write_bytes(picture(seed))
    opened = open_page(service, quiet=False)
    refused = {"status": 413, "json": {"detail": "1 picture is allowed in a request"}}
    opened.page.route(
        "**/predict",
        lambda route: route.fulfill(**refused) if route.request.post_data_buffer.count(b"filename=") > 1
        else route.continue_(),
    )  # fmt: skip
    opened.page.set_input_files("#files", sorted(tmp_path.glob("?.jpg")))
    assert [card.locator(".row").count() for card in opened.cards(4)] == [3] * 4


def test_a_service_that_is_gone_is_told_and_asked_again_when_wanted(open_page, service, picture, tmp_path):
    (tmp_path / "a.jpg").write_bytes(picture(1))
    opened = open_page(service, quiet=False)
    opened.page.route("**/predict", lambda route: route.abort())
    opened.page.set_input_files("#files", [tmp_path / "a.jpg"])
    (card,) = opened.cards(1)
    assert card.locator(".error").inner_text() == "The service does not answer."
    opened.page.unroute("**/predict")
    card.get_by_role("button", name="Try again").click()
    card.locator(".row").first.wait_for()
    assert card.locator(".error").count() == 0


def test_a_map_comes_from_the_service(open_page, service, picture, tmp_path):
    (tmp_path / "a.jpg").write_bytes(picture(1))
    opened = open_page(service)
    opened.page.set_input_files("#files", [tmp_path / "a.jpg"])
    (card,) = opened.cards(1)
    card.get_by_role("button", name="What it looked at").click()
    opened.page.locator("#scale").wait_for()
    assert card.locator("h3").inner_text() in opened.page.locator("#looks-said").inner_text()
    assert sum(url.endswith("/looks") for url in opened.requests) == 1
    opened.page.get_by_role("button", name="Close").click()
    assert opened.page.evaluate("document.activeElement.className") == "look"
    opened.page.keyboard.press("Enter")
    opened.page.locator("#scale").wait_for()
    assert sum(url.endswith("/looks") for url in opened.requests) == 1, "it is known already"


def test_words_instead_of_the_strategys_name(open_page, service):
    opened = open_page(service)
    opened.page.get_by_text("This model tells 3 classes of pictures apart.").wait_for()
    assert opened.page.get_by_text("drawn").first.is_hidden()
    opened.page.get_by_text("How to read its answers").click()
    assert opened.page.get_by_text("drawn").first.is_visible(), "for experts"
    opened.page.get_by_text("3 classes: cross").click()
    assert opened.page.locator("#classes li").all_inner_texts() == ["cross", 'stripe, "wide"', "träne 🦜"]


def test_a_doubting_model_says_so_and_shows_the_most_like_apart(open_page, serve, doubting_model, picture, tmp_path):
    model = doubting_model("features")
    file = thawline.export(model.directory, out=tmp_path / "doubting.onnx").path
    paths = [tmp_path / f"{seed}.jpg" for seed in range(20, 32)]
    for seed, path in enumerate(paths, start=20):
        path.write_bytes(picture(seed))
    rows = list(thawline.predict(model, paths))
    assert {row.doubt for row in rows} >= {"none of these"}
    with serve(file) as address:
        opened = open_page(address)
        opened.page.set_input_files("#files", paths)
        for card, row in zip(opened.cards(12), rows, strict=True):
            title = {"none of these": "None of these", "not sure": "Not sure", None: row.label}[row.doubt]
            assert card.locator("h3").inner_text() == title
            assert card.locator(".like").count() == (row.doubt is not None)
            assert card.locator(".row .name").first.inner_text() == row.label
        opened.page.get_by_text("How to read its answers").click()
        assert opened.page.get_by_text("The picture looks unlike everything that the model learned").is_visible()


def test_the_training_pictures_most_like_one_are_shown(open_page, serve, placed_run, picture, tmp_path):
    (tmp_path / "a.jpg").write_bytes(picture(4))
    with serve(placed_run) as address:
        opened = open_page(address)
        opened.page.set_input_files("#files", [tmp_path / "a.jpg"])
        (card,) = opened.cards(1)
        card.get_by_role("button", name="Training pictures like it").click()
        card.locator(".near li").nth(4).wait_for()
        labels = card.locator(".near li span").all_inner_texts()
        assert (len(labels), labels[0]) == (5, 'stripe, "wide"')
        assert card.locator(".near small").first.inner_text() == "likeness 1.00"
        decoded = "one => one.decode().then(() => [one.naturalWidth, one.naturalHeight])"
        sides = card.locator(".near img").evaluate_all(f"all => Promise.all(all.map({decoded}))")
        assert sides == [[70, 50]] * 5, "drawn pictures are smaller than a thumbnail may be"
        assert not any("Content Security Policy" in text for text in opened.complaints)
        assert sum(url.endswith("/neighbours") for url in opened.requests) == 1


def test_a_model_that_came_without_them_does_not_offer_them(open_page, service, picture, tmp_path):
    (tmp_path / "a.jpg").write_bytes(picture(4))
    opened = open_page(service)
    opened.page.set_input_files("#files", [tmp_path / "a.jpg"])
    (card,) = opened.cards(1)
    assert card.get_by_role("button", name="Training pictures like it").count() == 0
