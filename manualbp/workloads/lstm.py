"""A recurrent network (LSTM) over sequences, with back-propagation through time by hand.

The objective is that of ADBench (https://github.com/microsoft/ADBench) and GradBench: an LSTM
(Hochreiter and Schmidhuber 1997) predicts a text's next character, a row of bits, on each of which
weights w and biases b act alone.  In a step, a layer computes from x, hidden state h and cell c::

    forget, enter, leave = sigmoid(w₀ x + b₀), sigmoid(w₁ h + b₁), sigmoid(w₂ x + b₂)
    change = tanh(w₃ h + b₃),   c' = forget c + enter change,   h' = leave tanh c'

x is ``in_weight`` times the character, or h' of the layer below.  The last layer's y =
``out_weight`` h' + ``out_bias`` is normalised, y - log(2 + Σ exp y) over the bits; the 2 is theirs.
The loss is minus the mean of the next character times the normalised y, over bits, steps and
sequences.  ``batch`` is the number of sequences; ADBench's is one.

By hand, with δh' and δc' the sums of what the layer above (or the loss) and the next step send, and
δp for what the four gates' functions are applied to (Werbos 1990, "Backpropagation through time")::

    δc' += leave tanh' δh'      δp = sigmoid' (c δc', change δc', tanh(c') δh'), tanh' enter δc'
    δc = forget δc'             δx = w₀ δp₀ + w₂ δp₂,     δh = w₁ δp₁ + w₃ δp₃
    δb = Σ δp,                  δw = Σ δp (x, h, x, h),   over the steps and sequences
"""

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from manualbp.workload import Nest, Workload

LAYERS, BITS, STEPS = 2, 14, 12  # as ADBench's lstm_l2_c1024, but for its 1023 steps
KEPT = 7  # tensors that a layer's step keeps for its backward pass


def variables(random: np.random.Generator) -> Nest:
    """Draw everything from [0, 1), as ADBench does; each layer has w and b (4, bits)."""
    layers = [{name: random.random((4, BITS)) for name in ("w", "b")} for _ in range(LAYERS)]
    outer = {name: random.random(BITS) for name in ("in_weight", "out_weight", "out_bias")}
    return {"layers": layers, **outer}


def data(random: np.random.Generator, batch: int) -> tuple[NDArray[np.float64], ...]:
    """Draw h and c of each layer (batch, 2 layers, bits), and bits (batch, steps + 1, bits)."""
    bits = random.integers(2, size=(batch, STEPS + 1, BITS)).astype(np.float64)
    return random.random((batch, 2 * LAYERS, BITS)), bits


def cell(w: tf.Tensor, b: tf.Tensor, x: tf.Tensor, h: tf.Tensor, c: tf.Tensor) -> Nest:
    """Return h' and c' (batch, bits), and what ``cell_vjp`` needs; w and b are (4, 1, bits)."""
    inputs = tf.stack((x, h, x, h))
    forget, enter, leave, change = tf.unstack(w * inputs + b)
    gates = tf.sigmoid(forget), tf.sigmoid(enter), tf.sigmoid(leave), tf.tanh(change)
    next_c = gates[0] * c + gates[1] * gates[3]
    squashed = tf.tanh(next_c)
    return gates[2] * squashed, next_c, (inputs, c, squashed, *gates)


def sigmoid_vjp(y: tf.Tensor, d_y: tf.Tensor) -> tf.Tensor:
    """Return y (1 - y) δy, the derivative by z where y = sigmoid z, in one kernel."""
    return tf.raw_ops.SigmoidGrad(y=y, dy=d_y)


def tanh_vjp(y: tf.Tensor, d_y: tf.Tensor) -> tf.Tensor:
    """Return (1 - y²) δy, the derivative by z where y = tanh z, in one kernel."""
    return tf.raw_ops.TanhGrad(y=y, dy=d_y)


