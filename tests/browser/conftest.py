"""A headless Chromium, and pages opened in it; skipped where there is none."""

import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "reading"))  # for asvfiles

NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update"]  # fmt: skip


@pytest.fixture(scope="session")
def browser():
    """Start the browser."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="needs playwright: pip install playwright"
    )
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(
            f"needs a browser, none of {', '.join(NAMES)} is installed: apt install chromium"
        )
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=path, args=QUIET)
        yield running
        running.close()


@pytest.fixture(scope="session")
def axe():
    """Return axe-core's script; ``AXE_CORE`` names the file."""
    path = os.environ.get("AXE_CORE", "node_modules/axe-core/axe.min.js")
    if not Path(path).is_file():
        pytest.skip(f"needs axe-core, found no {path}: npm install axe-core, or set AXE_CORE")
    return Path(path).read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def address(tmp_path_factory):
    """Write a page with a failed cell and a history, and return its address."""
    from asvfiles import DATE, model, write_benchmarks, write_machine
    from pages import write_without_pictures

    def broken(quantity, case):
        failed = quantity == "ratio_to_tape" and case["gradient"] == "chain" and case["batch"] == 8
        return None if failed and case["device"] == "CPU:0" else model(quantity, case)

    folder = tmp_path_factory.mktemp("browser")
    write_benchmarks(folder / "results")
    for number in range(7):
        write_machine(
            folder / "results", commit=f"{number:08x}" * 5, started=DATE + 3_600_000 * number,
            model=broken,
        )  # fmt: skip
    report = write_without_pictures(folder / "results", folder / "report")
    return report.files[0].as_uri()


@pytest.fixture
def visit(browser, address):
    """Return a function that opens the page, and fail on any error or request of it."""
    contexts, wrong = [], []

    def open_(query="", width=1280, scheme="light"):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.on(
            "console", lambda m: wrong.append(m.text) if m.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "request",
            lambda r: (
                None
                if r.url.startswith(("data:", "blob:")) or r.is_navigation_request()
                else wrong.append(r.url)
            ),
        )
        page.goto(address + query)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert not wrong
