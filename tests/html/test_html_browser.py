"""Pages in a real browser: sorting, sliders by pointer and keyboard, narrow screens, no complaint, no request."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import DESKTOP, PHONE, Browser, needs_browser, open_browser
from test_html_blocks import EVIL, every_block

from dmdnet.html import Cell, Column, Page, Series, Shown, compare, grid, line_chart, paragraph, slider, table

pytestmark = needs_browser


def flat(red: int, green: int, blue: int) -> np.ndarray:
    return np.full((64, 64, 3), (red, green, blue), np.uint8)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [
        ("b10", Cell("9.50", below="9 to 10", sort=9.5), None),
        ("b9", Cell("10.2", sort=10.2), 2),
        ("a", Cell("−1", sort=-1.0), 3),
        ("c", None, 1),
    ]
    wide = [("row", *(1.0 for _ in range(30)))]
    made = Page("A page", subtitle="of tests")
    made.add("Tables", table(["name", Column("value", "right"), "count"], rows, caption="Values"))
    made.add("Wide", table(["name", *(f"a long heading {n}" for n in range(30))], wide), paragraph("x" * 500))
    made.add("Charts", grid(*(line_chart([Series("s", [1, 2, 3], [1, 4, 9])], title="t") for _ in range(3))))
    shown = [Shown(flat(250, 0, 0), "red"), Shown(flat(0, 0, 250), "blue"), Shown(flat(0, 250, 0), "green")]
    made.add("Pictures", compare(shown, alt="one colour"), slider(flat(0, 0, 0), flat(255, 255, 255)))
    path = tmp_path_factory.mktemp("page") / "a page & more.html"
    path.write_text(made.render(), encoding="utf-8")
    return path


def column(browser: Browser, number: int = 1) -> list[str]:
    return browser.texts(f"#tables tbody tr > :nth-child({number})")


def split(browser: Browser) -> float:
    """Return where the first slider's line is, as the part left of it that is cut from the upper picture."""
    return float(browser.run("return getComputedStyle(document.querySelector('.over')).clipPath").split()[-1][:-2])


def test_it_opens_without_a_complaint_or_a_request(browser: Browser, page: Path) -> None:
    browser.requests()
    browser.open(page)
    assert browser.complaints() == []
    assert browser.requests() == {page.as_uri()}


def test_headings_sort_by_number_and_by_text_and_say_so(browser: Browser, page: Path) -> None:
    browser.open(page)
    name, value, _ = browser.find_all("#tables thead button")
    value.click()
    assert column(browser) == ["b9", "b10", "a", "c"]  # no value is last
    assert browser.find("#tables th:nth-child(2)").get_attribute("aria-sort") == "descending"
    value.send_keys("\ue007")  # Enter
    assert column(browser) == ["a", "b10", "b9", "c"]
    assert browser.find("#tables th:nth-child(2)").get_attribute("aria-sort") == "ascending"
    name.click()
    assert column(browser) == ["a", "b9", "b10", "c"]  # as people count
    assert browser.find("#tables th:nth-child(2)").get_attribute("aria-sort") == "none"
    name.click()
    assert column(browser) == ["c", "b10", "b9", "a"]


def test_the_slider_follows_pointer_and_keyboard(browser: Browser, page: Path) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    browser.open(page)
    stage, handle = browser.find(".stage"), browser.find(".stage input")
    browser.run("arguments[0].scrollIntoView({block: 'center'})", stage)
    assert split(browser) == 50
    right = int(stage.size["width"] * 0.3)
    ActionChains(browser.driver).move_to_element_with_offset(stage, right, 0).click().perform()
    assert 77 <= split(browser) <= 83
    ActionChains(browser.driver).move_to_element_with_offset(stage, right, 0).click_and_hold().move_by_offset(
        -2 * right, 5
    ).release().perform()
    assert 17 <= split(browser) <= 23
    before = split(browser)
    handle.send_keys("\ue014" * 3)  # arrow right
    assert split(browser) == pytest.approx(before + 3)
    assert handle.get_attribute("aria-valuetext") == f"{before + 3:.0f}% red"
    handle.send_keys("\ue010")  # End
    assert split(browser) == 100


def test_any_picture_goes_under_the_slider(browser: Browser, page: Path) -> None:
    browser.open(page)
    handle = browser.find(".stage input")
    assert handle.get_attribute("aria-label") == "Line between red (left) and blue (right): one colour"
    browser.find_all("#pictures .strip button")[2].click()
    assert handle.get_attribute("aria-label") == "Line between red (left) and green (right): one colour"
    pressed = [one.get_attribute("aria-pressed") for one in browser.find_all("#pictures .strip button")[:3]]
    assert pressed == ["false", "false", "true"]
    browser.run(
        "arguments[0].dispatchEvent(new MouseEvent('click', {shiftKey: true}))", browser.find_all(".strip button")[1]
    )
    assert handle.get_attribute("aria-label") == "Line between blue (left) and green (right): one colour"
    browser.find_all(".strip button")[1].click()  # what is left already changes places
    assert handle.get_attribute("aria-label") == "Line between green (left) and blue (right): one colour"


@pytest.mark.parametrize("width", [320, PHONE, 768, DESKTOP])
def test_only_tables_scroll_sideways(browser: Browser, page: Path, width: int) -> None:
    browser.open(page, width)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert browser.run("return innerWidth") == width
    wide = browser.find("#wide .scroll")
    assert browser.run("return arguments[0].scrollWidth > arguments[0].clientWidth", wide)
    charts = browser.run("return Array.from(document.querySelectorAll('.chart svg'), (e) => e.clientWidth)")
    assert max(charts) <= width


def test_evil_text_runs_nothing(browser: Browser, tmp_path: Path) -> None:
    browser.requests()
    path = tmp_path / "evil.html"
    path.write_text(Page(EVIL, subtitle=EVIL, footer=EVIL).add(EVIL, *every_block(EVIL)).render(), encoding="utf-8")
    browser.open(path)
    assert browser.complaints() == []
    assert browser.requests() == {path.as_uri()}
    assert browser.find("h1").text == EVIL
    assert len(browser.find_all("script")) == 1
    assert not browser.find_all("img[src='x']")


def test_a_script_that_got_in_would_not_run(browser: Browser, tmp_path: Path) -> None:
    text = Page("t").add("s", paragraph("x")).render()
    hole = '<script>document.title = "broken"</script><img src="https://example.org/x.png" onerror="document.title=1">'
    path = tmp_path / "hole.html"
    path.write_text(text.replace("<p>x</p>", hole), encoding="utf-8")
    browser.requests()
    browser.open(path)
    assert browser.driver.title == "t"
    assert any("Content Security Policy" in line for line in browser.complaints())
    assert not [url for url in browser.requests() if url.startswith("http")]
