"""The pages, driven as a reader drives them, in the Chromium that is installed.

They skip where Playwright or a Chromium is missing; `CHAINRULE_CHROMIUM` names another one.
"""

import json
import os
import re
import shutil
from html import escape
from pathlib import Path

import pytest
from tests.explain.stories import article, diamond, interpolation, lenet

import chainrule
from chainrule.explain.page import graph_page, walk_page
from chainrule.explain.walk import frames_of

pytest.importorskip("fast_sugiyama", reason="the extra `explain` is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM = os.environ.get("CHAINRULE_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), "")
needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium here")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def visit(browser, tmp_path):
    """Opens a page; at the end there must have been no error, and no request but the page's own."""
    errors, asked, contexts = [], [], []

    def opened(html, size=WIDE, scheme="light"):
        path = Path(tmp_path / "page.html")
        path.write_text(html, encoding="utf-8")
        context = browser.new_context(
            viewport=size, color_scheme=scheme, reduced_motion="reduce", offline=True
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("console", lambda message: errors.append(message.text))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(path.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert errors == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []


def title(page):
    return page.locator("#title").inner_text()


def shown(page):
    """What the frame shows: for each exhibit its label and number."""
    figures = page.locator(".exhibits figure")
    told = {}
    for figure in figures.all():
        scalar = figure.locator(".scalar")
        if scalar.count():
            told[figure.locator("figcaption").inner_text()] = scalar.inner_text()
    return told


@needs_chromium
class TestWalk:
    def test_the_article_by_keys_shows_the_tape_s_numbers(self, visit):
        page = visit(walk_page(article().record))
        assert title(page) == "What is given"
        assert shown(page) == {"x": "-2", "y": "5", "z": "-4"}
        page.keyboard.press("ArrowRight")
        heard = page.get_by_role("status").first.inner_text()
        assert heard == "Step 2 of 6: x + y. x + y = -2 + 5 = 3"
        assert shown(page) == {"x": "-2", "y": "5", "x + y": "3"}
        page.keyboard.press("ArrowRight")
        assert shown(page) == {"x + y": "3", "z": "-4", "f": "-12"}
        page.keyboard.press("ArrowRight")
        assert title(page) == "Back through f = (x + y) * z"
        assert shown(page) == {
            "∂f/∂f": "1",
            "local: ∂f/∂(x + y)": "-4",
            "∂f/∂(x + y)": "-4",
            "local: ∂f/∂z": "3",
            "∂f/∂z": "3",
        }
        assert "∂f/∂z = ∂f/∂f · ∂f/∂z = 1 × 3 = 3" in page.locator("#panel").inner_text()
        page.keyboard.press("ArrowRight")
        assert (shown(page)["∂f/∂x"], shown(page)["∂f/∂y"]) == ("-4", "-4")
        page.keyboard.press("End")
        assert title(page) == "What came of it"
        page.keyboard.press("Home")
        assert title(page) == "What is given"

    def test_buttons_and_slider_reach_every_step(self, visit):
        record = diamond()[0].record
        frames = frames_of(record)
        page = visit(walk_page(record))
        titles = [title(page)]
        while page.locator("#next").is_enabled():
            page.locator("#next").click()
            titles.append(title(page))
        assert titles == [frame.title for frame in frames]
        page.locator("#previous").click()
        assert title(page) == titles[-2]
        page.locator("#first").click()
        assert title(page) == titles[0]
        assert page.locator("#previous").is_disabled()
        page.locator("#last").click()
        assert title(page) == titles[-1]
        page.locator("#slider").fill("3")
        assert title(page) == titles[3]
        assert page.locator("#place").inner_text() == f"4 / {len(frames)}"

    def test_it_plays_and_pauses(self, visit):
        page = visit(walk_page(article().record))
        page.locator("#play").click()
        assert page.locator("#play").get_attribute("aria-pressed") == "true"
        page.locator("#place", has_text="2 / 6").wait_for()
        page.locator("#play").click()
        assert page.locator("#play").get_attribute("aria-pressed") == "false"

    def test_the_node_it_is_about_is_lit_and_nothing_is_shown_too_early(self, visit):
        page = visit(walk_page(article().record))
        grads = page.locator("#cr-s1 .cr-grad")
        assert page.locator(".cr-lit.cr-node").count() == 0
        page.keyboard.press("ArrowRight")
        assert page.locator("#cr-s0").evaluate("e => e.classList.contains('cr-lit')")
        assert not page.locator("#cr-s1 .cr-value").is_visible()  # f is not known yet
        page.keyboard.press("ArrowRight")
        assert page.locator("#cr-s1 .cr-value").is_visible()
        assert not grads.is_visible()
        page.keyboard.press("ArrowRight")
        assert grads.is_visible()
        assert not page.locator("#cr-v0 .cr-grad").is_visible()

    def test_the_user_s_line_is_marked(self, visit):
        page = visit(walk_page(article().record))
        page.keyboard.press("ArrowRight")
        here = page.locator(".code .here code").inner_text()
        assert here.strip() == "f = (x + y) * z"

    def test_the_last_matrix_shows_the_gradient_number_by_number(self, visit):
        story, net = interpolation()
        page = visit(walk_page(story.record))
        page.keyboard.press("End")
        part = page.locator(".part", has=page.get_by_text("net.4.bias", exact=True).first)
        scalar = part.locator("figure.gradient .scalar").inner_text()
        assert float(scalar) == pytest.approx(net[4].bias.grad.item(), rel=1e-3)

    @pytest.mark.parametrize("tell", [interpolation, lenet])
    @pytest.mark.parametrize(("size", "scheme"), [(WIDE, "light"), (NARROW, "dark")])
    def test_a_network_from_end_to_end_and_each_step_is_quick(self, visit, tell, size, scheme):
        html = walk_page(tell()[0].record)
        assert len(html.encode()) < 3_000_000
        page = visit(html, size, scheme)
        count = int(page.locator("#slider").get_attribute("max")) + 1
        times = page.evaluate(
            """() => {
                const times = [];
                for (let i = 0; i < frames.length; i += 1) {
                    const begin = performance.now();
                    show(i);
                    document.body.getBoundingClientRect();
                    times.push(performance.now() - begin);
                }
                return times;
            }"""
        )
        assert len(times) == count
        assert sorted(times)[len(times) // 2] < 50  # the median: others work on this machine too
        assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]

    def test_names_and_code_are_text_and_never_markup(self, visit):
        bad = "</script><img src=x onerror=alert(1)>"
        x = chainrule.tensor(1.0, requires_grad=True)
        with chainrule.explain(names={bad: x}) as story:
            (x * 2).backward()
        page = visit(walk_page(story.record))
        assert list(shown(page)) == [bad]
        page.keyboard.press("End")
        assert page.locator("img").count() == 0

    def test_infinite_and_undefined_numbers_are_shown_as_such(self, visit):
        x = chainrule.tensor([[0.0, -1.0], [1e30, 2.0]], requires_grad=True)
        many = chainrule.full((10, 10), float("nan"), requires_grad=True)
        with chainrule.explain() as story:
            y = x.log() / x * 1e30
            (y.sum() + (many * 2).sum()).backward()
        page = visit(walk_page(story.record))
        page.keyboard.press("ArrowRight")
        assert page.locator("figure.value").last.locator("td").all_inner_texts()[:2] == [
            "-inf",
            "nan",
        ]
        page.keyboard.press("End")
        assert "100" in page.locator("#panel").inner_text()  # so many are not finite

    def test_a_link_leads_to_a_step(self, visit):
        page = visit(walk_page(article().record))
        page.goto(page.url + "#3")
        page.reload()
        assert title(page) == "f = (x + y) * z"


@needs_chromium
class TestGraphPage:
    def page_of(self, story):
        drawing = story.graph()
        return graph_page(drawing.record, drawing.folded)

    def test_modules_unfold_and_fold_by_click(self, visit):
        page = visit(self.page_of(lenet()[0]))
        assert "net.conv1.weight" not in page.locator("#pane").inner_text()
        page.get_by_role("button", name="Unfold net.conv1 (Conv2d)").click()
        assert "net.conv1.weight" in page.locator("#pane").inner_text()
        page.get_by_role("button", name="Fold net.conv1 (Conv2d)").click()
        assert "net.conv1.weight" not in page.locator("#pane").inner_text()

    def test_and_by_keyboard(self, visit):
        page = visit(self.page_of(lenet()[0]))
        knob = page.get_by_role("button", name="Unfold net.fc3 (Linear)")
        assert knob.get_attribute("aria-expanded") == "false"
        knob.focus()
        page.keyboard.press("Enter")
        assert "net.fc3.weight" in page.locator("#pane").inner_text()
        page.get_by_role("button", name="Fold net.fc3 (Linear)").focus()
        page.keyboard.press(" ")
        assert "net.fc3.weight" not in page.locator("#pane").inner_text()

    def test_all_at_once(self, visit):
        page = visit(self.page_of(lenet()[0]))
        layers = page.locator(".cr-node").count()
        page.locator("#all").click()
        assert page.locator(".cr-node").count() > layers
        page.locator("#none").click()
        assert page.locator(".cr-node").count() == 4  # images, net, labels, loss
        page.locator("#base").click()
        assert page.locator(".cr-node").count() == layers

    def test_it_zooms(self, visit):
        page = visit(self.page_of(article()), NARROW, "dark")
        before = page.locator("#pane > svg").bounding_box()["width"]
        page.locator("#closer").click()
        assert page.locator("#pane > svg").bounding_box()["width"] > before


@pytest.mark.parametrize("tell", [article, lenet])
def test_a_page_holds_all_it_needs(tell):
    story = tell()
    html = walk_page((story[0] if isinstance(story, tuple) else story).record)
    assert "default-src 'none'" in html
    outside = re.sub(r"http://www\.w3\.org/2000/svg", "", html)
    assert not re.search(
        r"https?://|@import|\bfetch\(|XMLHttpRequest|<link[^>]+href=\"(?!data:)", outside
    )
    data = html.split('type="application/json">')[1].split("</script>")[0]
    assert "<" not in data
    assert json.loads(data)["frames"]


@needs_chromium
def test_a_walk_in_the_frame_of_a_notebook_can_be_stepped_through(visit):
    """Such a page is text in an attribute: it has no address, and must not try to change it."""
    walk = escape(walk_page(article().record))
    page = visit(f'<!doctype html><iframe srcdoc="{walk}" width="1200" height="760"></iframe>')
    frame = page.frame_locator("iframe")
    frame.locator("#next").click()
    frame.locator("#next").click()
    assert "f = (x + y)" in frame.locator("#title").inner_text()
    assert frame.locator(".exhibits figure").count() > 0
