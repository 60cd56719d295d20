"""A classifier of small images: one hidden layer of GELU, softmax cross-entropy of ten classes.

The network that people train first, at the size of MNIST's images, 784-256-10:

    z1 = x W1 + b1        h = GELU(z1) = z1 Φ(z1)        z2 = h W2 + b2
    loss = mean over the batch of log(sum over k of exp(z2_k)) - z2_y

Φ is the standard normal distribution function, (1 + erf(z / √2)) / 2, and φ its density.
GELU: Hendrycks and Gimpel, Gaussian Error Linear Units, arXiv:1606.08415 (2016).  Backwards:

    dloss/dz2 = (softmax(z2) - onehot(y)) / batch
    GELU'(z) = Φ(z) + z φ(z)

and, for each layer, dW = input^T dz, db = the sum of dz over the batch, dinput = dz W^T.
"""

from math import pi, sqrt
from typing import Any

import numpy as np
import tensorflow as tf

from manualbp.workload import Gradient, Workload

raw = tf.raw_ops

PIXELS, UNITS, CLASSES = 784, 256, 10


def variables(random: np.random.Generator) -> Any:
    """Draw (weights, bias) of both layers: Glorot's normal weights, small biases."""

    def layer(fan_in: int, fan_out: int) -> tuple[Any, Any]:
        weights = random.normal(0, sqrt(2 / (fan_in + fan_out)), (fan_in, fan_out))
        return weights, random.normal(0, 0.1, fan_out)

    return layer(PIXELS, UNITS), layer(UNITS, CLASSES)


def data(random: np.random.Generator, batch: int) -> tuple[Any, Any]:
    """Draw images, (batch, 784), and the labels of their classes, (batch,)."""
    return random.normal(size=(batch, PIXELS)), random.integers(0, CLASSES, batch)


def normal_cdf(inputs: tf.Tensor) -> tf.Tensor:
    """Return Φ, the probability that a standard normal variable is below each input."""
    return 0.5 * (1 + tf.math.erf(inputs * sqrt(0.5)))


def gelu(inputs: tf.Tensor) -> tf.Tensor:
    """Return z Φ(z).

    ``tf.nn.gelu`` rounds its √2 to float32 in any dtype: in float64 it is wrong by 5e-9.
    """
    return inputs * normal_cdf(inputs)


def loss(variables: Any, images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Return the mean cross-entropy."""
    (weights1, bias1), (weights2, bias2) = variables
    hidden = gelu(tf.matmul(images, weights1) + bias1)
    logits = tf.matmul(hidden, weights2) + bias2
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    return tf.reduce_mean(losses)


workload = Workload(
    loss,
    variables,
    data,
    batches=(1, 32, 512),
    names=("hidden weights", "hidden bias", "output weights", "output bias"),
)


@workload.by_hand
def chain(variables: Any, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, Any]:
    """Apply the chain rule, one local derivative after the other."""
    (weights1, bias1), (weights2, bias2) = variables
    before = tf.matmul(images, weights1) + bias1
    hidden = gelu(before)
    logits = tf.matmul(hidden, weights2) + bias2
    log_likelihoods = tf.gather(tf.nn.log_softmax(logits), labels, batch_dims=1)

    upstream = cross_entropy_vjp(1 / images.shape[0], logits, labels)
    output = linear_vjp(upstream, hidden)
    upstream = gelu_vjp(inputs_vjp(upstream, weights2), before)
    return -tf.reduce_mean(log_likelihoods), (linear_vjp(upstream, images), output)


def cross_entropy_vjp(upstream: float, logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Differentiate the cross-entropy by the logits: softmax(z) - onehot(y)."""
    return upstream * (tf.nn.softmax(logits) - tf.one_hot(labels, CLASSES, dtype=logits.dtype))


def gelu_vjp(upstream: tf.Tensor, inputs: tf.Tensor) -> tf.Tensor:
    """Differentiate z Φ(z) by z: Φ(z) + z φ(z)."""
    density = tf.exp(-0.5 * tf.square(inputs)) / sqrt(2 * pi)
    return upstream * (normal_cdf(inputs) + inputs * density)


def linear_vjp(upstream: tf.Tensor, inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Differentiate x W + b by W and b."""
    return tf.matmul(inputs, upstream, transpose_a=True), tf.reduce_sum(upstream, axis=0)


def inputs_vjp(upstream: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Differentiate x W + b by x."""
    return tf.matmul(upstream, weights, transpose_b=True)


@workload.gradient
class Fused(Gradient):
    """The fewest operations, which are raw, as they skip the Python layer above each kernel."""

    def forward(self, images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, Any]:
        """Keep Φ, and the derivative by the logits, which comes with the loss."""
        weights1, bias1, weights2, bias2 = (
            raw.ReadVariableOp(resource=variable.handle, dtype=images.dtype)
            for layer in self.variables
            for variable in layer
        )
        before = raw.BiasAdd(value=raw.MatMul(a=images, b=weights1), bias=bias1)
        error_function = raw.Erf(x=raw.Mul(x=before, y=sqrt(0.5)))
        below = raw.Mul(x=raw.AddV2(x=error_function, y=1.0), y=0.5)
        hidden = raw.Mul(x=before, y=below)
        logits = raw.BiasAdd(value=raw.MatMul(a=hidden, b=weights2), bias=bias2)
        losses, error = raw.SparseSoftmaxCrossEntropyWithLogits(features=logits, labels=labels)
        return raw.Mean(input=losses, axis=0), (before, below, hidden, weights2, error)

    def backward(self, stored: Any, images: tf.Tensor, labels: tf.Tensor) -> Any:
        """Divide by the batch where the tensor is smallest, and go back."""
        before, below, hidden, weights2, error = stored
        upstream = raw.Mul(x=error, y=1 / images.shape[0])
        output = fused_linear_vjp(upstream, hidden)
        upstream = raw.MatMul(a=upstream, b=weights2, transpose_b=True)
        upstream = fused_gelu_vjp(upstream, before, below)
        return fused_linear_vjp(upstream, images), output


def fused_gelu_vjp(upstream: tf.Tensor, inputs: tf.Tensor, below: tf.Tensor) -> tf.Tensor:
    """Differentiate z Φ(z) by z, where Φ(z), ``below``, is known."""
    density = raw.Mul(x=raw.Exp(x=raw.Mul(x=raw.Square(x=inputs), y=-0.5)), y=1 / sqrt(2 * pi))
    return raw.Mul(x=upstream, y=raw.AddV2(x=below, y=raw.Mul(x=inputs, y=density)))


def fused_linear_vjp(upstream: tf.Tensor, inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Differentiate x W + b by W and b."""
    of_weights = raw.MatMul(a=inputs, b=upstream, transpose_a=True)
    return of_weights, raw.Sum(input=upstream, axis=0)
