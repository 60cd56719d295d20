"""Layer normalisation after a linear layer, its derivative one custom gradient.

A linear layer, its outputs normalised over the features of each example, and a squared error
against given targets (Ba, Kiros and Hinton, Layer Normalization, arXiv:1607.06450, 2016):

    x = inputs W + b
    x̂ = (x - mean(x)) / √(var(x) + ε)          mean and variance over the features
    y = scale x̂ + offset                       loss = mean((y - targets)²)

The tape differentiates means and squares one by one, with a tensor for each.  Written out for the
whole layer, with g = scale dloss/dy and all means over the features,

    dloss/dx = (g - mean(g) - x̂ mean(g x̂)) / √(var(x) + ε)

and scale and offset have the sums over the batch of x̂ dloss/dy and of dloss/dy.  mean(g) is what
the mean takes of a change in x, x̂ mean(g x̂) what the variance takes.
"""

from collections.abc import Callable
from math import sqrt
from typing import Any

import numpy as np
import tensorflow as tf

from manualbp.workload import Workload

INPUTS, FEATURES = 64, 768
EPSILON = 1e-5


def variables(random: np.random.Generator) -> Any:
    """Draw Glorot's normal weights, a scale near 1 and small biases and offsets."""
    return {
        "weights": random.normal(0, sqrt(2 / (INPUTS + FEATURES)), (INPUTS, FEATURES)),
        "bias": random.normal(0, 0.1, FEATURES),
        "scale": random.normal(1, 0.1, FEATURES),
        "offset": random.normal(0, 0.1, FEATURES),
    }


def data(random: np.random.Generator, batch: int) -> tuple[Any, Any]:
    """Draw inputs, (batch, 64), and targets, (batch, 768)."""
    return random.normal(size=(batch, INPUTS)), random.normal(size=(batch, FEATURES))


def loss(variables: Any, inputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Return the mean squared error, the layer being composed of means and squares."""
    return squared_error(composed_layer_norm, variables, inputs, targets)


def squared_error(
    layer_norm: Callable[..., tf.Tensor], variables: Any, inputs: tf.Tensor, targets: tf.Tensor
) -> tf.Tensor:
    """Return the mean squared error of a linear layer under one form of the normalisation.

    That takes the variables' values, for ``tf.custom_gradient`` asks of a function that reads
    variables itself to return their gradients apart.
    """
    outputs = tf.matmul(inputs, variables["weights"]) + variables["bias"]
    scale, offset = (tf.convert_to_tensor(variables[name]) for name in ("scale", "offset"))
    return tf.reduce_mean(tf.square(layer_norm(outputs, scale, offset) - targets))


def composed_layer_norm(inputs: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor) -> tf.Tensor:
    """Normalise each example over its features, (batch, features), then scale and offset."""
    normalised, _ = normalise(inputs)
    return normalised * scale + offset


def normalise(inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return x̂, (batch, features), and 1 / √(var(x) + ε), (batch, 1)."""
    centred = inputs - tf.reduce_mean(inputs, axis=1, keepdims=True)
    variance = tf.reduce_mean(tf.square(centred), axis=1, keepdims=True)
    inverse_deviation = tf.math.rsqrt(variance + EPSILON)
    return centred * inverse_deviation, inverse_deviation


workload = Workload(loss, variables, data, batches=(1, 32, 1024))


@workload.custom_gradient
def fused(variables: Any, inputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Return the same loss, whose layer brings its own derivative."""
    return squared_error(fused_layer_norm, variables, inputs, targets)


@tf.custom_gradient  # type: ignore[untyped-decorator]
def fused_layer_norm(
    inputs: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor
) -> tuple[tf.Tensor, Callable[..., Any]]:
    """Do as :func:`composed_layer_norm` does, and keep x̂ and the deviations for the way back."""
    normalised, inverse_deviation = normalise(inputs)

    def vjp(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        of_inputs = normalise_vjp(upstream * scale, normalised, inverse_deviation)
        return of_inputs, *affine_vjp(upstream, normalised)

    return normalised * scale + offset, vjp


def normalise_vjp(
    upstream: tf.Tensor, normalised: tf.Tensor, inverse_deviation: tf.Tensor
) -> tf.Tensor:
    """Differentiate x̂ by x: (g - mean(g) - x̂ mean(g x̂)) / √(var(x) + ε)."""
    mean = tf.reduce_mean(upstream, axis=1, keepdims=True)
    projection = tf.reduce_mean(upstream * normalised, axis=1, keepdims=True)
    return (upstream - mean - normalised * projection) * inverse_deviation


def affine_vjp(upstream: tf.Tensor, normalised: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Differentiate scale x̂ + offset by scale and offset, which every example shares."""
    return tf.reduce_sum(upstream * normalised, axis=0), tf.reduce_sum(upstream, axis=0)
