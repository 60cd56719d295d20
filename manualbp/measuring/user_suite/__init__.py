"""The asv suite of a user's files, named in the environment variable ``MANUALBP_WORKLOADS``.

Like ``benchmarks/``, importing it initialises no TensorFlow runtime.
"""

import os

# Before TensorFlow is imported: its greetings would drown the reason of a failed cell.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from manualbp.measuring import asv_types

asv_types.register()
