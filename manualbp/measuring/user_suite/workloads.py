"""The answer for each workload in the user's files."""

import os

from manualbp import workloads as rooms
from manualbp.measuring import suite

FILES = os.environ.get("MANUALBP_WORKLOADS", "").split(os.pathsep)

for path in filter(None, FILES):
    for workload in rooms.load(path):
        name = suite.class_name(workload.name)
        if name in globals():
            raise ValueError(f"{path}: another workload is called {name} here; rename one of them")
        globals()[name] = suite.answer(workload.name)
