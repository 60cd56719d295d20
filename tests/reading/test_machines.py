"""Two machines that come with one name: told apart, never mixed, in every command that reads."""

import json
import math

import pandas as pd
import pytest
from asvfiles import DATE, SUITE, model, write_benchmarks, write_machine, write_results
from pages import write_without_pictures

from manualbp.cli import main
from manualbp.reading.find import find_runs
from manualbp.reading.frame import load_results, runs
from manualbp.reading.history import history
from manualbp.reading.machines import Facts, differing, fact, facts_of, tell_apart
from manualbp.reading.site import write_pages

RATIOS = {name: SUITE[name] for name in ("ratio_to_tape", "ratio_tape_to_tape")}
ALONE = ["laptop (2 cores)", "laptop (8 cores)"]
COMMITS = [digit * 40 for digit in "123456"]


def with_facts(file, **facts):
    """Have a result file say something else of its machine."""
    content = json.loads(file.read_text())
    content["params"] |= facts
    file.write_text(json.dumps(content))
    return file


def twice_as_fast(quantity, case):
    value = model(quantity, case)
    return [sample / 2 for sample in value] if isinstance(value, list) else value


@pytest.fixture
def folders(tmp_path):
    """Two folders of results of one commit, each of another machine, both called laptop."""
    made = [tmp_path / "one", tmp_path / "two"]
    write_results(made[0], suite=RATIOS)
    write_results(made[1], suite=RATIOS, cores="8", model=twice_as_fast)
    return made


@pytest.fixture
def mixed(tmp_path):
    """One folder in which two machines have measured six commits by turns under one name."""
    results = tmp_path / "results"
    write_benchmarks(results, RATIOS)
    for number, commit in enumerate(COMMITS):
        options = {"started": DATE + 10**7 * number, "commit": commit, "suite": RATIOS}
        other = {"cores": "8", "model": twice_as_fast} if number % 2 else {}
        write_machine(results, **options, **other)
    return results


def machines(frame):
    return sorted(set(frame["machine"]))


# ---------------------------------------------------------------- facts


def test_facts_are_read_as_asv_stores_them():
    stored = {"cpu": "AMD  EPYC ", "num_cpu": "2", "ram": "25276510208", "os": "Linux"}
    assert facts_of(stored) == Facts("AMD EPYC", 2, 25276510208)
    assert facts_of({"cpu": "", "num_cpu": None, "ram": "16GB"}) == Facts(None, None, None)


def test_facts_in_words():
    facts = Facts("AMD EPYC", 2, 25276510208)
    assert [fact(name, facts) for name in facts._fields] == ["AMD EPYC", "2 cores", "25.3 GB"]
    assert fact("cores", Facts(None, 1, None)) == "1 core"
    assert fact("memory", Facts(None, 1, None)) == "memory unknown"


@pytest.mark.parametrize(
    ("other", "names"),
    [
        (Facts("A", 2, 16_000), []),
        (Facts("A", 2, 15_400), []),  # another kernel
        (Facts(None, None, None), []),
        (Facts("A", 2, 12_000), ["memory"]),
        (Facts("B", 4, 16_000), ["cpu", "cores"]),
    ],
)
def test_what_differs_is_what_is_known_of_both(other, names):
    one = Facts("A", 2, 16_000)
    assert differing(one, other) == differing(other, one) == names


