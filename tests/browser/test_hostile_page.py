"""A page made from a stranger's files, in a real browser: nothing runs and nothing is requested."""

import pytest
from hostile import FIELDS, VISIBLE, evil, shown, write_hostile
from pages import write_without_pictures
from playwright.sync_api import Error

WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation",
  (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The page of two hostile machines side by side."""
    folder = tmp_path_factory.mktemp("hostile")
    results = write_hostile(folder / "results", ("one", "two"))
    report = write_without_pictures([results / "one", results / "two"], folder / "report")
    return report.files[0]


@pytest.fixture
def watched(browser):
    """Return a function that opens a file, with everything that it does besides being shown."""
    contexts = []

    def open_(path):
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.add_init_script(WATCH)
        done = []
        page.on("dialog", lambda dialog: (done.append(dialog.message), dialog.dismiss()))
        page.on("pageerror", lambda error: done.append(str(error)))
        page.on("console", lambda message: done.append(message.text))
        page.on("popup", lambda popup: done.append(popup.url))
        page.on("request", lambda request: done.append(request.url))
        page.on("requestfailed", lambda request: done.append(request.url))
        page.goto(path.as_uri())
        done[:] = [what for what in done if what not in (path.as_uri(), "data:,")]
        return page, done

    yield open_
    for context in contexts:
        context.close()


def test_nothing_in_a_file_runs_or_loads(watched, file):
    page, done = watched(file)
    use(page)
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("window.violations") == []
    assert done == []
    assert page.url.startswith(file.as_uri())
    foreign = (
        "img, iframe, object, embed, svg script, [style], a[href^=javascript], base, title img"
    )
    assert page.evaluate(
        "(foreign) => [...document.querySelectorAll(foreign)].filter((e) => e.id !== 'tip').length",
        foreign,
    ) == 0  # fmt: skip
    named = "[...document.querySelectorAll('*')].flatMap((e) => e.getAttributeNames())"
    assert not [name for name in page.evaluate(named) if name.startswith("on")]
    assert page.locator("script").count() == 2


def test_every_text_of_a_file_is_shown(watched, file):
    page, _ = watched(file)
    page.click("#numbers details summary")
    page.fill("#numbers details input", "param")  # more rows than are shown at once
    found = page.evaluate("document.body.textContent")
    page.fill("#numbers details input", "peer")
    found += page.evaluate("document.body.textContent")
    for field in FIELDS:
        assert shown(field) in found
    assert VISIBLE in found
    assert not set("\u202e\u2067\u200f\x1b\x07") & set(found)


def use(page):
    """Do what the page offers: open, sort, filter, point, show samples, choose."""
    press = "(elements) => elements.forEach((element) => element.click())"
    page.eval_on_selector_all("section > .block summary, #answer summary, #numbers summary", press)
    page.eval_on_selector_all("#answer thead button, #numbers thead button", press)
    page.fill("#numbers details input", evil("machine"))
    page.fill("#numbers details input", "")
    page.eval_on_selector("#numbers details", "(all) => { all.open = false; }")  # it is long
    points = page.locator("#speedup figure:not([hidden]) .stage").first
    points.focus()
    tips = []
    for _ in range(6):
        page.keyboard.press("ArrowRight")
        tips.append(page.locator("#tip").inner_text())
    assert any(shown("gradient") in tip for tip in tips)
    rows = page.evaluate(
        "[...document.querySelectorAll('[data-row]')].map((e) => Number(e.dataset.row))"
    )
    for row in [*rows[:: max(1, len(rows) // 25)], *rows[-5:]]:
        page.evaluate("(row) => showSamples(row)", row)
        told = page.locator("dialog[open]").inner_text()
        without = "no samples" in told or "No value is shown" in told
        assert without or page.locator("dialog[open] svg .dot").count() >= 1
        page.keyboard.press("Escape")
    page.eval_on_selector_all("fieldset label", press)
    with page.expect_download():
        page.eval_on_selector("#numbers > p .download", "(element) => element.click()")


def test_a_unit_cannot_act_in_the_samples(watched, file):
    """The way by which a script once ran: the unit in the dialog's picture."""
    page, done = watched(file)
    rows = page.evaluate("table('results.csv').rows.map((row) => row.join(' '))")
    rows = [number for number, row in enumerate(rows) if " unit " in row]
    for row in rows[:20]:
        page.evaluate("(row) => showSamples(row)", row)
        page.keyboard.press("Escape")
    assert rows
    assert page.evaluate("window.hacked") is None
    assert done == []


def test_the_policy_holds_where_escaping_would_have_failed(watched, file, tmp_path):
    """Put markup straight into the page's source: the browser runs none of it, loads none of it."""
    text = file.read_text(encoding="utf-8")
    markup = (
        '<img src="https://evil.example/x.png" onerror="window.hacked = 1">'
        '<svg onload="window.hacked = 1"></svg><script>window.hacked = 1</script>'
        '<script src="https://evil.example/x.js"></script><p style="color: red" id="styled">x</p>'
        '<a id="link" href="javascript:window.hacked = 1">y</a>'
        '<form action="https://evil.example/"><button id="send">z</button></form>'
    )
    broken = tmp_path / "broken.html"
    broken.write_text(text.replace("</main>", f"{markup}</main>", 1), encoding="utf-8")
    page, _ = watched(broken)
    for name in ("link", "send"):
        page.evaluate(f"document.getElementById('{name}').click()")
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("getComputedStyle(styled).color") != "rgb(255, 0, 0)"
    broken_rules = {violation.split()[0] for violation in page.evaluate("window.violations")}
    assert {"img-src", "script-src-elem", "script-src-attr", "form-action"} <= broken_rules
    with pytest.raises(Error, match="TrustedHTML"):
        page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x>')")
