"""The page as a person uses it: choosing, sorting, filtering, pointing, by mouse and by keyboard.

Every test also fails on an error in the console and on a request for anything but the page.
"""

import csv
import io
import re

import pytest


def visible(page, selector):
    return [e for e in page.query_selector_all(selector) if e.is_visible()]


def test_what_is_chosen_stands_in_the_address_and_can_be_shared(visit):
    page = visit()
    assert {e.get_attribute("data-workload") for e in visible(page, "#speedup figure")} == {
        "exercise"
    }
    page.click("label:has(input[name=workload][value=wide])")
    page.click("label:has(input[name=mode][value=xla])")
    assert page.evaluate("location.search") == "?workload=wide&mode=xla"
    shared = visit(page.evaluate("location.search + '#matrix'"))
    for shown in (page, shared):
        assert {e.get_attribute("data-workload") for e in visible(shown, "#speedup figure")} == {
            "wide"
        }
        assert {e.get_attribute("data-mode") for e in visible(shown, "main [data-mode]")} == {"xla"}
    assert shared.evaluate("document.querySelector('#matrix').getBoundingClientRect().top") < 200


def test_an_address_that_makes_no_sense_shows_the_page_as_it_is(visit):
    page = visit("?workload=nonsense&mode=%3Cscript%3E")
    assert {e.get_attribute("data-workload") for e in visible(page, "#speedup figure")} == {
        "exercise"
    }


def test_columns_sort_both_ways(visit):
    page = visit()
    table = "#accuracy .block:not([hidden]) table"
    head = page.locator(f"{table} thead button").nth(4)

    def values():
        cells = page.query_selector_all(f"{table} tbody tr")
        return [
            float(row.query_selector_all("td, th")[4].get_attribute("data-value")) for row in cells
        ]

    before = values()
    head.click()
    assert values() == sorted(before) != before
    head.click()
    assert values() == sorted(before, reverse=True)
    assert page.locator(f"{table} th[aria-sort=descending]").count() == 1


def test_the_raw_table_filters_by_words_and_whole_numbers(visit):
    page = visit()
    page.click("#numbers details summary")
    rows = "#numbers details tbody tr"
    page.fill("#numbers details input", "fused xla 1 steady_step ok")
    texts = [row.inner_text() for row in page.query_selector_all(rows)]
    assert len(texts) == 2  # two workloads, and batch 1 is not 512
    assert all("fused" in text and "steady_step" in text for text in texts)
    page.fill("#numbers details input", "nothing-like-this")
    assert page.locator(rows).count() == 0


def test_hovering_shows_a_points_numbers_and_a_click_its_samples(visit):
    page = visit()
    target = page.locator("#speedup figure:not([hidden]) .point[data-row]").first
    target.scroll_into_view_if_needed()
    box = target.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert page.locator("#tip").inner_text() == target.get_attribute("data-tip")
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert page.locator("dialog[open] .dot").count() == 8  # the model's processes
    assert page.locator("dialog[open] li").count() == 8
    assert "ratio_to_tape" in page.locator("dialog h2").inner_text()
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0


def test_the_keyboard_reaches_every_point_and_cell(visit):
    page = visit()
    page.locator("#speedup figure:not([hidden]) .stage").first.focus()
    seen = set()
    points = page.locator("#speedup figure:not([hidden]) .stage").first.locator(".point").count()
    for _ in range(points):
        page.keyboard.press("ArrowRight")
        seen.add(page.locator("#tip").inner_text())
    assert len(seen) == points
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    assert page.locator("dialog[open]").count() == 1
    page.keyboard.press("Escape")
    page.locator("#matrix td button").first.focus()
    assert page.locator("#tip").is_visible()
    page.keyboard.press("Enter")
    assert page.locator("dialog[open]").count() == 1


def test_the_files_download_as_they_stand_in_the_page(visit):
    page = visit()
    with page.expect_download() as caught:
        page.click("#speedup figure:not([hidden]) figcaption .download")
    text = caught.value.path().read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert caught.value.suggested_filename == "speedup-exercise-CPU0.csv"
    assert {row["workload"] for row in rows} == {"exercise"}
    assert {"failed", "ok"} == {row["status"] for row in rows}


def test_dark_follows_the_system_and_can_be_chosen(visit):
    def background(page):
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)[:3]))

    assert background(visit()) > 700
    dark = visit(scheme="dark")
    assert background(dark) < 150
    dark.click("#theme")  # light
    assert background(dark) > 700
    dark.click("#theme")  # dark
    assert background(dark) < 150


@pytest.mark.parametrize("width", [320, 400, 1280])
def test_nothing_is_wider_than_the_screen(visit, width):
    page = visit("?workload=all", width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_on_paper_there_are_no_controls(visit):
    page = visit()
    page.emulate_media(media="print")
    assert not visible(page, ".bar, .contents, .download, .numbers")
    assert visible(page, "#matrix table")
    assert visible(page, "#speedup svg")


def test_without_a_script_everything_can_still_be_read(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert {e.get_attribute("data-workload") for e in visible(page, "#speedup figure")} == {
        "exercise", "wide",
    }  # fmt: skip
    assert not visible(page, ".bar, .download")
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_the_accessibility_checker_finds_nothing_serious(visit, axe, scheme, width):
    page = visit("?workload=all", width=width, scheme=scheme)
    page.click("#numbers details summary")
    page.evaluate(axe)
    found = page.evaluate("axe.run()")
    serious = [
        (violation["id"], violation["nodes"][0]["html"][:200])
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
    ]
    assert not serious
