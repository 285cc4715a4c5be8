"""The playground in a real browser, by mouse, finger and keys, with a server and without."""

from __future__ import annotations

import gzip
import re
import struct
import subprocess
import sys
import zlib
from contextlib import contextmanager
from urllib.parse import urljoin

import numpy as np
import pytest

import purecnn
from docs.tools import static_server
from docs.tools.pad import THREE, draw
from helpers import browser as browser
from helpers import drawings as drawings
from helpers import static_site as static_site
from helpers.waiting import PATIENCE
from purecnn import Branches, Convolutional, Dense, Flatten, Network, ReLU, Residual, Sigmoid, Softmax, Tanh
from purecnn.datasets import mnist
from purecnn.playground import site

pytest.importorskip("uvicorn")
expect = pytest.importorskip("playwright.sync_api").expect
expect.set_options(timeout=1000 * PATIENCE)


@contextmanager
def served(*arguments):
    """Run the command in a process of its own; give the page's address."""
    command = [sys.executable, "-m", "purecnn", "playground", *arguments, "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().split()[0]
        finally:
            process.terminate()


@contextmanager
def served_network(network, folder):
    """Serve a network from a file."""
    purecnn.save(network, folder / "model.safetensors")
    with served(str(folder / "model.safetensors")) as address:
        yield address


@contextmanager
def opened(window, address, **how):
    """Give a page that must stay on this machine, raise nothing, and complain of what is forgiven alone."""
    page = window.open(address, still=False, **{"width": 1280, "height": 900, **how})
    page.forgiven = []
    yield page
    check_silence(window, page, address)


def check_silence(window, page, address):
    """Check that a page has complained of what is forgiven alone, and asked nobody else."""
    wrong = [words for words in window.said if words.startswith(("error: ", "warning: ", "raised: "))]
    assert [words for words in wrong if not any(known in words for known in page.forgiven)] == []
    assert [url for url in window.asked if not url.startswith(address)] == []


@pytest.fixture(scope="module")
def chromium():
    with browser.chromium() as found:
        yield found


@pytest.fixture(scope="module")
def window(chromium):
    return browser.Window(chromium)


@pytest.fixture(scope="module")
def touched(chromium):
    return browser.Window(chromium, has_touch=True)


@pytest.fixture(scope="module")
def apart(chromium):
    """A window whose pages may go wrong."""
    return browser.Window(chromium)


@pytest.fixture(scope="module")
def address():
    with served() as address:
        yield address


@pytest.fixture
def page(window, address):
    with opened(window, address) as page:
        page.wait_for_selector("#layers .layer canvas")
        yield page


@pytest.fixture(scope="module")
def site_page(chromium, tmp_path_factory):
    """A page of the static site, which stays open: Python starts with it, which takes seconds."""
    window = browser.Window(chromium)
    folder = tmp_path_factory.mktemp("pages") / "site"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(site, "LEVEL", 1)  # packed as quickly as can be
        site.write_site(folder, pyodide=static_site.pyodide(), documents="../docs")
    with static_server.shown(folder) as address:
        page = window.open(address, width=1280, height=900, still=False)
        page.wait_for_selector("#layers .layer canvas")
        yield page, window, address


@pytest.fixture(params=["server", "site"])
def either(request):
    """Pages of the server and of the static site, which is to behave like it."""
    if request.param == "server":
        yield request.getfixturevalue("page")
        return
    page, window, address = request.getfixturevalue("site_page")
    page.forgiven = []
    page.set_viewport_size({"width": 1280, "height": 900})
    page.keyboard.press("Escape")
    if page.is_visible("#own-network"):
        page.click("#own-network")
    page.click("#tab-draw")
    page.click("#clear")
    # each choice brings its own layers, as they were at first
    page.evaluate("for (const name of ['digits', 'xor']) document.querySelector(`[value=${name}]`).click()")
    page.locator("#tab-draw").focus()  # where the keys begin
    page.evaluate("scrollTo(0, 0)")
    yield page
    check_silence(window, page, address)
    window.said.clear()


def check_verdict(page, text, state="sure"):
    """Wait for an answer, the last one: while one draws, there are others on the way."""
    expect(page.locator("#answer")).to_have_attribute("aria-busy", "false")
    expect(page.locator("#verdict")).to_have_text(text)
    expect(page.locator("#verdict")).to_have_attribute("data-state", state)


def picture(pixels):
    """Return a grey PNG file."""
    height, width = pixels.shape

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def test_a_digit_is_drawn_read_and_cleared(either):
    page = either
    check_verdict(page, "–", "blank")
    draw(page, THREE)
    check_verdict(page, "3")
    assert page.inner_text("#bars .best").split()[0] == "3"
    assert "% sure" in page.inner_text("#why")
    page.click("#clear")
    check_verdict(page, "–", "blank")
    assert page.inner_text("#why") == "Nothing is drawn yet."


def test_a_small_number_has_one_kind_of_minus(page):
    said = page.evaluate(
        "import('/common.js').then(({ spoken }) => [-4.73e-8, 4.73e-8, -0.25].map(n => spoken(n)))"
    )
    assert said == ["\N{MINUS SIGN}4.73e\N{MINUS SIGN}8", "4.73e\N{MINUS SIGN}8", "\N{MINUS SIGN}0.250"]


def test_a_scribble_is_unsure(either):
    page = either
    rng = np.random.default_rng(3)
    draw(page, rng.integers(20, 260, (40, 2)).tolist(), steps=1)
    check_verdict(page, "unsure", "unsure")
    assert page.inner_text("#why").startswith("Perhaps ")


def test_what_is_drawn_while_a_dot_is_answered_is_asked_about(page):
    held = []
    page.route("**/api/draw", lambda route: held.append(route) if not held else route.continue_())
    draw(page, [(140, 70), (140, 70)])
    while not held:
        page.wait_for_timeout(10)
    draw(page, [(140, 70), (140, 210)])
    held[0].continue_()  # its answer: too little is drawn
    check_verdict(page, "1")


def test_what_is_drawn_while_a_test_digit_is_fetched_stays(page):
    held, asked = [], []
    page.route("**/api/example", lambda route: held.append(route))
    page.route("**/api/draw", lambda route: (asked.append(route), len(asked) > 1 and route.continue_()))
    with page.expect_request("**/api/example"):
        page.click("#example")
    draw(page, THREE)
    expect(page.locator("#why")).to_have_text("The answer is on its way.")
    held[0].continue_()
    page.wait_for_timeout(200)  # for the answer to be shown, if it were
    asked[0].continue_()
    check_verdict(page, "3")
    assert page.inner_text("#raw-caption") == "What you drew."
    page.unroute("**/api/example")
    page.click("#example")
    expect(page.locator("#raw-caption")).to_have_text("A test digit.")
    page.route("**/api/example", lambda route: held.append(route))
    with page.expect_request("**/api/example"):
        page.click("#example")
    page.click("#clear")
    held[1].continue_()
    page.wait_for_timeout(200)
    assert page.inner_text("#why") == "Nothing is drawn yet."


def test_drawn_digits_are_read(page):
    page.set_viewport_size({"width": 700, "height": 300})  # a small window is painted sooner
    images, labels = mnist.load_data()[1]
    rng = np.random.default_rng(7)
    right = 0
    for number in rng.permutation(len(images))[:20]:
        before = page.get_attribute("#verdict", "data-turn")
        file = {
            "name": "d.png",
            "mimeType": "image/png",
            "buffer": picture(drawings.drawn(images[number], rng)),
        }
        page.set_input_files("#picture", file)
        expect(page.locator("#verdict")).not_to_have_attribute("data-turn", before or "0")
        right += page.inner_text("#verdict") == str(labels[number])
    assert right >= 18


def test_dark_on_bright_pictures_are_read_and_others_refused(either):
    page = either
    image = mnist.load_data()[1][0][0]  # a seven
    file = {
        "name": "d.png",
        "mimeType": "image/png",
        "buffer": picture(255 - np.kron(image, np.ones((5, 3), np.uint8))),
    }
    page.set_input_files("#picture", file)
    check_verdict(page, "7")
    assert page.inner_text("#raw-caption") == "Your picture, in grey: 140 × 84 pixels."
    size = "all => all.map(({ width, height }) => [width, height])"
    assert page.locator("#raw, #seen").evaluate_all(size) == [[67, 112], [28, 28]]
    page.forgiven.append("422")
    page.set_input_files("#picture", {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"})
    page.wait_for_selector("#alert:not([hidden])")
    said = page.inner_text("#alert")
    assert page.evaluate(
        "document.querySelector('#alert').previousElementSibling.contains(document.querySelector('#choose-picture'))"
    )
    assert said.startswith("this picture: not a picture that Pillow knows, wanted a whole") or (
        said == "notes.txt is no picture that this browser can read: a PNG or JPEG file, say, is wanted."
    )


def walk_over_layers(page):
    """Walk to a cell of each layer; check that the panel tells of it and covers neither it nor its card."""
    for number in range(page.locator("#layers .pickable").count()):
        canvas = page.locator("#layers .pickable").nth(number)
        canvas.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_selector("#inspector:not([hidden])")
        expect(page.locator("#inspector-title")).to_have_text(re.compile(f"^{number} "))
        top, bottom, cell, card = canvas.evaluate(
            "canvas => { const { maps } = canvas, panel = document.querySelector('#inspector');"
            " const { top } = panel.getBoundingClientRect();"
            " const [, y, , high] = maps.within(document.documentElement, maps.place(...maps.cell, 1, 1));"
            " const card = canvas.closest('.layer').getBoundingClientRect();"
            " return [y - scrollY, y - scrollY + high, top, [card.top, card.bottom]] }"
        )
        assert 0 <= top < bottom <= cell
        close = page.locator("#inspector-close").bounding_box()
        assert close["x"] + close["width"] <= page.viewport_size["width"]  # whatever the layer's name
        assert card[1] - card[0] > cell - 20 or 0 <= card[0] < card[1] <= cell  # where there is room for it


def test_a_cell_shows_what_it_was_made_of(either):
    page = either
    page.locator("#layers .pickable").first.click(position={"x": 9, "y": 9})
    assert page.inner_text("#alert").startswith("Nothing is drawn yet: ")
    page.evaluate("scrollTo(0, 0)")
    draw(page, THREE)
    check_verdict(page, "3")
    assert not page.is_visible("#alert")
    canvas = page.locator("#layers .pickable").nth(4)
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    canvas.click(position={"x": box["width"] * 0.4, "y": box["height"] * 0.4})
    page.wait_for_selector("#inspector:not([hidden])")
    assert page.inner_text("#inspector-title").startswith("4 Convolutional: map ")
    looks = page.evaluate(
        "['#inspector-sum b', '#inspector-grids table:nth-of-type(3) td']"
        ".map(place => [...document.querySelectorAll(place)].map(found => found.innerText))"
    )
    told, cells = ([float(text.replace("−", "-")) for text in look] for look in looks)
    assert told[0] + told[1] == pytest.approx(told[2], abs=0.002)
    assert len(cells) == 8 * 9
    assert sum(cells) == pytest.approx(told[0], abs=0.4)  # each is shown with two digits
    assert ", and the bias, " in page.inner_text("#inspector-sum")
    before = page.inner_text("#inspector-title")
    page.click("#inspector-slide")
    expect(page.locator("#inspector-title")).not_to_have_text(before)
    page.click("#inspector-slide")
    first, second = (
        re.search("(.*), row ([0-9]+)", t) for t in (before, page.inner_text("#inspector-title"))
    )
    assert (first[1], int(first[2])) <= (second[1], int(second[2]))  # in the order of reading
    assert page.inner_text("#inspector-slide") == "Slide"
    page.keyboard.press("Escape")
    assert page.is_hidden("#inspector")
    walk_over_layers(page)
    expect(page.locator("#inspector-title")).to_have_text(re.compile(": number 1, “1”$"))
    rows = [row.split() for row in page.locator("#inspector-grids tr").all_inner_texts()]
    assert [row[0] for row in rows] == ["class", *"0123456789", "sum"]
    powers = [float(row[3].replace("−", "-")) for row in rows[1:-1]]
    assert max(powers) == powers[3] == 1  # of the largest score, which was taken off all
    assert float(rows[-1][1]) == pytest.approx(sum(powers), abs=0.001)
    page.locator("#layers .pickable").nth(2).focus()  # a batch normalization
    page.keyboard.press("ArrowDown")
    expect(page.locator("#inspector-sum")).to_have_text(re.compile("× the factor .* kept from training$"))
    told = page.locator("#inspector-sum b").all_inner_texts()
    x, factor, shift, y = (float(text.replace("−", "-")) for text in told)
    assert x * factor + shift == pytest.approx(y, abs=0.005)
    page.locator("#layers .pickable").nth(11).focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#inspector-sum")).to_have_text(re.compile("counted map by map .* = [0-9]+$"))


def test_a_cell_under_the_pointer_shows_where_it_looks(either):
    page = either
    draw(page, THREE)
    check_verdict(page, "3")
    assert not page.is_visible("#alert")
    canvas = page.locator("#layers .pickable").nth(4)
    canvas.scroll_into_view_if_needed()
    lines, boxes = page.locator(".lines .near"), "document.querySelectorAll('#layers canvas')"
    expect(lines).to_have_count(0)
    box = canvas.bounding_box()
    canvas.hover(position={"x": box["width"] * 0.4, "y": box["height"] * 0.1})
    expect(lines).to_have_count(8)
    first = page.evaluate(f"[...{boxes}].map(canvas => canvas.maps.box)")
    sizes = [box and [end - begin for begin, end in box] for box in first]
    assert sizes[:6] == [[1, 10, 10], [8, 6, 6], [8, 3, 3], [8, 3, 3], [8, 3, 3], None]
    canvas.hover(position={"x": box["width"] * 0.4 + 20, "y": box["height"] * 0.1})  # cells are 8 pixels wide
    page.wait_for_function(f"() => ({boxes})[4].maps.box[2][0] > {first[4][2][0]}")
    assert page.is_hidden("#inspector")
    page.mouse.move(5, 5)
    expect(lines).to_have_count(0)


def test_the_network_is_one_picture_that_leads_to_the_cards(window, tmp_path):
    small, large = (Convolutional(kernel_size=size, depth=1, padding="same") for size in (1, 3))
    block = Residual([Convolutional(kernel_size=3, depth=1, padding=1), ReLU()])
    layers = [block, Branches([small], [large, Tanh()]), Flatten(), Dense(2), Softmax()]
    network = Network(layers, input_shape=(1, 8, 8))
    with served_network(network, tmp_path) as address, opened(window, address) as page:
        page.wait_for_selector("#layers .layer canvas")
        boxes = page.locator("#graph button")
        said = [text.replace("\n", " ") for text in boxes.all_inner_texts()]
        assert said[:4] == [
            "Input 1 × 8 × 8",
            *(f"{name} 1 × 8 × 8" for name in ("0.0 Convolutional", "0.1 ReLU", "0 Residual")),
        ]
        assert len(said) == 11
        # to each layer one line, to those that put branches together one from each
        assert page.locator("#graph polyline").count() == 10 + 2
        for width, flows in ((1280, "left"), (390, "top")):
            page.set_viewport_size({"width": width, "height": 800})
            page.wait_for_function(
                "() => { const boxes = document.querySelectorAll('#graph button');"
                f" return parseFloat(boxes[1].style.{flows}) > parseFloat(boxes[0].style.{flows}) }}"
            )
            places = boxes.evaluate_all("all => all.map(box => [box.offsetLeft, box.offsetTop])")
            assert len({tuple(place) for place in places}) == 11
            cards = (
                "all => all.map(card => card.getBoundingClientRect()).map(({ top, bottom }) => [top, bottom])"
            )
            ends = page.locator("#layers .layer").evaluate_all(cards)
            assert len(set(map(tuple, ends))) == len({top for top, _ in ends})  # of a row alike
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        boxes.nth(0).focus()
        page.keyboard.press("End")
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("Enter")
        page.wait_for_function("() => document.activeElement.matches('#layers .layer:nth-child(10) canvas')")
        page.evaluate("scrollTo(0, 0)")
        draw(page, THREE)
        expect(page.locator("#verdict")).not_to_have_attribute("data-state", "blank")
        for place, title, words in (
            (2, "0 Residual", "what comes by the way around is .*: the sum is "),
            (6, "1 Branches", "a branch ends in it, "),
        ):
            page.locator("#layers .pickable").nth(place).click(position={"x": 30, "y": 30})
            expect(page.locator("#inspector-title")).to_have_text(re.compile(title))
            assert re.search(words, page.inner_text("#inspector-sum"))


def test_a_cell_whose_numbers_come_late_takes_no_other_cells_place(page):
    page.click("#example")  # one answer, where strokes have one each
    page.wait_for_selector('#verdict:not([data-state="blank"])')
    held = []
    page.route("**/api/cell", lambda route: held.append(route))

    def walk(number):
        page.locator("#layers .pickable").nth(number).focus()
        page.keyboard.press("ArrowRight")
        while len(held) <= number:
            page.wait_for_timeout(10)

    def let_in(route):
        with page.expect_response("**/api/cell") as answer:
            route.continue_()
        answer.value.finished()
        page.evaluate("new Promise(after => setTimeout(after, 100))")

    walk(0)
    walk(1)
    let_in(held[1])
    expect(page.locator("#inspector-title")).to_have_text(re.compile("^1 "))
    let_in(held[0])
    expect(page.locator("#inspector-title")).to_have_text(re.compile("^1 "))
    walk(2)
    page.keyboard.press("Escape")
    let_in(held[2])
    assert page.is_hidden("#inspector")


def test_the_keys_are_enough(either):
    page = either
    page.keyboard.press("Tab")
    for _ in range(12):
        if page.evaluate("document.activeElement.id") == "pad":
            break
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "pad"
    for _ in range(9):
        page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    for _ in range(18):
        page.keyboard.press("ArrowDown")
    check_verdict(page, "1")
    page.keyboard.press("Delete")
    check_verdict(page, "–", "blank")
    page.keyboard.press("ArrowUp")
    check_verdict(page, "–", "blank")  # the pen is up, and no late answer has come either
    while page.evaluate("document.activeElement.id") != "example":
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_selector('#verdict:not([data-state="blank"])')
    while page.evaluate("document.activeElement.tagName") != "CANVAS":
        page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("PageDown")
    page.wait_for_selector("#inspector:not([hidden])")
    expect(page.locator("#inspector-title")).to_have_text(re.compile("map 1, row 0, column 1$"))
    page.keyboard.press("Escape")
    page.locator("#tab-draw").focus()
    page.keyboard.press("ArrowRight")
    assert page.is_visible("#train")
    page.locator("#begin").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#step:not([disabled])")
    page.locator("#step").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#figures")).to_have_text(re.compile("^step 1 "))


def test_a_network_learns_before_ones_eyes(either):
    page = either
    page.click("#tab-train")
    page.wait_for_selector("#run:not([disabled])")  # the first look builds what can be run at once
    assert "plane; class 1, class 0: filled" in " ".join(page.inner_text("#surface-box").split())
    page.click("#ten")
    expect(page.locator("#figures")).to_have_text(re.compile("^step 10 "))
    page.click("#run")
    expect(page.locator("#figures")).to_have_text(re.compile("test (9[5-9]|100)"))
    page.click("#run")
    assert page.inner_text("#run") == "Run"
    # what was asked for before the pause is still answered
    expect(page.locator("#figures")).to_have_attribute("aria-busy", "false")
    before = page.inner_text("#figures")
    page.wait_for_timeout(300)
    assert page.inner_text("#figures") == before
    assert page.locator("#weights canvas").count() == 6
    drawn = page.evaluate(
        "const { width, height } = curve, inks = {};"
        "const { data } = curve.getContext('2d').getImageData(0, 0, width, height);"
        "for (let i = 0; i < data.length; i += 4)"
        "  inks[data.slice(i, i + 3)] = (inks[data.slice(i, i + 3)] ?? 0) + (data[i + 3] === 255);"
        "[inks['42,127,192'], inks['219,116,32']]"  # the loss of training and that of the test
    )
    assert min(drawn) > 100


def test_the_chain_rule_is_walked_to_and_fro(either):
    page = either
    page.click("#tab-train")
    page.check("input[value=digits]", force=True)
    assert page.locator("#stack li").count() == 7
    page.click("#begin")
    page.wait_for_selector("#start-over:not([disabled])")
    page.fill("#sample", "5")
    page.click("#start-over")
    page.wait_for_selector("#chain li[aria-current=step]")
    assert re.match("Loss [0-9.]+ at step 0: it gives", page.inner_text("#chain"))
    seen = [page.inner_text("#chain li[aria-current=step] strong")]
    while page.is_enabled("#forth"):
        page.click("#forth")
        seen.append(page.inner_text("#chain li[aria-current=step] strong"))
    kinds = [name.split()[1] for name in seen]
    assert kinds[:3] == ["Softmax", "Dense", "Flatten"]
    assert kinds[3:] == ["MaxPooling", "ReLU", "Convolutional"] * 2
    page.click("#back")
    assert page.inner_text("#chain li[aria-current=step] strong") == "1 ReLU"
    page.forgiven.append("422")  # a browser writes each refusal to its console
    page.fill("#sample", "4000")
    page.click("#start-over")
    page.wait_for_selector("#alert:not([hidden])")
    assert "sample must be an integer from 0 to 3999, got 4000" in page.inner_text("#alert")


def test_a_plan_is_changed_and_a_wrong_one_refused(either):
    page = either
    page.click("#tab-train")
    page.select_option("#kind", "Dropout")
    page.click("#add")
    page.select_option("#kind", "BatchNormalization")
    page.click("#add")
    page.click("[aria-label='Move up layer 6, BatchNormalization']")
    page.click("[aria-label='Remove layer 1, Dense']")
    assert [t.split()[0] for t in page.locator("#stack li").all_inner_texts()] == [
        "Tanh", "Dense", "Tanh", "BatchNormalization", "Dropout", "Dense",
    ]  # fmt: skip
    assert "Build anew" in page.inner_text("#unbuilt")  # what is shown is the network before
    page.click("#begin")
    page.wait_for_selector("#run:not([disabled])")
    assert page.inner_text("#unbuilt") == ""
    page.forgiven.append("422")
    page.select_option("#kind", "MaxPooling")
    page.click("#add")
    page.click("#begin")
    page.wait_for_selector("#alert:not([hidden])")
    assert "MaxPooling" in page.inner_text("#alert")
    page.click("#step")  # the network before goes on
    expect(page.locator("#figures")).to_contain_text("step 1 ")
    assert "Build anew" in page.inner_text("#unbuilt")


def test_ten_steps_are_ten_where_there_is_time_for_fewer_in_an_answer(page):
    def fewer(route):
        asked = route.request.post_data_json
        route.continue_(post_data={**asked, "steps": min(asked["steps"], 4)})

    page.click("#tab-train")
    page.click("#begin")
    page.wait_for_selector("#run:not([disabled])")
    page.route("**/api/lessons/advance", fewer)
    page.click("#ten")
    expect(page.locator("#figures")).to_have_text(re.compile("^step 10 "))


def test_an_answer_to_a_training_that_has_ended_or_pauses_sets_nothing_going(page):
    figures, held = page.locator("#figures"), []
    page.click("#tab-train")
    page.click("#begin")
    page.wait_for_selector("#run:not([disabled])")
    page.click("#step")
    expect(figures).to_have_text(re.compile("^step 1 "))
    page.route("**/api/lessons/advance", lambda route: held.append(route))

    def click(button):
        asked = len(held)
        page.click(button)
        while len(held) == asked:
            page.wait_for_timeout(10)

    click("#run")
    page.click("#run")
    click("#run")
    held[0].continue_()
    expect(figures).to_have_text(re.compile(r"^step ([2-9]|\d\d) "))
    page.evaluate("new Promise(after => requestAnimationFrame(() => setTimeout(after, 100)))")
    assert len(held) == 2  # the run that was paused asks for no more, though another goes on
    click("#ten")
    late = held[2].fetch()
    page.click("#begin")
    expect(figures).to_have_text(re.compile("^step 0 "))
    page.forgiven.append("404")
    held[2].fulfill(response=late)
    held[1].continue_()  # which is refused: the training has ended
    expect(figures).to_have_attribute("aria-busy", "false")
    assert page.inner_text("#figures").startswith("step 0 ")
    assert page.is_enabled("#run")
    assert page.is_hidden("#alert")


def test_maps_change_their_colours_with_the_page(page):
    draw(page, THREE)
    check_verdict(page, "3")
    seen = "() => document.querySelector('#layers .layer canvas').toDataURL()"
    light = page.evaluate(seen)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"light => ({seen})() !== light", arg=light)
    page.emulate_media(color_scheme="light")
    page.wait_for_function(f"light => ({seen})() === light", arg=light)


def test_who_pauses_between_two_answers_waits_for_none(page):
    page.click("#tab-train")
    page.click("#begin")
    page.wait_for_selector("#run:not([disabled])")
    page.evaluate("window.requestAnimationFrame = () => {}")  # for which it waits before it asks again
    page.click("#run")
    expect(page.locator("#figures")).to_have_text(re.compile("^step [1-9]"))
    assert page.get_attribute("#figures", "aria-busy") == "true"
    page.click("#run")
    expect(page.locator("#figures")).to_have_attribute("aria-busy", "false")


def test_a_training_that_ended_while_one_looked_begins_again(page):
    page.click("#tab-train")
    page.wait_for_selector("#run:not([disabled])")
    page.forgiven.append("404")
    page.route("**/api/lessons/advance", lambda route: route.continue_(post_data={"lesson": "?"}), times=1)
    page.click("#step")
    expect(page.locator("#figures")).to_have_text(re.compile("^step 1 "))
    assert page.is_hidden("#alert")
    page.check("input[value=circles]", force=True)  # other data are shown at once
    expect(page.locator("#figures")).to_have_text(re.compile("^step 0 "))


def test_an_answer_ends_no_complaint_of_another_cause(page, address):
    held, said = [], "The address has “cifar” for data; the page has xor, moons, circles, spiral, digits."
    page.click("#tab-train")
    page.wait_for_selector("#run:not([disabled])")
    page.route("**/api/lessons/advance", lambda route: held.append(route))
    page.click("#step")
    page.goto(f"{address}#train?data=cifar")
    expect(page.locator("#plan #alert")).to_have_text(said)
    held[0].continue_()
    expect(page.locator("#figures")).to_have_text(re.compile("^step 1 "))
    expect(page.locator("#plan #alert")).to_have_text(said)
    page.unroute("**/api/lessons/advance")
    page.click("#step")
    expect(page.locator("#figures")).to_have_text(re.compile("^step 2 "))
    assert page.is_hidden("#alert")  # what one does next ends it
    page.click("#tab-draw")
    page.route("**/api/draw", lambda route: route.continue_() if len(held) > 1 else held.append(route))
    draw(page, THREE)
    page.set_input_files("#picture", {"name": "large.png", "mimeType": "", "buffer": bytes(800_000)})
    expect(page.locator("#draw #alert")).to_contain_text("large.png has 800,000 bytes")
    held[1].continue_()
    check_verdict(page, "3")
    expect(page.locator("#draw #alert")).to_contain_text("large.png has 800,000 bytes")


def test_settings_stand_in_the_address_and_are_read_from_it(page, address):
    figures = page.locator("#figures")
    page.click("#tab-train")
    page.select_option("#penalty", "l2")
    page.select_option("#share", "0.05")  # other samples are shown at once
    expect(figures).to_have_text(re.compile("^step 0 "))
    page.click("#step")
    expect(figures).to_have_text(re.compile("^step 1 · epoch 1.0 "))
    link = page.url
    assert link == f"{address}#train?data=xor&layers=Dense-16,Tanh,Dense-16,Tanh&share=0.05&penalty=l2"
    assert page.is_visible("#penalised")
    page.goto(f"{address}#train?data=digits&layers=MaxPooling-4,Dropout-0.25&noise=0.2&rate=0.01&seed=7")
    expect(page.locator("#guesses li")).to_have_count(12)
    expect(figures).to_have_text(re.compile("^step 0 "))  # built, but nothing runs by itself
    plan = page.evaluate("import('/plan.js').then(({ plan }) => plan())")
    assert plan == {
        **{"data": "digits", "noise": 0.2, "share": 1, "optimizer": "Adam", "learning_rate": 0.01},
        **{"batch_size": 32, "seed": 7},
        "layers": [{"kind": "MaxPooling", "pool_size": 2 * 2}, {"kind": "Dropout", "rate": 0.25}],
    }
    page.click("#step")
    expect(page.locator("#guesses li:first-child")).to_have_text(re.compile("[✓✗] [0-9]"))
    for wrong, said in (
        ("data=cifar", "The address has “cifar” for data; the page has xor, moons, circles, spiral, digits."),
        ("layers=Dense-65", "The address has “Dense-65”; Dense wants output size from 1 to 64."),
        ("layers=Dense-1e1", "The address has “Dense-1e1”; Dense wants output size from 1 to 64."),
        ("layers=constructor", "The address names a layer “constructor”; the page has Convolutional,"),
        ("run=1", "The address has “run”, which is no setting of this page."),
        ("seed=0&seed=1", "The address has seed more than once."),
    ):
        page.goto(f"{address}#train?{wrong}")
        expect(page.locator("#plan #alert")).to_contain_text(said)
        assert page.locator("#stack li").count() == 3  # all stays as it was
    page.goto(link)
    expect(page.locator("#units canvas")).to_have_count(2)
    page.click("#copy")
    expect(page.locator("#copied")).not_to_be_empty()


def test_a_plan_in_the_address_waits_for_what_can_be_chosen(window, address):
    page, held = window.open(f"{address}"), []
    page.route("**/api/network", lambda route: held.append(route))
    page.goto(f"{address}?#train?data=spiral&seed=7")
    page.wait_for_selector("#train:not([hidden])")
    page.click("#tab-train")  # no click, and no other address, loses it
    page.evaluate("location.hash = '#train?data=circles&seed=7'")
    held[0].continue_()
    expect(page.locator("#figures")).to_have_text(re.compile("^step 0 "))
    assert page.is_checked("input[value=circles]")
    assert page.input_value("#seed") == "7"
    for text, seed in (("1e3", "1000"), ("", None)):  # what a field of numbers lets one write
        page.fill("#seed", text)
        page.click("#copy")
        assert page.url.partition("&seed=")[2] == (seed or "")
    page.evaluate("location.hash = '#draw'")
    page.wait_for_selector("#draw:not([hidden])")


def test_the_network_that_one_trained_is_drawn_for_saved_and_opened_again(either):
    page, model = either, either.locator("#model")
    draw(page, THREE)
    check_verdict(page, "3")
    page.click("#tab-train")
    page.check("input[value=digits]", force=True)
    expect(page.locator("#figures")).to_have_text(re.compile("^step 0 "))
    page.click("#ten")
    expect(page.locator("#figures")).to_have_text(re.compile("^step 10 "))
    page.click("#draw-for")
    expect(model).to_have_text("digits, 10 steps · 2,606 parameters")
    expect(page.locator("#layers h3")).to_have_count(10)
    bars = page.locator("#bars")
    expect(bars).not_to_contain_text("100.0 %")  # the drawing has stayed, and is another network's now
    expect(bars).to_contain_text(re.compile("[1-9] %"))
    answer = page.inner_text("#bars")
    with page.expect_download() as saved:
        page.click("#save-network")
    assert saved.value.suggested_filename == "digits-10-steps.safetensors"
    file = saved.value.path().read_bytes()
    page.click("#own-network")
    check_verdict(page, "3")
    page.set_input_files(
        "#network-file", {"name": "mine.safetensors", "mimeType": "application/octet-stream", "buffer": file}
    )
    expect(model).to_have_text("mine.safetensors · 2,606 parameters")
    expect(bars).to_have_text(answer, use_inner_text=True)
    page.forgiven.append("422")
    page.evaluate(
        "const dataTransfer = new DataTransfer();"
        "dataTransfer.items.add(new File(['import os'], 'model.py'));"
        "dispatchEvent(new DragEvent('drop', { dataTransfer, cancelable: true }))"
    )
    expect(page.locator("#alert")).to_have_text(
        re.compile("^model.py: neither a model's file of purecnn nor")
    )
    expect(model).to_have_text("mine.safetensors · 2,606 parameters")


def drop(page, files):
    """Drop files on the page, made by a script."""
    page.evaluate(
        f"const dataTransfer = new DataTransfer(); for (const file of {files}) dataTransfer.items.add(file);"
        "dispatchEvent(new DragEvent('drop', { dataTransfer, cancelable: true }))"
    )


def test_what_is_dropped_and_can_not_be_opened_is_told(page):
    alert = page.locator("#alert")
    page.click("#tab-train")
    drop(page, "[new File(['1'], 'a.onnx'), new File(['2'], 'b.onnx')]")
    expect(alert).to_have_text("2 files were dropped: one is wanted.")
    # a folder is a file that can't be read
    page.evaluate("void (File.prototype.arrayBuffer = () => Promise.reject(Error('NotFoundError')))")
    drop(page, "[new File([], 'models')]")
    expect(alert).to_have_text("models can’t be read: a file is wanted, no folder.")
    page.click("#draw-for")
    page.wait_for_selector("#numbers input")
    drop(page, "[new File([], 'cat.png', { type: 'image/png' })]")
    expect(alert).to_have_text("cat.png was not opened: this network takes 2 numbers, no picture.")


def test_a_network_that_was_put_away_meanwhile_gives_place_to_the_pages_own(page):
    model = page.locator("#model")
    page.click("#tab-train")
    page.wait_for_selector("#draw-for:not([disabled])")
    page.click("#draw-for")
    expect(model).to_have_text("xor, 0 steps · 337 parameters")
    assert page.locator("#numbers output").all_inner_texts() == ["0.00", "0.00"]
    page.forgiven.append("404")
    page.route("**/api/draw", lambda route: route.continue_(post_data={"network": "?"}), times=1)
    page.locator("#numbers input").nth(1).fill("254")
    expect(page.locator("#alert")).to_contain_text("This network was put away since")
    expect(model).to_have_text("digits · 4,350 parameters")
    draw(page, THREE)
    check_verdict(page, "3")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_narrow_window(touched, address, scheme):
    with opened(touched, address, width=390, height=800, scheme=scheme) as page:
        page.wait_for_selector("#layers .layer canvas")
        draw(page, THREE)
        check_verdict(page, "3")
        walk_over_layers(page)
        page.keyboard.press("Escape")
        for tab in ("#tab-draw", "#tab-train"):
            page.click(tab)
            if tab == "#tab-train":
                page.click("#begin")
                page.wait_for_selector("#run:not([disabled])")
                page.click("#start-over")
                page.wait_for_selector("#chain li[aria-current=step]")
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, paper[4:-1].split(","))) < 200) == (scheme == "dark")


