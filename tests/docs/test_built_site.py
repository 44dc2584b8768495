"""The site as it was built, in the Chromium that is installed: `make docs` runs this when done.

`CHAINRULE_SITE` names the folder; there is nothing to look at without it.
"""

import os
import shutil
from pathlib import Path

import pytest

SITE = Path(os.environ.get("CHAINRULE_SITE") or "nothing").resolve()
if not (SITE / "index.html").exists():
    pytest.skip("no site was named: make docs does it", allow_module_level=True)
playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM = os.environ.get("CHAINRULE_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), "")
if not CHROMIUM:
    pytest.skip("there is no Chromium here", allow_module_level=True)
PAGES = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html"))
PAGES.remove("404.html")  # for servers: it may be asked for under any path
SOME = ["index.html", "operations.html", *PAGES[:: max(len(PAGES) // 24, 1)]]
"""That no page names another machine's files is seen while it is built; these are opened, too."""
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def page(browser, request):
    """A page; at the end there must have been no error, and no request to anybody else."""
    errors, strangers = [], []
    context = browser.new_context(viewport=getattr(request, "param", WIDE), color_scheme="light")
    opened = context.new_page()
    opened.on("console", lambda said: said.type == "error" and errors.append(said.text))
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on(
        "request",
        lambda asked: asked.url.startswith("http") and strangers.append(asked.url),
    )
    yield opened
    context.close()
    assert errors == []
    assert strangers == []


def test_pages_open_by_themselves(page):
    for name in SOME:
        page.goto((SITE / name).as_uri(), wait_until="domcontentloaded")
        assert page.locator("h1").count() >= 1, name


@pytest.mark.parametrize("page", [NARROW], indirect=True, ids=["phone"])
def test_pages_fit_on_a_phone(page):
    wide = []
    for name in SOME:
        page.goto((SITE / name).as_uri())
        if page.evaluate("document.documentElement.scrollWidth") > NARROW["width"]:
            wide.append(name)
    assert wide == []


def test_pictures_are_there(page):
    for name in ("index.html", "tutorial/1-chain-rule.html", "tutorial/8-looking-inside.html"):
        page.goto((SITE / name).as_uri())
        widths = page.evaluate("[...document.images].map((each) => each.naturalWidth)")
        assert widths, name
        assert min(widths) > 0, name


def test_search_works_without_a_server(page):
    page.goto((SITE / "index.html").as_uri())
    page.click(".md-search__input")
    page.keyboard.type("layer_norm")
    page.wait_for_selector(".md-search-result__item")
    assert "layer_norm" in page.inner_text(".md-search-result__list")


def test_light_and_dark_can_be_chosen(page):
    page.goto((SITE / "index.html").as_uri())
    before = page.evaluate("document.body.dataset.mdColorScheme")
    page.locator(".md-header__option label:not([hidden])").first.click()
    after = page.evaluate("document.body.dataset.mdColorScheme")
    assert {before, after} == {"default", "slate"}
