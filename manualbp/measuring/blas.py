"""The threads of NumPy's matrix product, which are not to disturb what is timed beside it."""

from threadpoolctl import threadpool_limits


def one_thread() -> None:
    """Have NumPy's matrix product compute in one thread from now on, in this process.

    The threads of OpenBLAS wait for work busily, and so keep a core from the pool of another
    library, which keeps one from them: by turns with JAX's step at batch 4096, on two cores,
    NumPy's took anything from 1 to 100 times its time alone, by turns with TensorFlow's 1 to 20.
    With one thread it takes the same every time, and less than with two (0.70 ms, not 0.93).
    Libraries that are imported later keep their own threads.
    """
    threadpool_limits(limits=1, user_api="blas")
