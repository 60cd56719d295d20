"""``manualbp publish``: reports and asv's own pages as one site."""

import html
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from asvfiles import SUITE, write_machine, write_results
from pages import no_pictures

from manualbp.cli import main
from manualbp.reading import site

pytestmark = pytest.mark.usefixtures("without_pictures")  # test_report.py looks at those

ROOT = Path(__file__).parents[2]
RATIOS = {"ratio_to_tape": SUITE["ratio_to_tape"]}


class Links(HTMLParser):
    """The addresses of a page's links, and the elements that a link stands in."""

    def __init__(self, page):
        super().__init__()
        self.found = {}
        self.address, self.around = None, []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.around.append(tag)
        if tag == "a":
            self.address = dict(attrs).get("href")

    def handle_endtag(self, tag):
        if tag in self.around:
            del self.around[len(self.around) - 1 - self.around[::-1].index(tag) :]

    def handle_data(self, data):
        if self.around and self.around[-1] == "a" and data.strip():
            self.found[data.strip()] = (self.address, "body" in self.around)


def add_results(checkout):
    """Add results of the checkout's commit; return it, their folder and the commit."""
    command = ["git", "rev-parse", "HEAD"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=True)
    head = done.stdout.strip()
    return checkout, write_results(checkout / "results", suite=RATIOS, commit=head), head


@pytest.fixture
def project(checkout):
    return add_results(checkout)


@pytest.fixture(scope="module")
def site_of_one(tmp_path_factory, new_checkout):
    """A checkout with its site, and its commit; to be read, never written."""
    with pytest.MonkeyPatch.context() as patch, no_pictures():
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        checkout, _, head = add_results(new_checkout(tmp_path_factory.mktemp("of one") / "für uns"))
        patch.chdir(checkout)
        assert main(["publish"]) == 0
    return checkout, head


@pytest.fixture
def published(site_of_one):
    return site_of_one[0] / "site"


def test_asvs_pages_and_the_report_are_there(published, site_of_one):
    _, head = site_of_one
    index = json.loads((published / "asv/index.json").read_text())
    assert list(index["revision_to_hash"].values()) == [head]
    assert "bench_ratio.ratio_to_tape" in index["benchmarks"]
    assert list(published.glob("asv/graphs/**/bench_ratio.ratio_to_tape.json"))
    assert (published / "report/laptop/report.md").is_file()
    assert (published / "report/laptop/results.csv").is_file()


def test_every_page_leads_to_the_others(published):
    entry = Links(published / "index.html").found
    assert {"Report: laptop", "History over commits"} == set(entry)
    assert entry["History over commits"][0] == "asv/index.html"
    for address, _ in entry.values():
        assert (published / unquote(address)).is_file()
    for name in ("index.html", "error.html"):
        page = published / "asv" / name
        address, in_body = Links(page).found["Reports"]
        assert in_body
        assert (page.parent / address).resolve() == published / "index.html"


def test_asvs_pages_are_otherwise_asvs(published, site_of_one, tmp_path, home):
    checkout, _ = site_of_one
    command = [sys.executable, "-m", "asv", "publish", "--no-pull", "--html-dir", tmp_path / "asv"]
    subprocess.run(command, cwd=checkout, check=True, capture_output=True)
    for file in (tmp_path / "asv").rglob("*.*"):
        if file.is_dir() or file.name in ("info.json", "regressions.xml"):  # they hold the time
            continue
        ours = (published / "asv" / file.relative_to(tmp_path / "asv")).read_bytes()
        if file.suffix == ".html":
            ours, count = re.subn(rb'\n<nav aria-label="Site".*?</nav>\n', b"", ours, flags=re.S)
            assert count == 1
        assert ours == file.read_bytes()


def test_nothing_of_this_machine_is_published(published, site_of_one):
    checkout, _ = site_of_one
    for file in published.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            for private in (str(checkout), str(Path.home())):
                assert private.encode() not in content


def test_a_site_is_replaced_as_a_whole(project, capsys):
    published = project[0] / "site"
    assert main(["publish"]) == 0
    capsys.readouterr()
    (published / "stale.html").write_text("old")
    assert main(["publish"]) == 0
    assert not (published / "stale.html").exists()
    assert capsys.readouterr().out.splitlines() == [
        "site/index.html", "site/report/laptop/index.html", "site/asv/index.html",
    ]  # fmt: skip
    assert not list(published.parent.glob(".publishing-*"))


