"""NumPy in one thread."""

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from manualbp.measuring import blas


def threads():
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}


def test_numpys_matrix_product_has_one_thread_afterwards():
    np.ones((2, 2)) @ np.ones((2, 2))
    with threadpool_limits(limits=2, user_api="blas"):
        assert threads() == {2}
        blas.one_thread()
        assert threads() == {1}