def test_names_of_classes_are_text(window, tmp_path):
    network = Network([Dense(64, 2), Sigmoid()], task="multilabel")
    network.layers[0].parameters["biases"][...] = [[-9], [9]]  # the one is not given, the other is
    network.preprocessing.classes = ("<img src=x onerror=alert(1)>", "<b>dog</b>")
    with served_network(network, tmp_path) as address, opened(window, address) as page:
        page.wait_for_selector("#layers .layer canvas")
        draw(page, THREE)
        page.wait_for_selector('#verdict:not([data-state="blank"])')
        assert page.locator("#bars img, #verdict img, #bars b").count() == 0
        assert "<b>dog</b>" in page.inner_text("#bars .best")
        assert page.locator("#bars .best").count() == 1
        assert page.inner_text("#raw-caption") == "What you drew."


def test_a_vector_is_set_by_sliders(window, tmp_path):
    network = Network([Dense(5, 2)], task="regression")
    network.layers[0].parameters["biases"][...] = [[3], [-6]]
    with served_network(network, tmp_path) as address, opened(window, address) as page:
        page.wait_for_selector("#numbers input >> nth=4")
        assert page.is_hidden("#pad")
        page.wait_for_selector('#verdict:not([data-state="blank"])')
        assert page.inner_text("#bars-title") == "The values that it gives, in the units that it learnt."
        ends = "all => all.map(bar => [bar.className, bar.style.marginLeft, bar.style.width])"
        found = page.locator("#bars .track span").evaluate_all(ends)
        assert found == [["plus", "50%", "25%"], ["minus", "0%", "50%"]]
        before = page.inner_text("#bars")
        page.locator("#numbers input").nth(2).fill("255")
        expect(page.locator("#bars")).not_to_have_text(before, use_inner_text=True)
        assert page.locator("#numbers output").all_inner_texts() == ["0", "0", "255", "0", "0"]


