"""TensorFlow without its greetings, for commands that a person reads."""

import logging
import os
import sys
import tempfile


def import_tensorflow() -> None:
    """Import TensorFlow with its start-up messages held back; shown if the import fails.

    They come from C++ before any log level is in force, so they are held at the file descriptor.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            import tensorflow as tf
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
    # It warns of retracing when many steps are built in one process, as they are here.
    tf.get_logger().setLevel(logging.ERROR)