def table(*rows):
    columns = ["machine", "cpu", "cores", "memory"]
    types = {"cores": "Int64", "memory": "Int64"}
    return pd.DataFrame(rows, columns=columns).astype(types)


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        ([("a", "X", 2, 16_000), ("b", "X", 4, 16_000)], ["a", "b"]),
        ([("a", "X", 2, 16_000), ("a", "X", 2, 15_900)], ["a", "a"]),
        ([("a", "X", 2, 16_000), ("a", "X", 4, 15_900)], ["a (2 cores)", "a (4 cores)"]),
        ([("a", "X", 2, 16 * 10**9), ("a", "X", 2, 8 * 10**9)], ["a (16 GB)", "a (8 GB)"]),
        ([("a", "X", 2, None), ("a", "Y", 1, None)], ["a (X, 2 cores)", "a (Y, 1 core)"]),
        ([("a", "X", 2, None), ("a", None, None, None)], ["a", "a"]),
        # What fits one machine alone is of it; what fits two is of neither.
        (
            [("a", "X", 2, 1), ("a", "X", 4, 1), ("a", "X", 4, None), ("a", "X", None, 1)],
            ["a (2 cores)", "a (4 cores)", "a (4 cores)", "a (cores unknown)"],
        ),
    ],
)
def test_names_say_what_differs(rows, names):
    (frame,) = tell_apart([table(*rows)])
    assert frame["machine"].tolist() == names
    backwards = tell_apart([table(row) for row in reversed(rows)])
    assert [frame["machine"].item() for frame in reversed(backwards)] == names


def test_names_told_apart_are_understood_again():
    one = table(("a", "X", 2, 1), ("a", "X", 4, 1))
    (apart,) = tell_apart([one])
    assert tell_apart([apart])[0]["machine"].tolist() == ["a (2 cores)", "a (4 cores)"]
    second = table(("a", "X", 4, 1))
    both = tell_apart([apart, second])
    assert [frame["machine"].tolist() for frame in both] == [
        ["a (2 cores)", "a (4 cores)"],
        ["a (4 cores)"],
    ]
    both = tell_apart([apart[1:], second])
    assert [frame["machine"].tolist() for frame in both] == [["a (4 cores)"], ["a (4 cores)"]]


# ---------------------------------------------------------------- one folder


def test_one_folder_holds_two_machines(mixed):
    frame = load_results(mixed)
    assert machines(frame) == ALONE
    for name, cores in zip(ALONE, (2, 8), strict=True):
        assert set(frame.loc[frame["machine"] == name, "cores"]) == {cores}


def test_the_memory_is_in_the_table_and_tells_machines_apart(tmp_path):
    results = write_results(tmp_path, suite=RATIOS)
    assert set(load_results(results)["memory"]) == {16_384_000}
    with_facts(write_machine(results, suite=RATIOS, commit=COMMITS[0]), ram="16383000")
    assert machines(load_results(results)) == ["laptop"]
    with_facts(write_machine(results, suite=RATIOS, commit=COMMITS[1]), ram="32768000")
    assert machines(load_results(results)) == ["laptop (0.0164 GB)", "laptop (0.0328 GB)"]


def test_no_line_of_the_history_goes_over_two_machines(mixed):
    lines = history(load_results(mixed))
    assert not lines["cpu_changed"].any()
    for _, line in lines.groupby("series"):
        assert len(set(line["cores"])) == 1
        assert len(line) == 3


def test_the_report_of_one_has_its_own_history_alone(mixed, tmp_path):
    write_without_pictures(mixed, tmp_path / "out")
    text = (tmp_path / "out/report.md").read_text()
    assert "laptop (8 cores): 3 commits" in text
    assert "2 cores" not in text
    write_without_pictures(mixed, tmp_path / "out", machine="laptop (2 cores)")
    assert "laptop (2 cores): 3 commits" in (tmp_path / "out/report.md").read_text()


def test_commits_of_two_machines_are_not_compared_by_name(mixed, capsys):
    arguments = ["--results", str(mixed)]
    assert main(["compare", COMMITS[0], COMMITS[1], *arguments]) == 1
    assert "not measured on the same machine" in capsys.readouterr().err
    assert main(["compare", COMMITS[0], COMMITS[2], *arguments, "--margin", "5"]) == 0
    assert "the machines differ" not in capsys.readouterr().out


