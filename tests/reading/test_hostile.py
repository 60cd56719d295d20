"""Result files from a stranger: on every surface their texts are shown, and do nothing."""

import base64
import csv
import hashlib
import itertools
import json
import os
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from io import StringIO

import pytest
from asvfiles import SUITE, write_machine, write_results
from hostile import FEW, FIELDS, FORMULA, VISIBLE, evil, shown, tame, write_hostile
from markdown_it import MarkdownIt
from pagereader import Page
from pages import write_without_pictures

from manualbp.cli import main, terminal
from manualbp.reading import digest, summary
from manualbp.reading.frame import latest_run, load_results
from manualbp.reading.report import write_report
from manualbp.reading.text import cell, code, file_name, is_plain, markdown, visible

STYLED = re.compile(r"\x1b\[[\d;]*m")
RATIOS = {name: SUITE[name] for name in ("ratio_to_tape", "steady_step")}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return write_hostile(tmp_path_factory.mktemp("hostile") / "results", ("one", "two"))


@pytest.fixture(scope="module")
def report(results, tmp_path_factory):
    """The report of two hostile machines side by side, in a folder of its own."""
    folder = tmp_path_factory.mktemp("outside")
    write_without_pictures([results / "one", results / "two"], folder / "report")
    return folder / "report"


@pytest.fixture(scope="module")
def page(report):
    return Page((report / "index.html").read_text(encoding="utf-8"))


def controls(text):
    return [c for c in text if unicodedata.category(c) in ("Cc", "Cs") and c != "\n"]


# ---------------------------------------------------------------- the page


def test_every_text_stands_on_the_page_as_it_is(page):
    texts = [page.elements[0].text]
    for table in page.files.values():
        texts += itertools.chain.from_iterable(csv.reader(StringIO(table)))
    text = "\n".join(texts)
    for field in FIELDS:
        assert shown(field) in text
    assert VISIBLE in text
    assert not controls(text)


def test_no_text_makes_an_element_or_an_attribute(page, tmp_path):
    """The same page with harmless names consists of the same elements and attributes."""
    results = write_hostile(tmp_path / "results", ("one", "two"), text=tame)
    report = write_without_pictures([results / "one", results / "two"], tmp_path / "report")
    twin = Page(report.files[0].read_text(encoding="utf-8"))

    def parts(found):
        return Counter((element.tag, *sorted(element.own)) for element in found.elements)

    assert parts(page) == parts(twin)
    assert [e.tag for e in page.elements] == [e.tag for e in twin.elements]


def test_the_policy_allows_the_pages_own_script_and_style_only(page):
    (policy,) = [e.own["content"] for e in page.elements if "http-equiv" in e.own]
    rules = dict(rule.partition(" ")[::2] for rule in policy.split("; "))
    for rule, tag in (("script-src", "script"), ("style-src", "style")):
        (block,) = [e for e in page.elements if e.tag == tag and "type" not in e.own]
        digest = base64.b64encode(hashlib.sha256(block.text.encode("utf-8")).digest())
        assert rules[rule] == f"'sha256-{digest.decode()}'"
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    heads = [e.own.get("http-equiv") or e.tag for e in page.elements]
    assert heads.index("Content-Security-Policy") < heads.index("style")
    for element in page.elements:
        assert not [name for name in element.own if name == "style" or name.startswith("on")]


def test_addresses_on_the_page_are_its_own(page):
    for element in page.elements:
        for name in ("href", "src", "xlink:href", "action", "formaction"):
            assert re.fullmatch(r"#[\w-]+|data:,|results\.csv", element.own.get(name, "#a"))


# ---------------------------------------------------------------- files


def test_no_file_leaves_the_folder(report, results, tmp_path):
    drawn = tmp_path / "outside" / "report"
    write_report(results / "one", drawn)
    assert len(list(drawn.glob("*.png"))) > 4
    for folder in (report, drawn):
        assert {path.name for path in folder.parent.iterdir()} == {"report"}
        for path in folder.rglob("*"):
            assert re.fullmatch(r"[\w.-]+", path.name)
            assert len(path.name.encode()) < 256


