"""The answer for every workload but the exercise, which the other modules measure closely."""

from manualbp.cases import EXERCISE, shipped_workloads
from manualbp.measuring import suite

for name in shipped_workloads():
    if name != EXERCISE:
        globals()[suite.class_name(name)] = suite.answer(name)
