"""The course exercise: 2 → 12 → 32 → 1, ReLU, ReLU, sigmoid, binary cross-entropy.

Small enough that most of a step is the call and the dispatch of operations.  The mathematics stands
in ``manualbp.exercise``, one module for each gradient; here they become gradients of a workload.
"""

from typing import Any

import numpy as np
import tensorflow as tf

from manualbp.exercise import augmented, chain, fused, network, packed, reference
from manualbp.workload import Gradient, Nest, Workload

SHARE_OF_ONES = 0.75
"""The share of targets that are 1.

With one half, the sum of the last bias nearly cancels, and no check of it can be sharp: its
condition is 15 at batch 4096 and 26 at 32768; with three quarters it is 2 at both.
"""


def make(
    widths: tuple[int, ...], batches: tuple[int, ...], *, name: str = "", loss: Any = None
) -> Workload:
    """Make the workload of a network of these widths, with no gradient but the tape."""

    def variables(random: np.random.Generator) -> Nest:
        return network.initial_values(random, widths)

    def data(random: np.random.Generator, batch: int) -> tuple[Any, Any]:
        inputs = random.normal(size=(batch, widths[0]))
        targets = random.random(size=(batch, 1)) < SHARE_OF_ONES
        return inputs, targets.astype("float64")

    layers = range(1, len(widths))
    return Workload(
        loss or mean_loss,
        variables,
        data,
        batches=batches,
        name=name,
        reference=reference.step,
        kinks=reference.distance_from_kinks,
        names=[f"{kind} of layer {layer}" for layer in layers for kind in ("weights", "bias")],
    )


def mean_loss(variables: Nest, inputs: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Return the mean of the exercise's loss over the batch."""
    return tf.reduce_mean(network.forward(inputs, targets, variables)[0])


class Chain(Gradient):
    """The exercise's chain rule, bitwise equal to the eager tape."""

    def forward(self, inputs: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, Any]:
        """Run the exercise's forward pass, which keeps every intermediate result."""
        results = network.forward(inputs, targets, self.variables)
        return tf.reduce_mean(results[0]), results

    def backward(self, stored: Any, inputs: tf.Tensor, targets: tf.Tensor) -> Nest:
        """Chain the local derivatives from the loss back to the first layer."""
        return chain.backward(self.variables, stored, targets, self.batch or targets.shape[0])


class Fused(Gradient):
    """From p - y, with ReluGrad and raw operations, written to be fast."""

    loss_of = staticmethod(fused.loss_of_predictions)

    def forward(self, inputs: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, Any]:
        """Run the forward pass, keeping only what the backward pass needs."""
        return fused.forward(self.variables, inputs, targets, loss_of=self.loss_of)

    def backward(self, stored: Any, inputs: tf.Tensor, targets: tf.Tensor) -> Nest:
        """Go back from p - y."""
        return fused.backward(stored, self.batch or targets.shape[0])


class Augmented(Gradient):
    """A bias is a row of its weights: no additions, no sums; the fastest eager and in a graph."""

    def __init__(self, variables: Nest, batch: int | None = None) -> None:
        super().__init__(augmented.pack(variables), batch)
        self.shapes = network.shapes_of(variables)

    def forward(self, inputs: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, Any]:
        """Run the forward pass: a product and a ReLU for each layer."""
        return augmented.forward(self.variables, inputs, targets)

    def backward(self, stored: Any, inputs: tf.Tensor, targets: tf.Tensor) -> Nest:
        """Go back: one product for each matrix's gradient."""
        return augmented.backward(stored, self.batch or targets.shape[0])

    def as_written(self, nested: Nest) -> Nest:
        """Cut weights and biases out of the matrices."""
        return augmented.unpack(nested, self.shapes)

    def of_parameters(self, gradients: Nest) -> Nest:
        """Set to 0 the gradients of the columns that are no parameters."""
        return augmented.of_parameters(gradients)


class Packed(Gradient):
    """One vector of parameters, one of gradients: the fastest under XLA."""

    def __init__(self, variables: Nest, batch: int | None = None) -> None:
        super().__init__(packed.pack(variables), batch)
        self.shapes = network.shapes_of(variables)

    def forward(self, inputs: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, Any]:
        """Run the forward pass block by block."""
        return packed.forward(self.variables, self.shapes, inputs, targets)

    def backward(self, stored: Any, inputs: tf.Tensor, targets: tf.Tensor) -> Nest:
        """Go back block by block and add up their gradients."""
        return packed.backward(stored, self.batch or targets.shape[0])

    def as_written(self, nested: Nest) -> Nest:
        """Cut the vector up."""
        return packed.unpack(nested, self.shapes)


workload = make((2, 12, 32, 1), batches=(1, 8, 64, 512, 4096, 32768))
for kind in (Chain, Fused, Augmented, Packed):
    workload.gradient(kind)
