"""What each trick buys: a gradient with it over the same gradient without, in fresh processes.

    python docs/studies/tricks.py                 all of them, about ten minutes
    python docs/studies/tricks.py packed_loop     one

Every form is verified by the oracles before it is timed.  The figures of
docs/where-the-time-goes.md are its output.
"""

import argparse
import math
import multiprocessing
import os
import statistics
from contextlib import contextmanager
from functools import cache, partial
from types import SimpleNamespace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from tensorflow.python import pywrap_tfe  # private: for what it would save
from tensorflow.python.eager import context

from manualbp.cases import EXERCISE, Case
from manualbp.exercise import augmented, fused, packed
from manualbp.exercise.fused import raw
from manualbp.measuring import measure
from manualbp.measuring.step import build_step
from manualbp.peers import PeerNotFoundError, build_peer
from manualbp.workloads import exercise


def operations(**instead):
    """Return the raw operations, but for those given."""
    return SimpleNamespace(**{name: getattr(raw, name) for name in dir(raw)} | instead)


@contextmanager
def instead(module, **names):
    """Let a module use other things under these names meanwhile."""
    usual = {name: getattr(module, name) for name in names}
    vars(module).update(names)
    try:
        yield
    finally:
        vars(module).update(usual)


# ---------------------------------------------------------------- fused


class FusedByOperators(exercise.Fused):
    """By TensorFlow's ordinary operators."""

    def forward(self, inputs, targets):
        """Run the forward pass, keeping what ``fused`` keeps."""
        parameters = [(weights.read_value(), bias.read_value()) for weights, bias in self.variables]
        outputs, layer_inputs = inputs, []
        for number, (weights, bias) in enumerate(parameters):
            outputs = tf.nn.relu(outputs) if number > 0 else outputs
            layer_inputs.append(outputs)
            outputs = outputs @ weights + bias
        error = tf.sigmoid(outputs) - targets
        return -tf.reduce_mean(tf.math.log(1 - tf.abs(error))), (parameters, layer_inputs, error)


def product_with_ones(input, axis):  # noqa: A002  (as raw.Sum has it)
    """Sum over the batch by a product."""
    ones = tf.ones((1, input.shape[0]), input.dtype)
    return tf.reshape(tf.matmul(ones, input), (-1,))


@cache
def with_products():
    """Return the raw operations with sums over the batch by a product with ones."""
    return operations(Sum=product_with_ones)


class FusedByProducts(exercise.Fused):
    """With sums by products."""

    def backward(self, stored, *data):
        """Go back, taking every sum over the batch by a product."""
        with instead(fused, raw=with_products()):
            return super().backward(stored, *data)


# ---------------------------------------------------------------- augmented


def augmented_forward(loss_function, matrices, inputs, targets):
    """``augmented.forward`` with another loss."""
    values = [raw.ReadVariableOp(resource=each.handle, dtype=inputs.dtype) for each in matrices]
    outputs = raw.ConcatV2(values=[inputs, raw.OnesLike(x=targets)], axis=1)
    layer_inputs = []
    for number, value in enumerate(values):
        outputs = raw.Relu(features=outputs) if number > 0 else outputs
        layer_inputs.append(outputs)
        outputs = raw.MatMul(a=outputs, b=value)
    loss, error = loss_function(outputs, targets)
    return loss, (values, layer_inputs, error)


class AugmentedByPredictions(exercise.Augmented):
    """With the loss of ``fused``."""

    def forward(self, inputs, targets):
        """Run the forward pass to the predictions and their loss."""
        return augmented_forward(fused.loss_of_predictions, self.variables, inputs, targets)


def softmax_of_two(logits, targets):
    """Both the loss and p - y from one kernel, with a second column of zeros in the last matrix."""
    labels = raw.Squeeze(input=raw.Cast(x=targets, DstT=tf.int32), axis=[1])
    loss, error = raw.SparseSoftmaxCrossEntropyWithLogits(features=logits, labels=labels)
    return raw.Mean(input=loss, axis=0), error


class AugmentedSoftmax(exercise.Augmented):
    """With a softmax of the logit and 0."""

    def __init__(self, variables, batch=None):
        """Pack with a column of zeros beside the logits'."""
        super().__init__(variables, batch)
        *first, last = self.variables
        last = tf.Variable(tf.concat([tf.zeros_like(last), last], axis=1))
        self.variables = (*first, last)

    def forward(self, inputs, targets):
        """Run the forward pass to two logits."""
        return augmented_forward(softmax_of_two, self.variables, inputs, targets)

    def as_written(self, nested):
        """Unpack without the column."""
        *first, last = nested
        return super().as_written((*first, last[:, 1:]))


