"""Local derivatives: one vector-Jacobian product per operation of the forward pass.

Every function takes the upstream derivative first, then what the formula needs of the forward
pass, and returns the derivative of the loss with respect to one input of the operation.

The formulas are those of the exercise.  Where two ways to round them exist, the one that
TensorFlow's own gradient takes is chosen, so that the chain rule built from these functions is
bitwise equal to the eager tape.
"""

import tensorflow as tf


def cross_entropy_vjp(upstream: tf.Tensor, targets: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
    """Differentiate L(y, p) = -y log(p) - (1 - y) log(1 - p) with respect to p.

    dL/dp = -y/p + (1 - y)/(1 - p), the exercise's formula.  All shapes are (batch, 1).
    """
    # Written as the tape writes it: a division rounds otherwise than a product with 1/p.
    where_one = (-targets * upstream) * tf.math.reciprocal(predictions)
    where_zero = ((1 - targets) * upstream) * tf.math.reciprocal(1 - predictions)
    return where_one + where_zero


def sigmoid_vjp(upstream: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Differentiate s(z) = 1 / (1 + exp(-z)) with respect to z, given s.

    ds/dz = s (1 - s).  All shapes are (batch, units).
    """
    # SigmoidGrad is upstream * s * (1 - s) in one kernel.  Spelt out in three operations, the
    # last elements of a tensor (those beyond a full vector register) round differently.
    return tf.raw_ops.SigmoidGrad(y=outputs, dy=upstream)


def relu_vjp(upstream: tf.Tensor, layer_out: tf.Tensor) -> tf.Tensor:
    """Differentiate max(0, z) with respect to z: 1 where z > 0, else 0.

    At z = 0 the derivative is set to 0, as the exercise asks and ``tf.nn.relu`` does.
    All shapes are (batch, units).
    """
    return upstream * tf.cast(layer_out > 0, upstream.dtype)


def weights_vjp(upstream: tf.Tensor, inputs: tf.Tensor) -> tf.Tensor:
    """Differentiate x W + b with respect to W: x^T upstream.

    ``inputs`` is (batch, fan_in), ``upstream`` (batch, fan_out); the result (fan_in, fan_out).
    """
    return tf.matmul(inputs, upstream, transpose_a=True)


def bias_vjp(upstream: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """Differentiate x W + b with respect to b: the sum of upstream over the batch.

    ``upstream`` is (batch, fan_out); the result has the shape of ``bias``, (fan_out,) or
    (1, fan_out).
    """
    return tf.reduce_sum(upstream, axis=0, keepdims=bias.shape.rank == 2)


def inputs_vjp(upstream: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Differentiate x W + b with respect to x: upstream W^T.

    ``upstream`` is (batch, fan_out), ``weights`` (fan_in, fan_out); the result (batch, fan_in).
    """
    return tf.matmul(upstream, weights, transpose_b=True)
