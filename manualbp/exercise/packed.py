"""``packed``: all parameters in one vector, all gradients in another.

A compiled call pays for every variable that goes in and every tensor that comes out: with one of
each it takes 0.91 of the time of ``fused`` at batch 1 under XLA.  From batch 8 to 512 it takes
0.61 to 0.64: XLA runs the other's program on its pool of threads and waits for them, and this one,
whose kernels depend on one another in a line, in the calling thread.
"""

from itertools import pairwise
from typing import Any

import numpy as np
import tensorflow as tf

from manualbp.exercise import fused
from manualbp.exercise.fused import raw
from manualbp.exercise.network import Variables

BLOCK = 4096
"""Examples that go through the network together.  A block's layers stay in a core's cache, blocks
are run at once, and each is summed on its own: under XLA 0.85 of the time at batch 32768."""

FLAT = np.array([-1], "int32")

Shapes = list[tuple[int, ...]]


def pack(variables: Variables) -> tf.Variable:
    """Put all weights and biases into one vector, layer by layer."""
    return tf.Variable(tf.concat([tf.reshape(v, FLAT) for pair in variables for v in pair], axis=0))


def unpack(vector: Any, shapes: Shapes) -> Variables:
    """Return the weights and biases in a vector, or their gradients in that of a vector."""
    return views(tf.convert_to_tensor(vector), shapes)


def views(vector: tf.Tensor, shapes: Shapes) -> Variables:
    """Cut a vector up and nest its parts as the exercise does."""
    parts = tf.split(vector, [int(np.prod(shape)) for shape in shapes])
    shaped = [tf.reshape(part, shape) for part, shape in zip(parts, shapes, strict=True)]
    return tuple(zip(shaped[0::2], shaped[1::2], strict=True))


def forward(
    vector: tf.Variable, shapes: Shapes, inputs: tf.Tensor, targets: tf.Tensor
) -> tuple[tf.Tensor, tuple[Any, ...]]:
    """Run the forward pass block by block."""
    value = raw.ReadVariableOp(resource=vector.handle, dtype=inputs.dtype)
    parameters = views(value, shapes)
    losses, stored = [], []
    for block_inputs, block_targets in blocks(inputs, targets):
        logits, layer_inputs = fused.layers(parameters, block_inputs)
        loss, error = fused.loss_of_predictions(logits, block_targets)
        share = block_inputs.shape[0] / inputs.shape[0]
        losses.append(loss if share == 1 else raw.Mul(x=loss, y=share))
        stored.append((layer_inputs, error))
    return total(losses), (parameters, stored)


def backward(stored: Any, batch_size: int) -> tf.Tensor:
    """Go back block by block and add up their gradients, as one vector."""
    parameters, blocks_stored = stored
    vectors = []
    for layer_inputs, error in blocks_stored:
        upstream = fused.scaled(error, batch_size)
        gradients = fused.back(parameters, layer_inputs, upstream)
        flat = [raw.Reshape(tensor=each, shape=FLAT) for pair in gradients for each in pair]
        vectors.append(raw.ConcatV2(values=flat, axis=0))
    return total(vectors)


def blocks(inputs: tf.Tensor, targets: tf.Tensor) -> list[tuple[tf.Tensor, tf.Tensor]]:
    """Cut a batch into as many blocks of :data:`BLOCK` examples as there are, and a rest."""
    batch = inputs.shape[0]
    if batch <= BLOCK:
        return [(inputs, targets)]
    cuts = [*range(0, batch, BLOCK), batch]
    return [(inputs[start:stop], targets[start:stop]) for start, stop in pairwise(cuts)]


def total(tensors: list[tf.Tensor]) -> tf.Tensor:
    """Add up one tensor or more."""
    return tensors[0] if len(tensors) == 1 else raw.AddN(inputs=tensors)
