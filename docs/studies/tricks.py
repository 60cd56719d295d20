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
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from manualbp.measuring.fused import raw
from manualbp.measuring.gradients import GRADIENTS
from manualbp.measuring.peers import PeerNotFoundError, build_peer
from tensorflow.python import pywrap_tfe  # private: for what it would save
from tensorflow.python.eager import context

from manualbp.measuring import augmented, fused, measure, packed, parts
from manualbp.measuring.step import build_step

DEVICE = "CPU:0"


# ---------------------------------------------------------------- fused


def fused_with_python_operators(variables, inputs, targets):
    """Do the same by TensorFlow's ordinary operators."""
    parameters = [(weights.read_value(), bias.read_value()) for weights, bias in variables]
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


def with_products(function):
    """Take every sum over the batch by a product with ones."""
    return with_operations(fused, function, lambda: operations(Sum=product_with_ones))


def operations(**instead):
    """Return the raw operations, but for those given."""
    return SimpleNamespace(**{name: getattr(raw, name) for name in dir(raw)} | instead)


def with_operations(module, function, make):
    """Let a module's function use other operations than the raw ones."""
    others = []  # made once TensorFlow runs

    def otherwise(*arguments):
        others[:] = others or [make()]
        module.raw, usual = others[0], module.raw
        try:
            return function(*arguments)
        finally:
            module.raw = usual

    return otherwise


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


def softmax_of_two(logits, targets):
    """Both the loss and p - y from one kernel, with a second column of zeros in the last matrix."""
    labels = raw.Squeeze(input=raw.Cast(x=targets, DstT=tf.int32), axis=[1])
    loss, error = raw.SparseSoftmaxCrossEntropyWithLogits(features=logits, labels=labels)
    return raw.Mean(input=loss, axis=0), error


def two_logits(variables):
    """Pack with a column of zeros beside the logits'."""
    *first, last = augmented.pack(variables)
    return (*first, tf.Variable(tf.concat([tf.zeros_like(last), last], axis=1)))


def one_logit(matrices, variables):
    """Unpack without it."""
    *first, last = matrices
    return augmented.unpack((*first, last[:, 1:]), variables)


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


# ---------------------------------------------------------------- packed


def with_block(block):
    """``packed.forward`` with blocks of another size."""

    def forward(*arguments):
        packed.BLOCK, usual = block, packed.BLOCK
        try:
            return packed.forward(*arguments)
        finally:
            packed.BLOCK = usual

    return forward


def packed_in_a_loop(own, inputs, targets, block=1024):
    """One block after the other in a loop that XLA keeps: gradients in the forward pass."""
    vector = own.vector.read_value()
    parameters = packed.views(vector, own.shapes)
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
            gradient + packed.backward(own, stored, wanted, batch),
        )

    start = (0, tf.zeros((), inputs.dtype), tf.zeros_like(vector))
    _, loss, gradient = tf.while_loop(lambda number, *_: number < batch // block, body, start)
    return loss, gradient


def packed_transposed(own, inputs, targets):
    """Every layer as (units, batch), so that the batch is contiguous."""
    (w1, b1), (w2, b2), (w3, b3) = packed.views(own.vector.read_value(), own.shapes)
    first = tf.nn.relu(tf.matmul(w1, inputs, transpose_a=True, transpose_b=True) + b1[:, None])
    second = tf.nn.relu(tf.matmul(w2, first, transpose_a=True) + b2[:, None])
    logits = tf.matmul(w3, second, transpose_a=True) + b3[:, None]
    loss, error = fused.loss_of_predictions(logits, tf.transpose(targets))
    return loss, (inputs, first, second, w2, w3, error)


def packed_transposed_back(own, stored, targets, batch_size):
    """Go back through transposed layers."""
    inputs, first, second, w2, w3, error = stored
    error = error / batch_size
    d2 = raw.ReluGrad(gradients=w3 * error, features=second)
    d1 = raw.ReluGrad(gradients=tf.matmul(w2, d2), features=first)
    gradients = [
        *(tf.matmul(inputs, d1, transpose_a=True, transpose_b=True), tf.reduce_sum(d1, 1)),
        *(tf.matmul(first, d2, transpose_b=True), tf.reduce_sum(d2, 1)),
        *(tf.matmul(second, error, transpose_b=True), tf.reduce_sum(error, 1)),
    ]
    return tf.concat([tf.reshape(each, (-1,)) for each in gradients], axis=0)


def back_in_a_loop(own, stored, targets, batch_size):
    """Return what the loop has computed."""
    return stored


FUSED, AUGMENTED, PACKED = (GRADIENTS[name] for name in ("fused", "augmented", "packed"))
FORMS = {
    "fused_by_operators": replace(FUSED, forward=fused_with_python_operators),
    "fused_by_products": replace(FUSED, backward=with_products(fused.backward)),
    "augmented_by_predictions": replace(
        AUGMENTED, forward=partial(augmented_forward, fused.loss_of_predictions)
    ),
    "augmented_softmax": replace(
        AUGMENTED,
        forward=partial(augmented_forward, softmax_of_two),
        layout=replace(AUGMENTED.layout, pack=two_logits, unpack=one_logit),
    ),
    "augmented_private": replace(
        AUGMENTED,
        forward=with_operations(augmented, augmented.forward, private_calls),
        backward=with_operations(augmented, augmented.backward, private_calls),
    ),
    "packed_whole": replace(PACKED, forward=with_block(10**9)),
    "packed_8192": replace(PACKED, forward=with_block(8192)),
    "packed_2048": replace(PACKED, forward=with_block(2048)),
    "packed_by_products": replace(PACKED, backward=with_products(packed.backward)),
    "packed_loop": replace(PACKED, forward=packed_in_a_loop, backward=back_in_a_loop),
    "packed_transposed": replace(
        PACKED, forward=packed_transposed, backward=packed_transposed_back
    ),
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
    GRADIENTS.update(FORMS)
    return measure.ratio(build(form, mode, batch), build(base, mode, batch))


def build(form, mode, batch):
    """Build a form's step, called through its ConcreteFunction if so named, or JAX's."""
    if form == "jax":
        return build_peer("jax", batch)
    if form.startswith("concrete "):
        gradient = form.removeprefix("concrete ")
        return parts.build_concrete(gradient, mode, DEVICE, batch, "exercise")
    return build_step(form, mode, DEVICE, batch)


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