def test_an_end_of_the_server_is_told(window, address):
    with opened(window, address) as page:
        page.wait_for_selector("#layers .layer canvas")
        page.forgiven.append("net::ERR_FAILED")
        page.route("**/api/draw", lambda route: route.abort())
        draw(page, THREE)
        page.wait_for_selector("#alert:not([hidden])")
        assert page.inner_text("#alert") == "The playground does not answer: is it still running?"


def test_a_still_picture_of_the_course_becomes_live(site_page):
    page, window, address = site_page
    page.forgiven = ["422"]
    page.evaluate(
        """() => {
          const shown = document.createElement('p'), script = document.createElement('script');
          const picture = Object.assign(new Image(), {className: 'live-figure', id: 'figure-convolution'});
          shown.append(picture);
          script.src = 'figures.js';
          document.body.prepend(shown, script);
        }"""
    )
    page.click(".live-try")
    says, box = page.locator(".live-says"), page.locator(".live-box")
    expect(says).to_have_text("\N{MINUS SIGN}1 · 0 + 1 · 3 \N{MINUS SIGN} 1 · 0 + 1 · 3 = 6")
    assert page.is_hidden("#figure-convolution")
    page.fill("[aria-label='Kernel, row 0, column 1']", "2")
    expect(says).to_have_text("\N{MINUS SIGN}1 · 0 + 2 · 3 \N{MINUS SIGN} 1 · 0 + 1 · 3 = 9")
    page.fill("[aria-label='Kernel, row 0, column 1']", "99")  # which is not sent
    page.locator(".live-spot").nth(2).click()  # in the map, row 0, column 2
    expect(says).to_have_text("\N{MINUS SIGN}1 · 3 + 2 · 3 \N{MINUS SIGN} 1 · 3 + 1 · 3 = 3")
    assert box.get_by_label("Column of the window").input_value() == "2"
    assert box.locator("svg").get_attribute("aria-label") == says.inner_text()
    box.get_by_label("Row of the window").fill("2")
    page.click("text=As it was")
    expect(says).to_have_text("\N{MINUS SIGN}1 · 0 + 1 · 3 \N{MINUS SIGN} 1 · 0 + 1 · 3 = 6")
    page.evaluate("document.querySelector('.live-box').remove()")
    check_silence(window, page, address)


