"""Put commits of a known kind before ``manualbp gate`` and show what it says of each.

Run it in a checkout, in the project's environment, on a calibrated machine that is left alone:

    .venv/bin/python docs/studies/gate_scenarios.py --machine NAME

Each scenario is a commit in a clone of the project, gated against the commit before it with the
margins in results/NAME, on the cells of ``chain`` at small batches and its exact counts; --bench
takes others.  What came of it is in docs/verdicts.md.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from manualbp.reading.margins import FILE

PROJECT = Path(__file__).resolve().parents[2]
GRADIENTS = "manualbp/exercise/chain.py"
SEED = "    upstream = tf.ones_like(loss) / batch_size\n"

CELLS = (
    r"ratio_to_tape\('exercise', 'chain', '(eager|graph)', 'CPU:0', (1|8|64)\)|"
    r"ratio_numpy_to_numpy|track_(eager_operations|graph_nodes|xla_flops)\('exercise', 'chain'"
)

SCENARIOS = {
    "one redundant matmul in chain": (
        3,
        GRADIENTS,
        SEED,
        f"{SEED}    upstream *= 1 + 1e-30 * tf.reduce_max(inputs @ variables[0][0])\n",
    ),
    "comments alone": (0, GRADIENTS, SEED, f"    # One for every example.\n{SEED}"),
    "a gradient wrong by 0.1 %": (
        5,
        "manualbp/exercise/derivatives.py",
        "return upstream * tf.cast(layer_out > 0, upstream.dtype)",
        "return 1.001 * upstream * tf.cast(layer_out > 0, upstream.dtype)",
    ),
    "an import that fails": (5, "benchmarks/ratios.py", "import parts", "import no_such_part"),
    "a package that cannot be built": (5, "pyproject.toml", "[build-system]", "[build-system"),
}
"""The expected exit status, the file that the commit edits, and the text it replaces."""


def main() -> int:
    """Run the scenarios asked for; returns 1 unless each ends as expected."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bench", default=CELLS, help="as manualbp gate's (default: %(default)s)")
    parser.add_argument("--machine", required=True, metavar="NAME", help="it was calibrated as")
    parser.add_argument("--only", choices=SCENARIOS, action="append")
    arguments = parser.parse_args()
    wrong = 0
    for name in arguments.only or SCENARIOS:
        expected, *edit = SCENARIOS[name]
        with tempfile.TemporaryDirectory() as folder:
            clone = Path(folder) / "clone"
            make_commit(clone, name, *edit)
            status, text = gate(clone, arguments.bench, arguments.machine)
        verdict = "as expected" if status == expected else f"EXPECTED {expected}"
        print(f"== {name}: exit status {status}, {verdict}\n{text}", flush=True)
        wrong += status != expected
    return 1 if wrong else 0


def make_commit(clone: Path, message: str, name: str, old: str, new: str) -> None:
    """Clone the project and commit one edit."""
    subprocess.run(["git", "clone", "--quiet", str(PROJECT), str(clone)], check=True)
    file = clone / name
    text = file.read_text()
    if old not in text:
        raise SystemExit(f"{name} no longer holds the text that '{message}' edits: {old!r}")
    file.write_text(text.replace(old, new))
    identity = ["-c", "user.name=Scenario", "-c", "user.email=scenario@example.org"]
    subprocess.run(["git", *identity, "commit", "-qam", message], cwd=clone, check=True)


def gate(clone: Path, bench: str, machine: str) -> tuple[int, str]:
    """Gate the clone's last commit; returns the exit status and what was printed."""
    command = [sys.executable, "-m", "manualbp", "gate", "HEAD^", "HEAD", "--bench", bench]
    command += ["--machine", machine, "--margins", str(PROJECT / "results" / machine / FILE)]
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


if __name__ == "__main__":
    sys.exit(main())