@cache
def private_calls():
    """Return raw operations without their Python wrappers, by TensorFlow's private fast path."""
    eager = context.context()
    eager.ensure_initialized()
    call = partial(pywrap_tfe.TFE_Py_FastPathExecute, eager)

    def matmul(a, b, transpose_a=False, transpose_b=False):
        if transpose_a:
            return call("MatMul", None, a, b, "transpose_a", True)
        if transpose_b:
            return call("MatMul", None, a, b, "transpose_b", True)
        return call("MatMul", None, a, b)

    def read(resource, dtype):
        return call("ReadVariableOp", None, resource, "dtype", dtype)

    return operations(
        MatMul=matmul,
        ReadVariableOp=read,
        OnesLike=lambda x: call("OnesLike", None, x),
        Relu=lambda features: call("Relu", None, features),
        ReluGrad=lambda gradients, features: call("ReluGrad", None, gradients, features),
    )


class AugmentedPrivate(exercise.Augmented):
    """By private calls."""

    def forward(self, *data):
        """Run the forward pass."""
        with instead(augmented, raw=private_calls()):
            return super().forward(*data)

    def backward(self, stored, *data):
        """Go back."""
        with instead(augmented, raw=private_calls()):
            return super().backward(stored, *data)


# ---------------------------------------------------------------- packed


class PackedWhole(exercise.Packed):
    """All examples at once."""

    block = 10**9

    def forward(self, *data):
        """Run the forward pass in blocks of another size."""
        with instead(packed, BLOCK=self.block):
            return super().forward(*data)


class Packed8192(PackedWhole):
    """Blocks of 8192."""

    block = 8192


class Packed2048(PackedWhole):
    """Blocks of 2048."""

    block = 2048


class PackedByProducts(exercise.Packed):
    """With sums by products."""

    def backward(self, stored, *data):
        """Go back, taking every sum over the batch by a product."""
        with instead(fused, raw=with_products()):
            return super().backward(stored, *data)


