"""Stored files spoiled at random, by their structure and byte by byte: an answer or one error.

A short look; the long one is ``pytest tests/reading/test_fuzzing.py --hypothesis-profile long``
(docs/faults.md says what it found).
"""

import json
import math
import resource
import tempfile
from contextlib import suppress
from io import StringIO
from pathlib import Path

import pytest
from asvfiles import SUITE, VALUES, process_line, result_file_of, write_journal, write_results
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pages import write_without_pictures

from manualbp.reading.calibration import VALUES as CALIBRATED
from manualbp.reading.calibration import load_calibration, margins_table
from manualbp.reading.export import write_csv
from manualbp.reading.frame import latest_run, load_results
from manualbp.reading.margins import COLUMNS, load_margins
from manualbp.reading.schema import ResultsError
from manualbp.reading.summary import headline, markdown
from manualbp.reading.verdicts import compare, uniform
from manualbp.running.machine import choose_machine
from manualbp.running.tree import SuiteError

LONG = settings.get_current_profile_name() == "long"
HEALTHY = [HealthCheck.too_slow, HealthCheck.data_too_large]
BRIEF = {"max_examples": 25, "derandomize": True, "deadline": None, "database": None}
SHORTLY = settings(suppress_health_check=HEALTHY, **({} if LONG else BRIEF))

MEMORY = 2**30
"""Bytes that the long look may need at most."""

FEW = {**VALUES, "workload": ("exercise",), "mode": ("eager", "xla"), "batch": (8, 512)}
CASE = {"workload": "exercise", "gradient": "fused", "mode": "xla", "device": "CPU:0", "batch": 8}
SMALL = {name: SUITE[name] for name in ("ratio_to_tape", "steady_step", "track_error_ulp")}

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=30),
    st.sampled_from(["", "0", "-1", "1e999", "'a'", "[" * 300, "\x1b[31m", "=1+1", "../..", "$x$"]),
    st.sampled_from([0, -1, 1.5, 10**30, 10**400, math.inf, math.nan]),
)
junk = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@pytest.fixture(scope="module", autouse=True)
def bounded_memory():
    """Say at the end whether the long look kept within its memory; a short one shares a process."""
    yield
    if LONG:
        assert 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < MEMORY


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """The files of a small run, by their names: what they hold."""
    folder = write_results(tmp_path_factory.mktemp("fuzzed"), suite=SMALL, values=FEW)
    file = result_file_of(folder)
    lines = (process_line("ratio_to_tape", CASE, status) for status in ("ok", "disturbed"))
    write_journal(file, *lines, {"kind": "environment", "facts": {"load": 0.1, "XLA_FLAGS": None}})
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.json*")}


def places(node, path=()):
    """Yield the way to every part of a JSON document."""
    yield path
    if isinstance(node, dict | list):
        for key in node if isinstance(node, dict) else range(len(node)):
            yield from places(node[key], (*path, key))


def spoil(document, data):
    """Replace, remove, double or rename a part of a document, or several."""
    for _ in range(data.draw(st.integers(1, 4))):
        *way, last = data.draw(st.sampled_from([place for place in places(document) if place]))
        parent = document
        for key in way:
            parent = parent[key]
        what = data.draw(st.sampled_from(["replace", "remove", "double", "rename"]))
        if what == "replace":
            parent[last] = data.draw(junk)
        elif what == "remove":
            del parent[last]
        elif what == "double" and isinstance(parent, list):
            parent.insert(last, parent[last])
        elif what == "rename" and isinstance(parent, dict):
            parent[data.draw(st.text(max_size=30))] = parent.pop(last)
    return document


def written(stored, folder, name=None, content=b""):
    for path, its in stored.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content if path == name else its)
    return folder


def read(folder, everything=False):
    """Read a results folder and say what is in it, in every form; or raise ``ResultsError``."""
    frame = latest_run(load_results(folder))
    headline(frame)
    markdown(frame)
    write_csv(frame, StringIO())
    compare(frame, frame, uniform(0.02, frame))
    if everything:
        write_without_pictures(folder, folder / "report")


@SHORTLY
@given(st.data())
def test_json_spoiled_by_its_structure(stored, data):
    name = data.draw(st.sampled_from([path for path in stored if path.suffix == ".json"]))
    text = json.dumps(spoil(json.loads(stored[name]), data))
    with tempfile.TemporaryDirectory() as folder, suppress(ResultsError):
        read(written(stored, Path(folder), name, text.encode()), data.draw(st.booleans()))


@SHORTLY
@given(st.data())
def test_files_spoiled_byte_by_byte(stored, data):
    name = data.draw(st.sampled_from(list(stored)))
    content = bytearray(stored[name])
    for _ in range(data.draw(st.integers(1, 8))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))]
    with tempfile.TemporaryDirectory() as folder, suppress(ResultsError):
        read(written(stored, Path(folder), name, bytes(content)))


MARGINS = ",".join(COLUMNS) + "\nratio_to_tape,exercise,chain,xla,CPU:0,64,0.02,0.005,0.005,39\n"
ROW = "s,idle,1,equal-1,ratios.Step.ratio_to_tape,ratio_to_tape,exercise,chain,xla,CPU:0,64,0.8"
CALIBRATION = ",".join([*CALIBRATED, "status"]) + f"\n{ROW},ok\n{ROW},ok\n{ROW},disturbed\n"


def evaluated(file):
    margins_table(load_calibration(file))


@pytest.mark.parametrize(("reader", "text"), [(load_margins, MARGINS), (evaluated, CALIBRATION)])
@SHORTLY
@given(data=st.data())
def test_tables_spoiled_field_by_field(reader, text, data):
    lines = [line.split(",") for line in text.splitlines()]
    for _ in range(data.draw(st.integers(1, 3))):
        line = data.draw(st.sampled_from(lines))
        odd = st.text(max_size=10) | scalars.map(str) | st.just('"') | st.just("a,b")
        line[data.draw(st.integers(0, len(line) - 1))] = data.draw(odd)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "table.csv"
        spoiled = "\n".join(map(",".join, lines))
        file.write_bytes(spoiled.encode("utf-8", "surrogatepass"))
        with suppress(ResultsError):
            reader(file)


@SHORTLY
@given(content=st.binary(max_size=40) | junk.map(lambda value: json.dumps(value).encode()))
def test_a_machines_description_of_anything(content):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "desk").mkdir()
        (Path(folder) / "desk/machine.json").write_bytes(content)
        with suppress(SuiteError):
            choose_machine("desk", Path(folder))