def test_each_card_leads_to_the_page_that_explains_its_layer(either):
    links, here = either.locator("#layers .what"), either.url.partition("#")[0]
    if either.evaluate("document.documentElement.dataset.answers") == "server":
        assert links.count() == 0  # no address of the documents was given
        return
    found = links.evaluate_all("links => links.map(link => [link.ariaLabel, link.href])")
    docs = urljoin(here, "../docs/")
    assert found[0] == ["what is this? Convolutional", f"{docs}course/convolution.html"]
    assert found[-1] == ["what is this? Softmax", f"{docs}course/cross-entropy.html"]
    assert len(found) == either.locator("#layers .layer").count() - 1  # the input has none
    told = "links => links.map(link => [link.hidden, link.href])"
    parts = either.locator("[data-explained]").evaluate_all(told)
    assert all(not hidden and href.startswith(f"{docs}course/") for hidden, href in parts), parts


def test_one_draws_before_python_has_come_and_a_broken_download_is_tried_again(site_page, chromium):
    _, _, address = site_page
    page = browser.Window(chromium).page
    page.add_init_script(
        "Object.defineProperty(window, 'Worker', { value: class extends EventTarget {"
        "  constructor() { super(); (window.workers ??= []).push(this); }"
        "  postMessage(asked) { (this.asked ??= []).push(asked); }"
        "  terminate() { this.over = true; }"
        "  say(data) { this.dispatchEvent(new MessageEvent('message', { data })); } } })"
    )
    page.goto(address)
    page.wait_for_selector("#layers .layer canvas")
    said = page.locator("#loading-words")
    expect(said).to_have_text("Python is on its way …")
    page.evaluate("workers[0].say({ stage: 'Python is fetched', done: 2.5e6, total: 9.7e6 })")
    expect(said).to_have_text("Python is fetched: 2.5 of 9.7 MB")
    draw(page, THREE)
    assert page.is_hidden("#pad-hint")  # which goes with the first stroke
    page.evaluate("workers[0].say({ stage: 'failed', why: 'Python could not be started: it broke off' })")
    expect(said).to_have_text("Python could not be started: it broke off")
    expect(page.locator("#alert")).to_have_text("Python could not be started: it broke off")
    page.click("#loading-again")
    assert page.evaluate("[workers.length, workers[0].over]") == [2, True]
    page.evaluate("workers[1].say({ stage: 'ready' })")
    assert page.is_hidden("#loading")
    # what was drawn before is asked about, and needs no other stroke
    asked = "new Promise(after => setTimeout(() => after(workers.at(-1).asked?.map(([, path]) => path)), 50))"
    assert page.evaluate(asked) == ["draw"]
    page.evaluate("workers[1].say({ stage: 'failed', why: 'it broke off' })")
    expect(page.locator("#why")).to_have_text("There is no answer.")
    page.click("#clear")
    page.click("#tab-train")
    expect(page.locator("#plan #alert")).to_have_text("it broke off")
    page.click("#loading-again")
    page.evaluate("workers[2].say({ stage: 'ready' })")
    assert page.evaluate(asked) == ["lessons/begin"]


