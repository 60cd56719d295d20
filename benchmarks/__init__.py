"""The asv suite.  Importing it initialises no TensorFlow runtime: asv's forkserver would hang.

Each module states *what* is measured; how (device, mode, verification, waiting, warming up) is
``manualbp.measuring``'s business.
"""

import os

# Before TensorFlow is imported: its greetings would drown the reason of a failed cell.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from manualbp.measuring import asv_types

asv_types.register()