@pytest.mark.parametrize("machine", ["..", "../..", "/etc", "\x00"])
def test_a_machine_named_as_a_path_gets_a_folder_of_its_own(machine, tmp_path):
    results = tmp_path / "results"
    for name in ("one", "two"):
        file = write_machine(results, machine=name, suite=RATIOS, values=FEW)
        content = json.loads(file.read_text())
        content["params"]["machine"] = machine if name == "one" else "two"
        file.write_text(json.dumps(content))
    output = tmp_path / "outside" / "deep" / "report"
    report = write_without_pictures([results / "one", results / "two"], output)
    for path in report.files:
        assert output in path.resolve().parents
    assert len({path.parent for path in report.files}) == 3


@pytest.mark.parametrize(
    ("text", "name"),
    [("CPU:0", "CPU0"), ("exercise", "exercise"), ("virtualenv-py3.11", "virtualenv-py3.11")],
)
def test_usual_names_are_kept_in_files(text, name):
    assert file_name(text) == name


def test_different_names_are_different_files():
    names = ["a/b", "ab", "a b", "..", ".", "", "/", "é" * 100, "é" * 101, evil("a"), evil("b")]
    files = [file_name(name) for name in names]
    assert len(set(files)) == len(names)
    assert all(len(name.encode()) < 80 for name in files)


# ---------------------------------------------------------------- spreadsheets


def test_no_text_in_a_table_is_a_formula(report, page):
    tables = {"results.csv": (report / "results.csv").read_text(encoding="utf-8"), **page.files}
    assert len(tables) > 20
    for name, text in tables.items():
        for row in csv.reader(StringIO(text)):
            for field in row:
                number = re.fullmatch(r"-?[\d.]+(e[+-]?\d+)?|-?inf", field)
                assert number or not re.match(r"\s*[=+\-@\t\r]", field) or _samples(field), name


def _samples(field):
    return all(re.fullmatch(r"-?[\d.e+-]+", number) for number in field.split(" "))


def test_numbers_stay_numbers():
    assert [cell(value) for value in (-1.5, None, "-1.5", "+2e-3", "laptop", "")] == [
        -1.5, None, "-1.5", "+2e-3", "laptop", "",
    ]  # fmt: skip
    for text in ("=1+1", "+A1", "-A1", "@SUM(A1)", " =1", "－1+A1", "'quoted"):  # noqa: RUF001
        assert cell(text) == f"'{text}"
    assert cell("\t=1") == "\\x09=1"


# ---------------------------------------------------------------- Markdown


def read_markdown(text):
    """Return the tokens of Markdown as GitHub reads it, inline ones included."""
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    tokens = reader.parse(text)
    return [*tokens, *(child for token in tokens for child in token.children or ())]


@pytest.fixture(scope="module")
def texts(results, report):
    """All that is written in Markdown, by what it is for."""
    frame = latest_run(load_results(results))
    pictures = {(evil("workload"), "CPU:0"): [(evil("picture"), "a.svg")]}
    return {
        "digest": digest.digest(frame),
        "markdown": summary.markdown(frame, pictures),
        "report.md": next(report.glob("*/report.md")).read_text(encoding="utf-8"),
    }


@pytest.mark.parametrize("kind", ["digest", "markdown", "report.md", "compare"])
def test_texts_mean_nothing_in_markdown(kind, results, texts, capsys):
    if kind == "compare":
        files = sorted(map(str, (results / "one").glob("0*.json")))
        main(["compare", *files, "--margin", "3", "--format", "markdown"])
        text = capsys.readouterr().out
    else:
        text = texts[kind]
    assert "evil.example" in text
    assert not controls(text)
    tokens = read_markdown(text)
    ours = re.compile(r"</?(details|summary|code)>")
    for token in tokens:
        assert token.type != "link_open"
        if token.type == "image":
            assert re.fullmatch(r"[\w.-]+\.svg", token.attrs["src"])
        elif token.type in ("html_inline", "html_block"):
            tags = re.findall(r"<[^>]*>", token.content)
            assert all(map(ours.fullmatch, tags))
            assert "@" not in re.sub(r"<code>.*?</code>", "", token.content)
        elif token.type == "text":
            assert not re.search(r"evil\.example|@\w|javascript|onerror|\$|:[a-z]+:", token.content)