def test_show_and_export_tell_them_apart(mixed, capsys):
    assert main(["show", str(mixed)]) == 0
    assert capsys.readouterr().out.startswith("laptop (8 cores), ")
    assert main(["show", str(mixed), "--machine", "laptop (2 cores)"]) == 0
    assert capsys.readouterr().out.startswith("laptop (2 cores), ")
    assert main(["show", str(mixed), "--machine", "laptop"]) == 1
    message = "no results of machine 'laptop'; there are laptop (2 cores), laptop (8 cores)"
    assert message in capsys.readouterr().err
    assert main(["export", str(mixed)]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert {row.split(",")[0] for row in rows[1:]} == set(ALONE)


def test_the_site_has_a_report_for_each(mixed, tmp_path):
    sections = write_pages(load_results(mixed), mixed, tmp_path)
    assert sorted(section.machine for section in sections) == ALONE
    assert len({section.path for section in sections}) == 2
    for section in sections:
        text = (tmp_path / section.path).with_name("report.md").read_text()
        assert f"{section.machine}: 3 commits" in text


# ---------------------------------------------------------------- several folders


def test_a_report_of_two_folders_has_two_machines(folders, tmp_path):
    report = write_without_pictures(folders, tmp_path / "out")
    table = pd.read_csv(tmp_path / "out/results.csv")
    assert machines(table) == ALONE
    assert len(table) == sum(len(load_results(folder)) for folder in folders)
    for name, folder in zip(ALONE, folders, strict=True):
        mine = table[table["machine"] == name]
        expected = load_results(folder)
        assert mine["value"].tolist() == pytest.approx(expected["value"].tolist(), nan_ok=True)
    assert [line for line in report.headline.splitlines() if line in ALONE] == ALONE


def test_each_has_a_history_of_its_own(folders, tmp_path):
    for folder, cores in zip(folders, ("2", "8"), strict=True):
        write_machine(folder, suite=RATIOS, cores=cores, commit=COMMITS[0], started=DATE + 10**7)
    write_without_pictures(folders, tmp_path / "out")
    texts = [file.read_text() for file in sorted(tmp_path.glob("out/*/report.md"))]
    assert len(texts) == 2
    for name, text in zip(ALONE, texts, strict=True):
        assert f"{name}: 2 commits" in text


def test_a_machine_can_be_named_as_its_folder_is(folders, tmp_path):
    write_without_pictures(folders, tmp_path / "out", machine="laptop")
    assert machines(pd.read_csv(tmp_path / "out/results.csv")) == ALONE


def test_the_same_machine_in_two_folders_stays_one(folders, tmp_path):
    write_without_pictures([folders[0], folders[0]], tmp_path / "out")
    assert machines(pd.read_csv(tmp_path / "out/results.csv")) == ["laptop"]


@pytest.mark.parametrize("form", ["text", "markdown", "json"])
def test_a_comparison_says_that_the_machines_differ(folders, form, capsys):
    one, two = map(str, folders)
    main(["compare", one, two, "--margin", "5", "--format", form])
    said = capsys.readouterr().out
    assert "on laptop (2 cores), TensorFlow" in said
    assert "on laptop (8 cores), TensorFlow" in said
    assert "; the machines differ: 8 cores, not 2 cores" in said
    main(["compare", one, one, "--margin", "5", "--format", form])
    assert "differ:" not in capsys.readouterr().out


def test_a_comparison_of_two_names_says_so_as_well(folders, capsys):
    write_machine(folders[1], suite=RATIOS, machine="desk", started=DATE + 10**7)
    main(["compare", str(folders[0]), str(folders[1] / "desk"), "--margin", "5"])
    head = capsys.readouterr().out.splitlines()[2]
    # The two are written with the same values; of what differs between them no fact is known.
    assert head.endswith(
        "on desk, TensorFlow 2.21.0; the machines differ; the same values as the"
        " base's, so nothing can differ"
    )


def test_two_runs_are_found_under_two_names(folders):
    base, head = find_runs(*map(str, folders), folders[0], "laptop", lambda revision: None)
    assert [*runs(base)["machine"], *runs(head)["machine"]] == ALONE
    assert not math.isclose(base["value"].mean(), head["value"].mean())