def test_nobodys_files_are_replaced(project, capsys):
    checkout, _, _ = project
    (checkout / "mine").mkdir()
    (checkout / "mine" / "index.html").write_text("<p>mine</p>")
    for target in ("mine", "benchmarks", "asv.conf.json", "."):
        assert main(["publish", "-o", target]) == 1
        captured = capsys.readouterr()
        assert "expected no such folder, an empty one, or a site made before" in captured.err
        assert len(captured.err.splitlines()) == 1
    assert (checkout / "mine" / "index.html").read_text() == "<p>mine</p>"
    (checkout / "empty").mkdir()
    assert main(["publish", "-o", "empty"]) == 0


def test_every_machine_has_its_report(project, capsys):
    checkout, results, head = project
    write_machine(results, machine="a server: <fast>", suite=RATIOS, commit=head)
    assert main(["publish"]) == 0
    entry = Links(checkout / "site" / "index.html").found
    for machine in ("laptop", "a server: <fast>"):
        address, _ = entry[f"Report: {machine}"]
        text = (checkout / "site" / unquote(address)).read_text(encoding="utf-8")
        assert machine in html.unescape(text)


def test_commits_outside_the_history_are_named(project, capsys):
    _, results, head = project
    write_machine(results, suite=RATIOS, commit="feed" * 10)
    assert main(["publish"]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert "asv's pages lack feedfeed: not in the history" in line
    assert head[:8] not in line


def test_the_committed_results_can_be_published(tmp_path, home, monkeypatch, capsys):
    if subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, check=False).returncode:
        pytest.skip("not a git checkout")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
    monkeypatch.chdir(clone)
    assert main(["publish", "-o", str(tmp_path / "out")]) == 0
    for file in (clone / "results").iterdir():  # in ROOT there may be somebody's own
        if file.is_dir():
            assert (tmp_path / "out" / "report" / file.name / "results.csv").is_file()


# ---------------------------------------------------------------- links


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("<html><body class='x'><p>a", "<html><body class='x'>LINKS<p>a"),
        ("<HTML><BODY>\n<p>a</p></BODY>", "<HTML><BODY>LINKS\n<p>a</p></BODY>"),
        ("<p>no body tag</p>", "<p>no body tag</p>LINKS"),
    ],
)
def test_links_are_put_into_any_page(tmp_path, page, expected):
    path = tmp_path / "page.html"
    path.write_text(page)
    site.add_links(path, {"Up & away": "../index.html?a=1&b=2"}, "color: red")
    text = path.read_text()
    assert re.sub(r"\n<nav.*</nav>\n", "LINKS", text, flags=re.S) == expected
    assert Links(path).found["Up & away"][0] == "../index.html?a=1&b=2"


def test_a_reports_page_gets_links_to_both(tmp_path, complete):
    folder = tmp_path / "report" / "laptop"
    (tmp_path / "asv").mkdir()
    site.write_pages(site_frame(complete), complete, tmp_path)
    found = Links(folder / "index.html").found
    assert found["All pages"][0] == "../../index.html"
    assert found["History"][0] == "../../asv/index.html"


def site_frame(results):
    from manualbp.reading.frame import load_results

    return load_results(results)


# ---------------------------------------------------------------- bad input


def test_without_results_it_is_one_line(checkout, capsys):
    for prepare, message in (
        (lambda: None, "found no such path"),
        (lambda: (checkout / "results").mkdir(), "expected asv result files"),
        (
            lambda: write_machine(checkout / "results", suite=RATIOS),
            "to regenerate benchmarks.json",
        ),
    ):
        prepare()
        assert main(["publish"]) == 1
        captured = capsys.readouterr()
        assert len(captured.err.splitlines()) == 1
        assert captured.err.startswith("manualbp: ")
        assert message in captured.err
        assert not (checkout / "site").exists()


def test_outside_a_project_it_is_one_line(tmp_path, home, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["publish"]) == 1
    assert "no asv.conf.json" in capsys.readouterr().err


def test_without_a_repository_it_is_one_line(project, capsys):
    checkout, _, _ = project
    shutil.rmtree(checkout / ".git")
    assert main(["publish"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("manualbp: asv publish failed: ")


def test_a_broken_configuration_is_one_line(project, capsys):
    checkout, _, _ = project
    (checkout / "asv.conf.json").write_text("{")
    assert main(["publish"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("manualbp: asv cannot read asv.conf.json")