def test_a_browser_without_webassembly_is_told(site_page, chromium):
    _, _, address = site_page
    page = browser.Window(chromium).page
    page.add_init_script("delete window.WebAssembly")
    page.goto(address)
    expect(page.locator("#loading-words")).to_have_text(re.compile("wants WebAssembly, workers"))
    assert page.is_hidden("#loading-again")


def hurried(page):
    """Let the worker wait little between its tries."""

    def answer(route):
        script = route.fetch().text()
        assert "[500, 2000, 5000]" in script
        route.fulfill(body=script.replace("[500, 2000, 5000]", "[5, 20, 50]"), content_type="text/javascript")

    page.route("**/worker.js", answer)


@pytest.mark.parametrize("name", ["draw.js", "maps.js", "train.js"])
def test_a_page_whose_script_does_not_come_says_so(site_page, apart, name):
    _, _, address = site_page
    page = apart.open("about:blank", still=False)
    page.route("**/worker.js", lambda route: route.abort())  # Python is not looked at here
    page.route(f"**/{name}", lambda route: route.abort())
    page.goto(f"{address}#train")
    # for the words come after four seconds, by an animation
    page.context.new_cdp_session(page).send("Animation.setPlaybackRate", {"playbackRate": 50})
    words = page.locator("#unfetched")
    expect(words).to_have_css("visibility", "visible", timeout=1000 * PATIENCE)
    expect(words).to_have_text("A part of this page has not come yet. Try again")
    page.unroute(f"**/{name}")
    words.get_by_role("link").click()
    page.wait_for_selector("#layers .layer canvas")
    expect(words).to_be_hidden()