def cell_vjp(w: tf.Tensor, kept: Nest, d_h: tf.Tensor, d_c: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """Return δw and δb (4, bits), and δx, δh and δc (batch, bits), from δh' and δc'."""
    inputs, c, squashed, forget, enter, leave, change = kept
    d_c += tanh_vjp(squashed, leave * d_h)
    d_forget, d_enter = sigmoid_vjp(forget, c * d_c), sigmoid_vjp(enter, change * d_c)
    d_leave, d_change = sigmoid_vjp(leave, squashed * d_h), tanh_vjp(change, enter * d_c)
    d_p = tf.stack((d_forget, d_enter, d_leave, d_change))
    d_w, d_b = tf.reduce_sum(d_p * inputs, axis=1), tf.reduce_sum(d_p, axis=1)
    sent = tf.unstack(w * d_p)
    return d_w, d_b, sent[0] + sent[2], sent[1] + sent[3], forget * d_c


def log_softmax(y: tf.Tensor) -> tf.Tensor:
    """Return y - log(2 + Σ exp y) over the last axis."""
    return y - tf.math.log(2 + tf.reduce_sum(tf.exp(y), axis=-1, keepdims=True))


def log_softmax_vjp(result: tf.Tensor, d_result: tf.Tensor) -> tf.Tensor:
    """Return δy = δr - exp(r) Σ δr for the result r of ``log_softmax``."""
    return d_result - tf.exp(result) * tf.reduce_sum(d_result, axis=-1, keepdims=True)


def forward(variables: Nest, state: tf.Tensor, bits: tf.Tensor, number: int = 1) -> Nest:
    """Stack the last layer's h' and what ``cell_vjp`` needs: the first ``number`` of these."""
    layers = [(layer["w"][:, None], layer["b"][:, None]) for layer in variables["layers"]]

    def step(t: tf.Tensor, states: Nest, arrays: Nest) -> Nest:
        x, after, kept = variables["in_weight"] * tf.gather(bits, t), [], []
        for (w, b), (h, c) in zip(layers, states, strict=True):
            x, next_c, needed = cell(w, b, x, h, c)
            after.append((x, next_c))
            kept += needed
        pairs = zip(arrays, (x, *kept), strict=False)
        return t + 1, after, [array.write(t, one) for array, one in pairs]

    steps, parts = bits.shape[0] - 1, tf.unstack(state, axis=1)
    arrays = [tf.TensorArray(state.dtype, steps) for _ in range(number)]
    start = 0, list(zip(parts[::2], parts[1::2], strict=True)), arrays
    return tf.while_loop(lambda t, *_: t < steps, step, start, maximum_iterations=steps)[2]


def backward(variables: Nest, bits: tf.Tensor, arrays: Nest, d_last: tf.Tensor) -> Nest:
    """Return δw and δb of each layer and that of ``in_weight``, from δh' of the last layer."""
    weights = [layer["w"][:, None] for layer in variables["layers"]]

    def step(t: tf.Tensor, states: Nest, d_in: tf.Tensor) -> Nest:
        d_x, states = tf.gather(d_last, t), [*states]
        for i in reversed(range(len(weights))):
            kept = [array.read(t) for array in arrays[KEPT * i : KEPT * (i + 1)]]
            sum_w, sum_b, d_h, d_c = states[i]
            d_w, d_b, d_x, d_h, d_c = cell_vjp(weights[i], kept, d_h + d_x, d_c)
            states[i] = [sum_w + d_w, sum_b + d_b, d_h, d_c]
        return t - 1, states, d_in + tf.reduce_sum(d_x * tf.gather(bits, t), axis=0)

    steps, zero = d_last.shape[0], tf.zeros_like(d_last[0])
    states = [[tf.zeros_like(w[:, 0]), tf.zeros_like(w[:, 0]), zero, zero] for w in weights]
    return tf.while_loop(lambda t, *_: t >= 0, step, (steps - 1, states, zero[0]))[1:]


def loss(variables: Nest, state: tf.Tensor, sequence: tf.Tensor) -> tf.Tensor:
    """Return ADBench's objective, its mean over the sequences, a scalar."""
    bits = tf.transpose(sequence, (1, 0, 2))
    h = forward(variables, state, bits)[0].stack()
    normalised = log_softmax(variables["out_weight"] * h + variables["out_bias"])
    return -tf.reduce_mean(bits[1:] * normalised)


workload = Workload(loss, variables, data, batches=(1, 32, 1_024))


@workload.by_hand
def through_time(variables: Nest, state: tf.Tensor, sequence: tf.Tensor) -> tuple[tf.Tensor, Nest]:
    """Go forth and back through the steps."""
    bits = tf.transpose(sequence, (1, 0, 2))
    last, *arrays = forward(variables, state, bits, 1 + KEPT * len(variables["layers"]))
    h = last.stack()
    normalised = log_softmax(variables["out_weight"] * h + variables["out_bias"])
    d_y = log_softmax_vjp(normalised, bits[1:] / -tf.size(h, h.dtype))
    of_layers, d_in_weight = backward(variables, bits, arrays, variables["out_weight"] * d_y)
    return -tf.reduce_mean(bits[1:] * normalised), {
        "layers": [{"w": d_w, "b": d_b} for d_w, d_b, _, _ in of_layers],
        "in_weight": d_in_weight,
        "out_weight": tf.reduce_sum(d_y * h, axis=(0, 1)),
        "out_bias": tf.reduce_sum(d_y, axis=(0, 1)),
    }
