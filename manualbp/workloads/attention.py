"""Scaled dot-product attention, its softmax recomputed in the backward pass.

Self-attention with several heads (Vaswani et al., Attention Is All You Need, arXiv:1706.03762,
2017) under a mean squared error.  Of a sequence X, (n, d), each head has queries Q, keys K and
values V, (n, k) with k = d / heads:

    Q = X Wq / √k    K = X Wk    V = X Wv
    S = Q K^T        P = softmax of the rows of S, (n, n)        O = P V
    Y = the sum over the heads of O Wo^T                         loss = mean((Y - targets)²)

Backwards, from dO of each head, with sums over the keys:

    dV = P^T dO    dP = dO V^T    dS = P (dP - rowsum(P dP))    dQ = dS K    dK = dS^T Q

The tape keeps P, batch × heads × n² numbers.  ``recompute`` keeps L = log(rowsum(exp(S))), one
number for each row, as FlashAttention does (Dao et al., arXiv:2205.14135, 2022): P is exp(S - L),
with S computed again, and rowsum(P dP) is rowsum(O dO).  Both of its passes take the queries in
blocks of a fixed size, and of S only the rows of one: the memory grows with n, not n².
"""

from math import sqrt
from typing import Any

import numpy as np
import tensorflow as tf

from manualbp.workload import Workload

LENGTH, WIDTH, HEADS, BLOCK = 512, 64, 4, 64
SCALE = 1 / sqrt(WIDTH / HEADS)


