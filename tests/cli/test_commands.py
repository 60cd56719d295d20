"""The commands that read, verify and advise."""

import subprocess
import sys

import pytest

from manualbp import workloads
from manualbp.cli import doctor, main
from manualbp.exercise import derivatives

GRADIENTS = workloads.find("exercise").gradients


def test_verify_is_green_on_right_gradients(capsys):
    assert main(["verify", "exercise", "--batch", "7"]) == 0
    out = capsys.readouterr().out
    assert f"{3 * len(GRADIENTS)} cases, 0 wrong" in out
    assert "bitwise equal" in out


def test_verify_is_red_on_a_wrong_one(capsys, monkeypatch):
    right = derivatives.sigmoid_vjp
    monkeypatch.setattr(derivatives, "sigmoid_vjp", lambda *a: 1.001 * right(*a))
    assert main(["verify", "exercise", "--batch", "7", "--mode", "graph"]) == 1
    captured = capsys.readouterr()
    assert f"{len(GRADIENTS)} cases, 1 wrong" in captured.out
    for oracle in ("float64 tape", "central difference"):
        assert f"but the {oracle} has" in captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["exercise", "--gradient", "nonsense"], "unknown gradient 'nonsense'"),
        (["--gradient", "nonsense"], "no workload has a gradient nonsense"),
        (["exercise", "--device", "GPU:9"], "no device 'GPU:9' here"),
        (["exercise", "--batch", "0"], "batch must be at least 1"),
        (["tiny"], "unknown workload 'tiny': expected one of exercise, attention"),
        (["nothing.py"], "nothing.py: no Python file"),
    ],
)
def test_verify_refuses_what_it_does_not_know(arguments, message, capsys):
    assert main(["verify", *arguments]) == 1
    assert message in capsys.readouterr().err


def test_doctor_names_versions_devices_and_remedies(capsys):
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    for fact in ("tensorflow", "asv_runner", "cores", "load", "CPU:0", "threads"):
        assert fact in out
    assert out.count("! ") == out.count("remedy: ")


def test_doctor_misses_no_optional_library(capsys, monkeypatch):
    monkeypatch.setattr(doctor, "OPTIONAL", ("numpy", "no-such-library"))
    assert main(["doctor"]) == 0
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    assert ["no-such-library", "not installed (optional)"] in lines


def test_doctor_sees_flags_that_change_the_result(capsys, monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    assert main(["doctor"]) == 0
    assert "OPENBLAS_NUM_THREADS=1 changes NumPy's matrix product" in capsys.readouterr().out


def test_report_on_nothing_is_one_clear_line(tmp_path, capsys):
    for path in (tmp_path, tmp_path / "missing"):
        assert main(["report", str(path), "-o", str(tmp_path / "out")]) == 1
        captured = capsys.readouterr()
        assert len(captured.err.strip().splitlines()) == 1
        assert captured.err.startswith("manualbp: ")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "command", ["run", "report", "show", "export", "publish", "verify", "doctor"]
)
def test_help_teaches(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert f"usage: manualbp {command}" in capsys.readouterr().out


def test_reading_commands_import_no_tensorflow():
    code = (
        "import sys\n"
        "from manualbp.cli import main\n"
        "for command in ('report', 'show', 'export'):\n"
        "    main([command, 'no-such-folder'])\n"
        "main(['publish', '-o', sys.executable])\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