def test_a_tables_rows_have_its_columns(texts):
    """A bar in a text would make a further cell: no line has more of them than its ruler."""
    bars = None
    for text in texts.values():
        for line in text.splitlines():
            if line.startswith("|"):
                bars = line.count("|") if bars is None else bars
                assert line.count("|") == bars
            else:
                bars = None


@pytest.mark.parametrize(
    "text",
    ["exercise", "CPU:0", "steady_step", "An imagined CPU @ 2.50GHz", "ratio_to_tape", "2.21.0",
     "virtualenv-py3.11-tensorflow2.21.0", "AMD EPYC 9B14 96-Core Processor", "Linux 6.8"],
)  # fmt: skip
def test_usual_names_are_plain_in_markdown(text):
    assert markdown(text) == text


@pytest.mark.parametrize(
    "text",
    ["@user", "a@b.example", "#1", "GH-1", "https://a.example", "www.a.example", "*a*", "_a_",
     "<b>", "&lt;", "[a](b)", "a|b", "`a`", "``", "~~a~~", "$a$", ":tada:", "1. a", "- a", "> a",
     "", " ", "a\nb", "\\", "===", "\u202ea"],
)  # fmt: skip
def test_what_markdown_would_read_is_code(text):
    assert not is_plain(text)
    (token,) = [t for t in read_markdown(code(text)) if t.type == "code_inline"]
    shown = visible(text).replace("|", "\\x7c")
    assert token.content.strip() == shown.strip()
    assert "|" not in code(text)


# ---------------------------------------------------------------- the terminal


def test_no_escape_sequence_reaches_the_terminal(results, report, tmp_path, capsys):
    files = sorted(map(str, (results / "one").glob("0*.json")))
    for arguments, said in (
        (["show", files[0]], "gradient"),
        (["compare", *files, "--margin", "3", "--all"], "gradient"),
        (["compare", *files], "commit"),
        (["export", files[0]], "version"),
        (["show", files[0], "--machine", "none"], "machine"),
        (["show", files[0], "--workload", "none"], "workload"),
    ):
        main(arguments)
        captured = capsys.readouterr()
        text = captured.out + captured.err
        assert not controls(text), arguments
        assert "[/] [red]" in text
        assert f"{FORMULA[:10]}" in text
        assert said in text
        assert "\u202e" not in text


def test_a_coloured_terminal_gets_rich_styles_only():
    file = StringIO()
    console = terminal.console(file=file, force_terminal=True, width=10_000, color_system="256")
    console.print(evil("name"), style="bold red")
    styled = file.getvalue()
    assert STYLED.search(styled)
    assert not controls(STYLED.sub("", styled))
    assert "\\x1b[31m\\x1b]0;title" in styled


@pytest.mark.parametrize(
    ("command", "encoding"),
    [("show", "ascii"), ("show", "latin-1"), ("show", "utf-8"), ("report", "ascii"),
     ("show --format markdown", "ascii"), ("export", "ascii")],
)  # fmt: skip
def test_a_poor_terminal_gets_escapes_instead_of_a_traceback(command, encoding, tmp_path):
    results = write_results(tmp_path / "results", suite=RATIOS, values=FEW)
    file = next(results.glob("laptop/0*.json"))
    text = file.read_text().replace("An imagined CPU", "CPU → Ω שלום \U0001f525")
    file.write_text(text.replace("'fused'", "'→fused'"), encoding="utf-8")
    environment = {
        **os.environ, "LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0",
        "PYTHONIOENCODING": encoding, "MPLBACKEND": "no-such-backend",
    }  # fmt: skip
    output = ["-o", str(tmp_path / "report")] if command == "report" else []
    done = subprocess.run(
        [sys.executable, "-m", "manualbp", *command.split(), str(results), *output],
        capture_output=True, env=environment, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert ("→fused" if encoding == "utf-8" else "\\u2192fused").encode(encoding) in done.stdout
