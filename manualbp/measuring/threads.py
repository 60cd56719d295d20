"""One thread for everything that TensorFlow computes, in this process."""

import tensorflow as tf


def use_one() -> None:
    """Have TensorFlow compute in one thread from now on: within operations and between them.

    Which core a pool's threads are put on decides what waking them costs, by chance and for a
    process's life; without a pool that cannot be.  ``RuntimeError`` is raised by TensorFlow when it
    has computed something with more threads before.
    """
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