class PackedLoop(exercise.Packed):
    """One block after the other in a loop that XLA keeps."""

    is_split = False

    def forward(self, inputs, targets, block=1024):
        """Do all of it: the gradients are added up beside the loss."""
        vector = self.variables.read_value()
        parameters = packed.views(vector, self.shapes)
        batch = inputs.shape[0]

        def body(number, loss, gradient):
            rows = tf.slice(inputs, [number * block, 0], [block, inputs.shape[1]])
            wanted = tf.slice(targets, [number * block, 0], [block, 1])
            logits, layer_inputs = fused.layers(parameters, rows)
            mean, error = fused.loss_of_predictions(logits, wanted)
            stored = parameters, [(layer_inputs, error)]
            return (
                number + 1,
                loss + mean * (block / batch),
                gradient + packed.backward(stored, batch),
            )

        start = (0, tf.zeros((), inputs.dtype), tf.zeros_like(vector))
        _, loss, gradient = tf.while_loop(lambda number, *_: number < batch // block, body, start)
        return loss, gradient

    def backward(self, stored, *data):
        """Return what the loop has computed."""
        return stored


class PackedTransposed(exercise.Packed):
    """Every layer as (units, batch), so that the batch is contiguous."""

    def forward(self, inputs, targets):
        """Run the forward pass."""
        (w1, b1), (w2, b2), (w3, b3) = packed.views(self.variables.read_value(), self.shapes)
        first = tf.matmul(w1, inputs, transpose_a=True, transpose_b=True) + b1[:, None]
        first = tf.nn.relu(first)
        second = tf.nn.relu(tf.matmul(w2, first, transpose_a=True) + b2[:, None])
        logits = tf.matmul(w3, second, transpose_a=True) + b3[:, None]
        loss, error = fused.loss_of_predictions(logits, tf.transpose(targets))
        return loss, (first, second, w2, w3, error)

    def backward(self, stored, inputs, targets):
        """Go back through transposed layers."""
        first, second, w2, w3, error = stored
        error = error / targets.shape[0]
        d2 = raw.ReluGrad(gradients=w3 * error, features=second)
        d1 = raw.ReluGrad(gradients=tf.matmul(w2, d2), features=first)
        gradients = [
            *(tf.matmul(inputs, d1, transpose_a=True, transpose_b=True), tf.reduce_sum(d1, 1)),
            *(tf.matmul(first, d2, transpose_b=True), tf.reduce_sum(d2, 1)),
            *(tf.matmul(second, error, transpose_b=True), tf.reduce_sum(error, 1)),
        ]
        return tf.concat([tf.reshape(each, (-1,)) for each in gradients], axis=0)


FORMS = {
    "fused_by_operators": FusedByOperators,
    "fused_by_products": FusedByProducts,
    "augmented_by_predictions": AugmentedByPredictions,
    "augmented_softmax": AugmentedSoftmax,
    "augmented_private": AugmentedPrivate,
    "packed_whole": PackedWhole,
    "packed_8192": Packed8192,
    "packed_2048": Packed2048,
    "packed_by_products": PackedByProducts,
    "packed_loop": PackedLoop,
    "packed_transposed": PackedTransposed,
}

SMALL, LARGE = (1, 64, 512), (4096, 32768)
TRICKS = {
    # a form, the form it is compared with, the mode, the batches
    "raw operations": ("fused", "fused_by_operators", "eager", SMALL),
    "products with ones, fused": ("fused_by_products", "fused", "graph", (*SMALL, *LARGE)),
    "biases as rows, eager": ("augmented", "fused", "eager", (*SMALL, *LARGE)),
    "biases as rows, graph": ("augmented", "fused", "graph", (*SMALL, *LARGE)),
    "biases as rows, xla": ("augmented", "fused", "xla", (*SMALL, *LARGE)),
    "loss of logits": ("augmented", "augmented_by_predictions", "eager", (*SMALL, *LARGE)),
    "softmax of two": ("augmented_softmax", "augmented", "eager", (*SMALL, *LARGE)),
    "private calls": ("augmented_private", "augmented", "eager", (*SMALL, *LARGE)),
    "one vector, eager": ("packed", "fused", "eager", (*SMALL, *LARGE)),
    "one vector, graph": ("packed", "fused", "graph", (*SMALL, *LARGE)),
    "one vector, xla": ("packed", "fused", "xla", (*SMALL, *LARGE)),
    "products with ones, packed": ("packed_by_products", "packed", "xla", (*SMALL, *LARGE)),
    "blocks of 4096": ("packed", "packed_whole", "xla", (32768,)),
    "blocks of 8192": ("packed_8192", "packed_whole", "xla", (32768,)),
    "blocks of 2048": ("packed_2048", "packed_whole", "xla", LARGE),
    "a loop over blocks": ("packed_loop", "packed_whole", "xla", LARGE),
    "layers transposed": ("packed_transposed", "packed_whole", "xla", (*SMALL, *LARGE)),
    "ConcreteFunction, tape": ("concrete tape", "tape", "xla", SMALL),
    "ConcreteFunction, packed": ("concrete packed", "packed", "xla", SMALL),
    "ConcreteFunction, augmented": ("concrete augmented", "augmented", "graph", SMALL),
    "beside JAX, called as usual": ("packed", "jax", "xla", (1, 32768)),
    "beside JAX, ConcreteFunction": ("concrete packed", "jax", "xla", (1, 32768)),
}


def one_process(trick, batch):
    """Return one process's ratio."""
    form, base, mode, _ = TRICKS[trick]
    exercise.workload.gradients.update(FORMS)
    return measure.ratio(build(form, mode, batch), build(base, mode, batch))


def build(form, mode, batch):
    """Build a form's step, called through its ConcreteFunction if so named, or JAX's."""
    if form == "jax":
        return build_peer("jax", batch)
    *concrete, gradient = form.split()
    call = "concrete" if concrete else "function"
    return build_step(Case(EXERCISE, gradient, mode, "CPU:0", batch, call))


def main():
    """Measure the tricks asked for, one process after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tricks", nargs="*", help="part of a name (default: all)")
    parser.add_argument("--processes", type=int, default=5)
    arguments = parser.parse_args()
    # TensorFlow is imported but not yet running, so that a fork is safe.
    processes = multiprocessing.get_context("fork")
    with processes.Pool(1, maxtasksperchild=1) as pool:
        for trick, (form, base, mode, batches) in TRICKS.items():
            if arguments.tricks and not any(each in f"{trick} {form}" for each in arguments.tricks):
                continue
            print(f"{trick}: {form} over {base}, {mode}")
            for batch in batches:
                try:
                    logs = [
                        math.log(pool.apply(one_process, (trick, batch)))
                        for _ in range(arguments.processes)
                    ]
                except PeerNotFoundError as error:
                    print(f"  left out: {error}")
                    break
                deviation = statistics.stdev(logs) if len(logs) > 1 else math.nan
                print(
                    f"  batch {batch:5}: {np.exp(np.median(logs)):.3f} (sd {deviation:.3f})",
                    flush=True,
                )


if __name__ == "__main__":
    main()
