"""Write a long history: ``python tests/reading/long_history.py FOLDER [COMMITS]``.

Every commit has 306 measured cells of the suite of ``asvfiles``, and as many skipped for want of a
GPU; noise included.  In the middle ``fused`` becomes 10 % slower and TensorFlow is updated.
"""

import json
import math
import random
import sys
from pathlib import Path

from asvfiles import DATE, SUITE, write_benchmarks, write_machine

HOUR = 3_600_000
QUANTITIES = (
    *("steady_step", "steady_backward", "steady_numpy", "steady_empty"),
    *("ratio_to_tape", "ratio_tape_to_tape", "track_error_ulp"),
)


def write_history(results: Path, commits: int) -> Path:
    """Write a results directory of so many commits, an hour apart, and return it."""
    suite = {name: SUITE[name] for name in QUANTITIES}
    write_benchmarks(results, suite)
    first = write_machine(results, suite=suite)
    template = json.loads(first.read_text())
    first.unlink()
    for number in range(commits):
        noise = random.Random(number)
        hash_ = f"{number:08x}{'0' * 32}"
        content = {**template, "commit_hash": hash_, "date": DATE + number * HOUR}
        late = number >= commits // 2
        content["params"] = {**template["params"], "tensorflow": "2.22.0" if late else "2.21.0"}
        content["results"] = {
            name: _row(name, row, late, noise) for name, row in template["results"].items()
        }
        first.with_name(f"{hash_[:8]}-{template['env_name']}.json").write_text(json.dumps(content))
    return results


def _row(name: str, row: list, late: bool, noise: random.Random) -> list:
    """Return a benchmark's row with other noise; the columns as ``asvfiles`` writes them."""
    if len(row) < 12 or row[11] is None:
        return row
    slower = 1.1 if late and name.endswith("ratio_to_tape") else 1.0
    samples = []
    for place, values in enumerate(row[11]):
        here = slower if place >= len(row[11]) // 2 else 1.0  # the later half is ``fused``
        samples.append(values and [v * here * math.exp(noise.gauss(0, 0.01)) for v in values])
    results = [
        sorted(values)[len(values) // 2] if values else old
        for values, old in zip(samples, row[0], strict=True)
    ]
    return [results, *row[1:11], samples, *row[12:]]


if __name__ == "__main__":
    write_history(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1000)
