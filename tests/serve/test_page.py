"""The page in a browser: drawn on by mouse and by keys, it says what the network says."""

import os
import shutil
from urllib.parse import urlsplit

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM = os.environ.get("CHAINRULE_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), "")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium here")

# How a hand writes each digit: strokes of points in 0..1 of the pad.
DIGITS = {
    0: [[(0.5, 0.15), (0.32, 0.28), (0.27, 0.5), (0.33, 0.74), (0.5, 0.85), (0.67, 0.74),
         (0.73, 0.5), (0.68, 0.28), (0.5, 0.15)]],
    1: [[(0.52, 0.14), (0.5, 0.5), (0.48, 0.86)]],
    2: [[(0.28, 0.32), (0.36, 0.18), (0.54, 0.14), (0.69, 0.24), (0.69, 0.4), (0.52, 0.6),
         (0.27, 0.84), (0.74, 0.83)]],
    3: [[(0.3, 0.22), (0.48, 0.14), (0.66, 0.24), (0.64, 0.4), (0.46, 0.48), (0.66, 0.56),
         (0.7, 0.72), (0.52, 0.86), (0.29, 0.78)]],
    4: [[(0.36, 0.16), (0.3, 0.5), (0.68, 0.5)], [(0.64, 0.2), (0.62, 0.88)]],
    5: [[(0.68, 0.15), (0.37, 0.16), (0.34, 0.45), (0.54, 0.42), (0.7, 0.56), (0.68, 0.76),
         (0.5, 0.86), (0.3, 0.8)]],
    6: [[(0.6, 0.13), (0.42, 0.3), (0.33, 0.56), (0.37, 0.78), (0.52, 0.86), (0.66, 0.76),
         (0.66, 0.6), (0.53, 0.52), (0.37, 0.62)]],
    7: [[(0.27, 0.18), (0.72, 0.18), (0.56, 0.5), (0.45, 0.87)]],
    8: [[(0.64, 0.25), (0.5, 0.14), (0.36, 0.25), (0.42, 0.42), (0.6, 0.57), (0.67, 0.72),
         (0.52, 0.86), (0.36, 0.74), (0.42, 0.57), (0.6, 0.42), (0.64, 0.25)]],
    9: [[(0.65, 0.3), (0.53, 0.16), (0.37, 0.24), (0.36, 0.4), (0.5, 0.48), (0.64, 0.36),
         (0.65, 0.3), (0.64, 0.6), (0.58, 0.87)]],
}  # fmt: skip


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield started
        started.close()


@pytest.fixture
def visit(browser, address):
    """Opens the page; at the end there must have been no error, and no request elsewhere."""
    errors, contexts = [], []

    def opened(size=(1280, 900), scheme="light", touch=False):
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, has_touch=touch
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: elsewhere(request.url))
        page.goto(address)
        page.wait_for_selector("#labels button")
        return page

    def elsewhere(url):
        if not url.startswith((address, "data:")):
            errors.append(f"asked {urlsplit(url).netloc}")

    yield opened
    for context in contexts:
        context.close()
    assert errors == []


def draw(page, digit):
    """By mouse, as a hand would."""
    box = page.locator("#pad").bounding_box()

    def at(point):
        return box["x"] + point[0] * box["width"], box["y"] + point[1] * box["height"]

    for stroke in DIGITS[digit]:
        page.mouse.move(*at(stroke[0]))
        page.mouse.down()
        for point in stroke[1:]:
            page.mouse.move(*at(point), steps=4)
        page.mouse.up()


def answer(page):
    """What it says once it has seen the whole drawing."""
    page.wait_for_selector("body[data-asking=no]")  # waiting for a function would need eval
    return page.inner_text("#said b")


def test_eight_of_ten_digits_drawn_by_mouse_are_read(visit):
    page, read = visit(), {}
    for digit in DIGITS:
        draw(page, digit)
        read[digit] = answer(page)[0]
        page.click("#clear")
        page.wait_for_selector("#said:not(:has(b))")
    right = [digit for digit, said in read.items() if said == str(digit)]
    assert len(right) >= 8, read


def test_a_digit_drawn_by_keys_is_read(visit):
    page = visit()
    page.focus("#pad")
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    for _ in range(8):
        page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    assert "down" in page.inner_text("#pen")
    for _ in range(18):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    assert "lifted" in page.inner_text("#pen")
    assert answer(page).startswith("1")
    page.keyboard.press("Backspace")
    assert "no drawing" in page.inner_text("#said")


def test_the_page_shows_the_server_s_numbers(visit):
    page = visit()
    with page.expect_response("**/api/look*"):
        draw(page, 7)
    said = answer(page)
    shown = page.locator("#chances tbody tr").evaluate_all(
        "rows => rows.map(row => parseFloat(row.lastChild.textContent))"
    )
    assert abs(sum(shown) - 100) < 0.5
    assert f"{shown.index(max(shown))}" == said[0]
    assert page.locator("#layers li").count() == 11
    natural = "images => images.map(image => image.naturalWidth)"
    assert all(page.locator("#layers img, #seen, #push").evaluate_all(natural))


def test_it_is_corrected_and_forgets(visit):
    page = visit()
    draw(page, 7)
    assert answer(page)[0] == "7"
    before = page.inner_text("#chances tbody tr:nth-child(3)")
    page.get_by_role("button", name="2", exact=True).click()
    page.wait_for_selector("#lesson table")
    row = page.inner_text("#lesson tbody tr:first-child").split("\t")
    assert float(row[2].split()[0]) > float(row[1].split()[0])
    answer(page)
    assert "copy" in page.inner_text("#time")
    page.click("#forget")
    answer(page)
    assert page.inner_text("#chances tbody tr:nth-child(3)") == before
    assert page.locator("#forget").is_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_it_fits_and_fingers_draw(visit, scheme):
    page = visit(size=(390, 844), scheme=scheme, touch=True)
    box = page.locator("#pad").bounding_box()
    page.touchscreen.tap(box["x"] + 100, box["y"] + 100)
    answer(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_everything_can_be_reached_by_keys_and_has_a_name(visit):
    page = visit()
    draw(page, 3)
    answer(page)
    nameless = page.locator("button, canvas, input, img:visible").evaluate_all(
        """all => all.filter(each => !(each.textContent.trim() || each.ariaLabel || each.alt
            || each.labels?.length || each.id === "under")).map(each => each.outerHTML)"""
    )
    assert nameless == []
    page.evaluate("document.activeElement.blur()")
    reached = set()
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.title"))
    assert {"pad", "undo", "clear", "rate", "It is 3 - three"} <= reached