def variables(random: np.random.Generator) -> Any:
    """Draw Wq, Wk, Wv and Wo, (d, heads, k) each: Glorot's normal weights."""
    shape = (WIDTH, HEADS, WIDTH // HEADS)
    names = ("query", "key", "value", "output")
    return {name: random.normal(0, sqrt(1 / WIDTH), shape) for name in names}


def data(random: np.random.Generator, batch: int) -> tuple[Any, ...]:
    """Draw sequences and targets, (batch, n, d)."""
    return tuple(random.normal(size=(2, batch, LENGTH, WIDTH)))


def loss(variables: Any, sequences: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Return the mean squared error."""
    queries, keys, values = project(variables, sequences)
    probabilities = tf.nn.softmax(tf.matmul(queries, keys, transpose_b=True))
    heads = tf.matmul(probabilities, values)
    outputs = tf.einsum("bhnk,dhk->bnd", heads, variables["output"])
    return tf.reduce_mean(tf.square(outputs - targets))


def project(variables: Any, sequences: tf.Tensor) -> list[tf.Tensor]:
    """Return Q, K and V, (batch, heads, n, k)."""
    weights = variables["query"] * SCALE, variables["key"], variables["value"]
    return [tf.einsum("bnd,dhk->bhnk", sequences, each) for each in weights]


workload = Workload(loss, variables, data, batches=(1, 2, 8))


@workload.by_hand
def stored(variables: Any, sequences: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, Any]:
    """Keep the probabilities, as the tape does."""
    queries, keys, values = project(variables, sequences)
    probabilities = tf.nn.softmax(tf.matmul(queries, keys, transpose_b=True))
    heads = tf.matmul(probabilities, values)
    loss, of_output, upstream, means = outputs_vjp(variables["output"], heads, targets)
    inner = attention_vjp(upstream, means, probabilities, queries, keys, values)
    return loss, {**project_vjp(inner, sequences), "output": of_output}


@workload.by_hand
def recompute(variables: Any, sequences: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, Any]:
    """Keep L, and make the probabilities again, of one block of queries after another."""
    queries, keys, values = project(variables, sequences)
    queries = blocks(queries)

    def attend(number: Any, heads: tf.TensorArray, log_sums: tf.TensorArray) -> Any:
        rows = tf.matmul(queries[number], keys, transpose_b=True)
        probabilities = tf.nn.softmax(rows)
        # L = S - log P for any key; taking the likeliest costs no second exp of every score.
        score, probability = (tf.reduce_max(some, -1, True) for some in (rows, probabilities))
        heads = heads.write(number, tf.matmul(probabilities, values))
        return number + 1, heads, log_sums.write(number, score - tf.math.log(probability))

    def attend_vjp(number: Any, of_queries: tf.TensorArray, of_keys: Any, of_values: Any) -> Any:
        block = queries[number]
        probabilities = tf.exp(tf.matmul(block, keys, transpose_b=True) - log_sums[number])
        one = attention_vjp(upstream[number], means[number], probabilities, block, keys, values)
        return number + 1, of_queries.write(number, one[0]), of_keys + one[1], of_values + one[2]

    arrays = [tf.TensorArray(keys.dtype, LENGTH // BLOCK) for _ in range(3)]
    heads, log_sums = (array.stack() for array in each_block(attend, *arrays[:2]))
    loss, of_output, *others = outputs_vjp(variables["output"], whole(heads), targets)
    upstream, means = map(blocks, others)
    sums = tf.zeros_like(keys), tf.zeros_like(values)
    of_queries, *others = each_block(attend_vjp, arrays[2], *sums)
    inner = whole(of_queries.stack()), *others
    return loss, {**project_vjp(inner, sequences), "output": of_output}


def each_block(body: Any, *state: Any) -> Any:
    """Let ``body`` change a state block by block, in a loop of TensorFlow's.

    Of a loop unrolled by Python, a graph may run all blocks at once, or keep what they recompute.
    """
    state = (tf.constant(0), *state)
    return tf.while_loop(lambda i, *_: i < LENGTH // BLOCK, body, state, parallel_iterations=1)[1:]


def blocks(tensor: tf.Tensor) -> tf.Tensor:
    """Turn (batch, heads, n, …) into (blocks, batch, heads, n / blocks, …)."""
    return tf.stack(tf.split(tensor, LENGTH // BLOCK, axis=2))


def whole(blocks: tf.Tensor) -> tf.Tensor:
    """Undo :func:`blocks`."""
    return tf.concat(tf.unstack(blocks), axis=2)


def outputs_vjp(weights: tf.Tensor, heads: tf.Tensor, targets: tf.Tensor) -> tuple[Any, ...]:
    """Return the loss, and its derivatives by Wo and O, and rowsum(O dO)."""
    error = tf.einsum("bhnk,dhk->bnd", heads, weights) - targets
    upstream = error * (2 / error.shape.num_elements())
    of_weights = tf.einsum("bhnk,bnd->dhk", heads, upstream)
    of_heads = tf.einsum("bnd,dhk->bhnk", upstream, weights)
    means = tf.reduce_sum(heads * of_heads, axis=-1, keepdims=True)
    return tf.reduce_mean(tf.square(error)), of_weights, of_heads, means


def attention_vjp(upstream: Any, means: Any, probabilities: Any, *projected: Any) -> Any:
    """Differentiate O by Q, K and V, given P and rowsum(O dO), for some or all queries."""
    queries, keys, values = projected
    of_values = tf.matmul(probabilities, upstream, transpose_a=True)
    of_probabilities = tf.matmul(upstream, values, transpose_b=True)
    of_scores = softmax_vjp(of_probabilities, probabilities, means)
    return tf.matmul(of_scores, keys), tf.matmul(of_scores, queries, transpose_a=True), of_values


def softmax_vjp(upstream: tf.Tensor, probabilities: tf.Tensor, means: tf.Tensor) -> tf.Tensor:
    """Differentiate the softmax, given the upstream derivative's mean under P in each row."""
    return probabilities * (upstream - means)


def project_vjp(upstream: Any, sequences: tf.Tensor) -> dict[str, tf.Tensor]:
    """Differentiate Q, K and V by their weights."""
    query, key, value = (tf.einsum("bnd,bhnk->dhk", sequences, each) for each in upstream)
    return {"query": query * SCALE, "key": key, "value": value}
