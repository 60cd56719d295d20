"""A wide network, 256 → 512 → 512 → 1, bound by its matrix products.

1.2 GFLOP a step at batch 512, which every gradient shares: what a backward pass by hand saves
beside them is small.  (The exercise's ``augmented`` and ``packed`` differ from ``fused`` in what a
product dwarfs.)
"""

from manualbp.workloads import exercise

workload = exercise.make((256, 512, 512, 1), batches=(1, 64, 512), name="wide")
workload.gradient(exercise.Chain)
workload.gradient(exercise.Fused)
