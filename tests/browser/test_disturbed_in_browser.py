"""A disturbed and a failed cell in a browser: their look, their words, their reasons as text."""

import pytest


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Write the page of a run with both, for the fixture ``visit``."""
    from asvfiles import write_disturbed
    from pages import write_without_pictures

    folder = tmp_path_factory.mktemp("disturbed")
    report = write_without_pictures(write_disturbed(folder / "results"), folder / "report")
    return report.files[0].as_uri()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_disturbed_is_told_by_its_frame_and_its_reason(visit, scheme):
    page = visit(scheme=scheme, width=400)
    cell = page.locator("#matrix td.disturbed")
    assert cell.inner_text() == "≈ disturbed"
    style = "e => getComputedStyle(e).borderTopStyle + getComputedStyle(e).borderTopWidth"
    assert cell.evaluate(style) == "dotted2px"
    cell.locator("button").focus()
    assert "41 % of the cores" in page.locator("#tip").inner_text()
    page.keyboard.press("Enter")
    said = page.locator("dialog[open]").inner_text()
    assert "Disturbed: the machine was busy. No value is shown." in said
    assert "Reason: other programs took 41 % of the cores" in said
    assert "Values discarded: 3." in said
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_a_reason_with_markup_is_shown_as_it_was_written(visit):
    page = visit()
    page.locator("#matrix td.failed button").click()
    assert "Reason: <b>out of memory</b>" in page.locator("dialog[open]").inner_text()
    assert page.locator("dialog b").count() == 0


def test_discarded_values_are_told_with_the_samples(visit):
    page = visit("?mode=eager")
    page.locator('#matrix button[data-tip^="fused, eager, batch 8:"]').click()
    said = page.locator("dialog[open]").inner_text()
    assert "Further values discarded because the machine was busy: 1." in said
