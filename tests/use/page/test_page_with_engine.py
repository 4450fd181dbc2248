"""The page and whatever an engine may say: hostile names, many pictures, doubts, maps; by keyboard, on every screen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror=window.pwned=1>"
WIDE = """() => [...document.querySelectorAll('body *')].filter(one => one.offsetParent &&
    !one.closest('.out, #classes') && getComputedStyle(one).clipPath === 'none' &&
    one.getBoundingClientRect().right > innerWidth + 1).map(one => one.outerHTML.slice(0, 120))"""
LOOKS = "async looks() { return {rows: [[0, 0, 0], [0, 255, 0], [0, 0, 0]], box: [0.2, 0, 0.8, 1], label: 'ant'}; },"
NEAR = """async neighbours() {
  return [{label: 'ant', similarity: 0.9, picture: 'data:,'}, {label: 'bee', similarity: 0.5, picture: 'data:,'}];
},"""
PIXEL = """([x, y]) => {
  const canvas = document.getElementById("map");
  return [...canvas.getContext("2d").getImageData(x * canvas.width, y * canvas.height, 1, 1).data].slice(0, 3);
}"""
FOCUS = "(({id, className, textContent}) => id || className || textContent)(document.activeElement)"


def add(opened, *names, data=b"", mime="image/jpeg"):
    """Choose files of some names."""
    opened.page.set_input_files("#files", [{"name": name, "mimeType": mime, "buffer": data} for name in names])


def faults(page, place="document"):
    """Return what axe finds."""
    axe = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
    page.evaluate((Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate(f"axe.run({place}, {{resultTypes: ['violations']}})")["violations"]
    return {fault["id"]: [node["html"][:200] for node in fault["nodes"][:3]] for fault in found}


def test_names_of_strangers_are_text(open_page, fake, make_row):
    names = [HOSTILE, "__proto__", "</script>", "7", "constructor", "un" * 90]
    shares = {name: (6 - place) / 21 for place, name in enumerate(names)}
    rows = [make_row(label=HOSTILE, share=6 / 21, probabilities=shares, remark=HOSTILE), {"error": HOSTILE}]
    html = fake(rows, class_names=names, title=HOSTILE, words={"model": HOSTILE, "sure": HOSTILE, "technical": HOSTILE},
                keeps_unsure=HOSTILE, drift=HOSTILE)  # fmt: skip
    for width_px in (360, 1280):
        opened = open_page(html=html, width_px=width_px)
        add(opened, f"{HOSTILE}.jpg", "un" * 100 + ".jpg")
        first, second = opened.cards(2)
        assert first.locator("h3").inner_text() == HOSTILE
        assert first.locator(".row .name").all_text_contents() == names[:5]
        assert second.locator(".error").inner_text() == HOSTILE + "."
        opened.page.evaluate("() => document.querySelectorAll('details').forEach(fold => fold.open = true)")
        assert opened.page.evaluate(WIDE) == []
        assert opened.page.locator("img[src=x]").count() == 0
        with opened.page.expect_download() as download:
            opened.page.locator("#csv").click()
        assert len(download.value.path().read_text().splitlines()) == 3


def test_columns_of_classes_that_are_called_as_others_are_told_apart(open_page, fake, make_row):
    names = ["path", "class path", "Error", "abſtained", "-1", "=x"]
    shares = dict.fromkeys(names, 1 / 6)
    opened = open_page(html=fake([make_row(label="path", probabilities=shares)], class_names=names))
    add(opened, "a.jpg")
    opened.cards(1)
    with opened.page.expect_download() as download:
        opened.page.locator("#csv").click()
    from thawline.view.prediction_text import answered_csv

    (head,) = answered_csv([], names)
    assert download.value.path().read_bytes().decode().split("\n")[0] == head


def test_removing_and_clearing_move_the_focus_on(open_page, fake, make_row):
    opened = open_page(html=fake([make_row()]))
    page = opened.page
    add(opened, "a.jpg", "b.jpg", "c.jpg")
    opened.cards(3)
    page.get_by_role("button", name="Remove b.jpg").click()
    assert page.locator(".file").all_inner_texts() == ["a.jpg", "c.jpg"]
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Remove c.jpg"
    assert page.locator("#count").inner_text() == "2 pictures"
    page.get_by_role("button", name="Clear").click()
    assert page.locator(".card").count() == 0
    assert page.locator("#found").is_hidden()
    assert page.evaluate("document.activeElement.id") == "files"
    add(opened, "d.jpg")
    opened.cards(1)
    page.get_by_role("button", name="Remove d.jpg").click()
    assert page.locator("#found").is_hidden()


def test_what_is_cleared_while_it_waits_gets_no_card_again(open_page, fake, make_row):
    opened = open_page(html=fake([make_row()]))
    page = opened.page
    page.evaluate("engine.onEach = index => index ? new Promise(go => { engine.go = go; }) : null")
    add(opened, "a.jpg", "b.jpg")
    page.locator("#count", has_text="1 of 2 pictures").wait_for()
    page.locator("#clear").click()
    page.evaluate("() => { engine.onEach = null; engine.go(); }")
    add(opened, "c.jpg")
    (card,) = opened.cards(1)
    assert card.locator(".file").inner_text() == "c.jpg"


def test_all_of_it_is_reached_by_keyboard(open_page, fake, make_row):
    opened = open_page(html=fake([make_row()], members=LOOKS + NEAR), permissions=["clipboard-read", "clipboard-write"])
    page = opened.page
    add(opened, "a.jpg")
    opened.cards(1)
    page.evaluate("document.activeElement.blur()")
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(FOCUS))
    assert reached[:8] == ["files", "camera", "csv", "clear", "copy", "look", "alike", "away"]
    page.locator(".copy").focus()
    page.keyboard.press("Enter")
    page.get_by_text("Copied: ant").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "ant"
    page.locator(".look").focus()
    page.keyboard.press("Space")
    page.get_by_text("Bright places speak for ant").wait_for()
    page.keyboard.press("Escape")
    assert page.locator("#looks-view").is_hidden()
    assert page.evaluate("document.activeElement.className") == "look"
    page.locator(".alike").focus()
    page.keyboard.press("Enter")
    page.get_by_text("The training pictures most like a.jpg are of ant, bee.").wait_for()
    assert page.locator(".near li").all_inner_texts() == ["ant\nlikeness 0.90", "bee\nlikeness 0.50"]


def test_a_map_is_bright_where_it_says_and_dark_outside_the_square(open_page, fake, make_row):
    opened = open_page(html=fake([make_row()], members=LOOKS))
    page = opened.page
    page.evaluate(
        """async () => {
          const canvas = new OffscreenCanvas(100, 50), context = canvas.getContext("2d");
          context.fillStyle = "rgb(100 100 100)";
          context.fillRect(0, 0, 100, 50);
          const file = new File([await canvas.convertToBlob()], "grey.png", {type: "image/png"});
          const transfer = new DataTransfer();
          transfer.items.add(file);
          document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
        }"""
    )
    opened.cards(1)
    page.locator(".look").click()
    page.get_by_text("Bright places speak for ant").wait_for()
    middle, edge, outside = (page.evaluate(PIXEL, place) for place in ([0.5, 0.5], [0.22, 0.05], [0.1, 0.5]))
    assert sum(middle) > 500
    assert edge == [100, 100, 100]
    assert outside == [40, 40, 40]
    assert page.locator("#map").get_attribute("aria-label") == "grey.png, with what speaks for ant bright"
    page.get_by_role("button", name="Picture alone").click()
    assert page.evaluate(PIXEL, [0.5, 0.5]) == [100, 100, 100]


def test_an_engine_that_cannot_offers_neither_map_nor_neighbours(open_page, fake, make_row):
    opened = open_page(html=fake([make_row()], members=LOOKS + NEAR, looks=False, neighbours=False))
    add(opened, "a.jpg")
    opened.cards(1)
    assert opened.page.locator(".look, .alike").count() == 0


def test_an_error_of_the_engine_is_told_in_its_words(open_page, fake, make_row):
    members = (
        "async looks() { throw new Error('the map cannot be made'); }, async neighbours() { throw new Error('gone'); },"
    )
    opened = open_page(html=fake([make_row()], members=members))
    page = opened.page
    add(opened, "a.jpg")
    opened.cards(1)
    page.locator(".look").click()
    page.get_by_text("The map cannot be made.").wait_for()
    page.keyboard.press("Escape")
    page.locator(".alike").click()
    page.locator(".near", has_text="Gone.").wait_for()
    page.evaluate("() => { engine.ask = async () => { throw new Error('it stopped'); }; }")
    add(opened, "b.jpg")
    card, _ = opened.cards(2)
    assert card.locator(".error").inner_text() == "It stopped."


def test_an_engine_that_cannot_start_says_why(open_page, fake, make_row):
    html = fake([make_row()]).replace("return FACTS;", "throw new Error('the model is damaged');")
    page = open_page(html=html).page
    page.locator("#model", has_text="The model is damaged.").wait_for()
    assert page.locator("#drop").is_hidden()


def test_what_is_kept_and_a_drift_are_told_in_a_line(open_page, fake, make_row):
    members = "async notes() { return {keeps_unsure: true, drift: 'half of them look unlike what was learned'}; },"
    opened = open_page(html=fake([make_row()], members=members, keeps_unsure=True))
    opened.page.get_by_text("are kept by whoever runs this service").wait_for()
    assert opened.page.locator("#notes").is_hidden()
    add(opened, "a.jpg")
    opened.cards(1)
    opened.page.get_by_text("Half of them look unlike what was learned.").wait_for()
    assert opened.page.get_by_text("are kept by whoever runs this service").is_visible()


def test_a_token_is_asked_for(open_page, fake, make_row):
    html = fake([make_row()]).replace(
        "return FACTS;", "return engine.token === 'right' ? FACTS : {needs_token: engine.token ? 'wrong' : 'missing'};"
    )
    page = open_page(html=html).page
    page.locator("#model", has_text="A token is needed.").wait_for()
    assert page.evaluate("document.activeElement.id") == "token"
    page.keyboard.type("left")
    page.keyboard.press("Enter")
    page.locator("#model", has_text="The token is wrong.").wait_for()
    page.fill("#token", "right")
    page.get_by_role("button", name="Open").click()
    page.locator("#drop").wait_for()
    assert page.locator("#door").is_hidden()


def test_many_classes_are_searched(open_page, fake, make_row):
    names = [f"class {number}" for number in range(1000)]
    page = open_page(html=fake([make_row()], class_names=names)).page
    page.get_by_text("1,000 classes: class 0, class 1, class 2, …").click()
    page.get_by_label("Search").fill("99")
    page.get_by_text("19 classes of 1,000").wait_for()
    assert page.locator("#classes li").count() == 19


def test_a_label_and_what_it_is_announced_as(open_page, fake, make_row):
    doubt = make_row(abstained=True, doubt="not sure", share=0.6)
    opened = open_page(html=fake([make_row(share=0.99999), doubt, {"error": "empty"}]))
    status = opened.page.locator("#status")
    for name, said in (
        ("a", "a: ant, > 99.9 % sure."),
        ("b", "b: Not sure, most like ant."),
        ("c", "c: no answer. Empty."),
    ):
        add(opened, name)
        opened.page.wait_for_function("said => document.getElementById('status').textContent === said", arg=said)
    assert status.get_attribute("role") == "status"
    add(opened, "d", "e", "f")
    opened.page.wait_for_function(
        "() => /^6 pictures · 1 not sure · 4 without/.test(document.getElementById('status').textContent)"
    )


def test_two_hundred_pictures_keep_few_in_memory(open_page, fake, make_row):
    opened = open_page(html=fake([make_row()], members=LOOKS))
    page = opened.page
    page.evaluate(
        """async () => {
          const canvas = new OffscreenCanvas(400, 300);
          canvas.getContext("2d").fillRect(0, 0, 100, 100);
          const blob = await canvas.convertToBlob(), transfer = new DataTransfer();
          for (let at = 0; at < 200; at++) transfer.items.add(new File([blob], `${at}.png`, {type: "image/png"}));
          const make = URL.createObjectURL, drop = URL.revokeObjectURL;
          window.alive = 0;
          URL.createObjectURL = blob => { window.alive++; return make.call(URL, blob); };
          URL.revokeObjectURL = url => { window.alive--; drop.call(URL, url); };
          document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true, cancelable: true}));
        }"""
    )
    page.locator("#count", has_text=re.compile("^200 pictures$")).wait_for()
    assert page.locator(".card").count() == 60
    assert page.evaluate("engine.asked") == [f"{number}.png" for number in range(200)], "in order"
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.wait_for_function("() => document.querySelector('.card:last-child img')?.complete")
    assert page.locator(".card:first-child img").count() == 0, "what is far away is let go"
    page.get_by_role("button", name="Show 60 more of 140").click()
    assert page.locator(".card").count() == 120
    assert page.locator(".card").nth(119).locator(".file").text_content() == "119.png"
    page.wait_for_function("() => window.alive === 0")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width_px", [360, 390, 1280])
def test_axe_finds_no_fault_and_nothing_is_too_wide(open_page, fake, make_row, scheme, width_px):
    doubt = make_row(abstained=True, doubt="none of these", share=0.6, remark="used the first of several frames")
    html = fake([make_row(), doubt, {"error": "text, not a picture"}], members=LOOKS + NEAR, keeps_unsure=True,
                drift="something changed", limits={"max_request_bytes": 1e7, "max_megapixels": 50})  # fmt: skip
    opened = open_page(html=html, width_px=width_px, color_scheme=scheme, bypass_csp=True)  # axe is put in by script
    page = opened.page
    page.locator("#drop").wait_for()
    assert faults(page) == {}
    add(opened, "a.jpg", "b.jpg", "c.jpg")
    opened.cards(3)
    page.locator(".alike").first.click()
    page.locator(".near li").first.wait_for()
    page.evaluate("() => document.querySelectorAll('details').forEach(fold => fold.open = true)")
    assert page.evaluate(WIDE) == []
    assert faults(page) == {}
    page.locator(".look").first.click()
    page.get_by_text("Bright places speak for ant").wait_for()
    assert faults(page, "'#looks-view'") == {}
    page.keyboard.press("Escape")
    page.locator("#camera").click()
    page.wait_for_selector("#shoot:enabled")
    assert faults(page, "'#camera-view'") == {}
    box = page.locator("#camera-view").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width_px


def test_a_phone_without_camera_access_has_the_system_camera(open_page, fake, make_row):
    opened = open_page(html=fake([make_row()]), width_px=390, has_touch=True, is_mobile=True)
    page = opened.page
    page.locator("#drop").wait_for()
    assert page.locator("#photo").is_hidden()
    opened = open_page("http://localhost:9/#again", html=fake([make_row()]).replace(
        '"use strict";', '"use strict"; Object.defineProperty(navigator, "mediaDevices", {value: undefined});', 1
    ), width_px=390, has_touch=True, is_mobile=True)  # fmt: skip
    opened.page.locator("#photo").wait_for()
    assert opened.page.locator("#camera").is_hidden()
    opened.page.set_input_files("#photo-file", [{"name": "p.jpg", "mimeType": "image/jpeg", "buffer": b"x"}])
    assert len(opened.cards(1)) == 1


def test_nothing_moves_where_that_is_not_wanted(open_page, fake, make_row):
    page = open_page(html=fake([make_row()]), reduced_motion="reduce").page
    page.locator("#drop").wait_for()
    times = "() => [...document.querySelectorAll('*')].map(one => getComputedStyle(one).transitionDuration)"
    assert set(page.evaluate(times)) == {"0s"}


def test_a_script_that_gets_in_does_not_run(open_page, fake, make_row):
    opened = open_page(html=fake([make_row()]), quiet=False)
    opened.page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.got = 1";
          document.body.append(script);
        }"""
    )
    assert opened.page.evaluate("window.got") is None
    assert any("Content Security Policy" in text for text in opened.complaints)
