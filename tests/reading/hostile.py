"""Results as a stranger's pull request may bring them: every text in the files tries to act."""

import itertools
import json

from asvfiles import DATE, SUITE, VALUES, model, write_benchmarks, write_machine

from manualbp.reading.text import visible

RUN = "window.hacked = 1"
PAYLOADS = {
    "image": f'<img src=x onerror="{RUN}">',
    "picture": f'"><svg onload={RUN.replace(" ", "")}>',
    "script": f"</script><script>{RUN}</script>",
    "style": "</style><style>body { display: none }</style>",
    "address": f"javascript:{RUN} https://evil.example/x.png",
    "templates": f"${{{RUN}}} {{{{ 7 * 7 }}}}",
    "quotes": "' \" ` ``` --> ]]>",
    "markdown": "![x](https://evil.example/x) | [y](javascript:z) *b* @everyone #1 a@evil.example",
    "mathtext": r"$\frac{$ $x",
    "rich": "[/] [red] [link=https://evil.example]z[/link] :bomb:",
    "controls": "\x00\x07\x1b[31m\x1b]0;title\x07\x9b2J\r\n\t\x85\u2028",
    "reordering": "\u202eright\u202c \u200f \u2067 שלום",
    "path": "../../../escaped",
}
"""What a text may hold, by what it is aimed at."""

FORMULA = '=HYPERLINK("https://evil.example")'
VISIBLE = "\\x00\\x07\\x1b[31m\\x1b]0;title\\x07\\x9b2J\\x0d\\x0a\\x09\\x85\\u2028"
"""How the control characters are shown."""


def evil(field):
    """Return a text with every payload; it begins as a formula and says where it stood."""
    return f"{FORMULA} {field} {' '.join(PAYLOADS.values())}"


def tame(field):
    """Return a text that says where it stood and is as long, for a long label hides others."""
    return f"a-{field} ".ljust(len(visible(evil(field))), "x")


FIELDS = ("machine", "cpu", "os", "python", "tensorflow", "environment", "flags", "commit",
          "workload", "gradient", "mode", "device", "peer", "benchmark", "unit", "param", "value",
          "version")  # fmt: skip
"""Where a text stands that is shown."""

NAMES = {"exercise": "workload", "fused": "gradient", "xla": "mode", "CPU:0": "device",
         "jax": "peer"}  # fmt: skip
"""Names of the suite that are replaced, by the column in which they stand."""

PEERS = {"ratio_peer_to_numpy": ("ratio", "ratio", ("workload", "peer", "batch"))}

FEW = {**VALUES, "mode": ("eager", "xla"), "batch": (8, 512), "peer": ("jax", "numba")}
"""Few cells, for their texts are long: every quantity, and every column in which a text stands."""


def peers_too(quantity, case):
    """The model, with the ratios of other libraries."""
    if quantity == "ratio_peer_to_numpy":
        return model("ratio_tape_to_tape", {**case, "mode": "xla"})
    if quantity == "ratio_to_tape" and case["gradient"] == "fused" and case["batch"] == 8:
        return None  # failed cells are listed by name
    return model(quantity, case)


def write_hostile(results, machines=("one",), commits=2, text=evil):
    """Write a results folder of some machines and commits, its texts made by ``text``."""
    suite = SUITE | PEERS
    write_benchmarks(results, suite, FEW)
    file = results / "benchmarks.json"
    benchmarks = json.loads(file.read_text())
    for entry in benchmarks.values():
        if isinstance(entry, dict):
            entry["pretty_name"] = text("pretty_name")
            if entry["unit"] not in ("seconds", "ratio"):
                entry["unit"] = text("unit")
    benchmarks[text("benchmark")] = {
        "type": "track", "unit": text("unit"), "version": "v1", "param_names": [text("param")],
        "params": [[repr(text("value"))]],
    }  # fmt: skip
    file.write_text(json.dumps(benchmarks))
    for machine, number in itertools.product(machines, range(commits)):
        path = write_machine(
            results, machine=machine, suite=suite, values=FEW, model=peers_too,
            commit=f"{number:08x}" * 5, started=DATE + 3_600_000 * number,
        )  # fmt: skip
        path.write_text(json.dumps(spoiled(json.loads(path.read_text()), machine, number, text)))
    return results


def spoiled(content, machine, number, text):
    """Return a result file's content with its texts replaced."""
    content["commit_hash"] = f"{number}{text('commit')}"
    content["env_name"] = text("environment")
    content["env_vars"] = {text("variable"): text("flags")}
    content["params"] |= {
        "machine": f"{text('machine')} {machine}",
        "cpu": f"{text('cpu')} {number}",
        "os": text("os"),
        "python": text("python"),
        "tensorflow": f"{text('tensorflow')} {number}",
    }
    columns = content["result_columns"]
    for row in content["results"].values():
        row[columns.index("version")] = text("version")
        row[columns.index("params")] = [
            [repr(text(NAMES[old[1:-1]])) if old[1:-1] in NAMES else old for old in values]
            for values in row[columns.index("params")]
        ]
    row = [[text("tracked")], [[repr(text("value"))]], text("version"), DATE]
    content["results"][text("benchmark")] = row
    return content


def shown(field):
    """Return how a field's text is shown: a parameter's value is its repr."""
    return visible(repr(evil(field)) if field == "value" else evil(field))