def test_what_comes_damaged_is_asked_for_again(site_page, chromium):
    _, _, address = site_page
    page, tries = browser.Window(chromium).page, {"site.json": 0, "purecnn.zip.gz": 0}
    # as from a host that tells browsers to unpack it
    package = gzip.decompress(page.request.get(f"{address}purecnn.zip.gz").body())

    def answer(route):
        name = route.request.url.rpartition("/")[2]
        tries[name] += 1
        if name == "site.json":  # for the page first, or for its worker
            return route.fulfill(body="<html>") if tries[name] <= 2 else route.continue_()
        if tries[name] == 1:
            return route.fulfill(body=bytes(1000))
        return route.fulfill(body=package, headers={"content-encoding": "gzip"})

    for name in tries:
        page.route(f"**/{name}", answer)
    page.route("**/pyodide.mjs*", lambda route: route.abort())
    hurried(page)
    page.goto(address)
    page.wait_for_selector("#layers .layer canvas")
    expect(page.locator("#loading-words")).to_have_text(
        "Python could not be started: pyodide.mjs could not be fetched, or is damaged"
    )
    assert tries == {"site.json": 4, "purecnn.zip.gz": 2}
    page.unroute("**/site.json")
    page.route("**/site.json", lambda route: route.abort())
    page.add_init_script("{ const wait = setTimeout; setTimeout = (then, time) => wait(then, time / 50) }")
    page.goto(address)
    expect(page.locator("#alert")).to_have_text("This page could not be fetched whole: try again.")
    page.unroute_all(behavior="ignoreErrors")
    page.click("#loading-again")
    page.wait_for_selector("#layers .layer canvas")
    page.close()
