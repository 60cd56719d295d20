"""Counts: right where a hand can do them, the same in every process, moved by real changes."""

import json
import os
import subprocess
import sys

import pytest
import tensorflow as tf

from manualbp import Case, build_step, workloads
from manualbp.exercise import chain
from manualbp.measuring import hlo, structure
from manualbp.measuring.oracle import VerificationError
from manualbp.workloads import exercise

EYE = tf.eye(12)
EVERY = [
    (workload, gradient)
    for workload in ("exercise", "exercise-logits")
    for gradient in workloads.find(workload).gradients
]
QUIET = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}


def ones(*shape):
    return tf.ones(shape)


def program(function, *arguments):
    return structure.optimised_hlo(tf.function(function, jit_compile=True), *arguments)


# ---------------------------------------------------------------- eager operations


@pytest.mark.parametrize(
    ("call", "count"),
    [
        (lambda: None, 0),
        (lambda: tf.matmul(EYE, EYE), 1),
        (lambda: tf.nn.relu(tf.matmul(EYE, EYE) + 1.0), 3),
    ],
)
def test_eager_operations_are_those_one_writes(call, count):
    assert structure.eager_operations(call) == count


def test_reading_a_variable_is_an_operation():
    variable = tf.Variable(EYE)
    assert structure.eager_operations(lambda: tf.matmul(EYE, variable)) == 2


def test_a_function_is_one_operation_however_much_it_traces():
    function = tf.function(lambda x: tf.nn.relu(x @ x + 1.0))
    assert structure.eager_operations(lambda: function(EYE)) == 1


def test_counting_operations_leaves_nothing_behind():
    def fails():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        structure.eager_operations(fails)
    outer = structure.eager_operations(
        lambda: structure.eager_operations(lambda: tf.matmul(EYE, EYE))
    )
    assert outer == 1


# ---------------------------------------------------------------- graph nodes


def test_nodes_are_arguments_operations_and_results():
    product = tf.function(lambda x, y: tf.matmul(x, y))
    assert structure.graph_nodes(lambda: product(ones(2, 3), ones(3, 4))) == 2 + 1 + 1


def test_nodes_that_grappler_removes_do_not_count():
    def wasteful(x, y):
        tf.matmul(y, y)  # leads to no result
        return tf.matmul(x, y) + tf.matmul(x, y)  # one product is enough

    def thrifty(x, y):
        product = tf.matmul(x, y)
        return product + product

    wasted, spared = tf.function(wasteful), tf.function(thrifty)
    nodes = structure.graph_nodes(lambda: wasted(EYE, EYE))
    assert nodes == structure.graph_nodes(lambda: spared(EYE, EYE))


def test_a_graph_built_before_is_no_count():
    function = tf.function(lambda x: x + x)
    function(EYE)
    with pytest.raises(structure.StructureError, match="not called before"):
        structure.graph_nodes(lambda: function(EYE))


# ---------------------------------------------------------------- XLA's program


def test_one_product_by_hand():
    found = program(lambda x, y: x @ y, ones(64, 30), ones(30, 20))
    assert hlo.kernels(found.hlo_module) == 1
    assert hlo.fusions(found.hlo_module) == 0
    assert hlo.instructions(found.hlo_module) == 3  # two parameters and the dot
    assert hlo.flops(found.hlo_module) == 2 * 64 * 20 * 30
    assert hlo.bytes_accessed(found.hlo_module) == 4 * (64 * 30 + 30 * 20 + 64 * 20)
    assert hlo.temporary_bytes(found) == 0


def test_between_two_products_stands_a_temporary_buffer():
    found = program(lambda x, y, z: x @ y @ z, ones(64, 30), ones(30, 20), ones(20, 10))
    assert hlo.kernels(found.hlo_module) == 2
    assert hlo.flops(found.hlo_module) == 2 * 64 * 20 * 30 + 2 * 64 * 10 * 20
    assert hlo.temporary_bytes(found) == 4 * 64 * 20
    # Three arguments, what is between, and the result: each once.
    assert hlo.buffer_bytes(found) == 4 * (64 * 30 + 30 * 20 + 20 * 10 + 64 * 20 + 64 * 10)


def test_elementwise_operations_are_one_fusion():
    found = program(lambda x, y: tf.exp(x * y) - x, ones(100), ones(100)).hlo_module
    assert (hlo.kernels(found), hlo.fusions(found)) == (1, 1)
    assert hlo.flops(found) == 3 * 100
    assert hlo.bytes_accessed(found) == 4 * 3 * 100  # what is between them stays in the fusion


def test_a_sum_is_one_less_than_its_elements():
    found = program(lambda x: tf.reduce_sum(x, axis=1), ones(7, 16)).hlo_module
    assert hlo.flops(found) == 7 * (16 - 1)


def test_moving_elements_is_no_arithmetic():
    found = program(lambda x: tf.transpose(x), ones(64, 30)).hlo_module
    assert hlo.flops(found) == 0
    assert hlo.bytes_accessed(found) == 4 * 2 * 64 * 30


def test_double_precision_is_twice_the_bytes():
    x = tf.ones((8, 8), tf.float64)
    assert hlo.bytes_accessed(program(lambda x, y: x + y, x, x).hlo_module) == 8 * 3 * 64


def test_what_cannot_be_counted_is_refused_by_name():
    def doubled_until_large(x):
        return tf.while_loop(lambda x: tf.reduce_sum(x) < 1e3, lambda x: (x + x,), (x,))[0]

    found = program(doubled_until_large, ones(8)).hlo_module
    for count in (hlo.flops, hlo.bytes_accessed):
        with pytest.raises(hlo.UncountedError, match="cannot count while"):
            count(found)
    with pytest.raises(hlo.UncountedError, match="cannot count sort"):
        hlo.flops(program(lambda x: tf.sort(x), ones(8)).hlo_module)


def test_the_counted_program_is_the_one_that_ran(tmp_path):
    # XLA writes each program that it compiles where XLA_FLAGS say, if they do so from the start.
    code = (
        "import pathlib, sys\n"
        "from manualbp import Case, build_step\n"
        "from manualbp.measuring import hlo, structure\n"
        "step = build_step(Case('exercise', 'chain', 'xla', batch=64))\n"
        "(ran,) = pathlib.Path(sys.argv[1]).glob('*after_optimizations.txt')\n"
        "lines = ran.read_text().splitlines()\n"
        "found = structure.optimised_hlo(step.function, *step.data).hlo_module\n"
        "assert hlo.instructions(found) == sum(' = ' in line for line in lines)\n"
        "assert hlo.fusions(found) == sum(' fusion(' in line for line in lines) > 0\n"
    )
    environment = {**QUIET, "XLA_FLAGS": f"--xla_dump_to={tmp_path}"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, env=environment, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("stage", "lacks"),
    [
        ("optimized_hlo_serialized", "computations"),
        ("optimized_hlo_proto_serialized", "buffer_assignment"),
    ],
)
def test_a_program_that_lacks_a_part_is_refused(stage, lacks):
    whole = program(lambda x: x + x, EYE)
    stages = {
        "optimized_hlo_serialized": whole.hlo_module,
        "optimized_hlo_proto_serialized": whole,
    }
    given = {name: type(part).FromString(part.SerializeToString()) for name, part in stages.items()}
    given[stage].ClearField(lacks)

    class Lacking:
        def experimental_get_compiler_ir(self, x):
            return lambda stage: given[stage].SerializeToString()

    with pytest.raises(structure.StructureError, match="without instructions or without buffers"):
        structure.optimised_hlo(Lacking(), EYE)


# ---------------------------------------------------------------- traces and compilations


def test_one_trace_may_be_compiled_many_times():
    signature = [tf.TensorSpec((None, 12))]
    function = tf.function(lambda x: x @ EYE, input_signature=signature, jit_compile=True)

    def call():
        for batch in (1, 2, 1, 3):
            function(ones(batch, 12))

    assert structure.compilations(call) == 3
    assert structure.compilations(call) == 0  # all are known now
    assert function.experimental_get_tracing_count() == 1


def test_a_profile_without_compilations_is_no_zero(monkeypatch):
    monkeypatch.setattr(structure, "COMPILED", structure.re.compile("of another version"))
    with pytest.raises(structure.StructureError, match="of another version"):
        structure.compilations(lambda: None)


@pytest.mark.parametrize("mode", ["graph", "xla"])
@pytest.mark.parametrize(("workload", "gradient"), EVERY)
def test_a_batch_that_comes_back_is_not_traced_again(workload, gradient, mode):
    case = Case(workload, gradient, mode, "CPU:1")
    sequence = structure.BatchSequence(case, (2, 8, 2))
    assert sequence.traces == 0
    sequence.verify()
    assert sequence.traces == 2


def test_a_gradient_wrong_at_one_size_has_no_traces(monkeypatch):
    class WrongAt8(exercise.Chain):
        def backward(self, stored, inputs, targets):
            batch = targets.shape[0]
            return chain.backward(self.variables, stored, targets, 9 if batch == 8 else batch)

    monkeypatch.setitem(exercise.workload.gradients, "wrong", WrongAt8)
    sequence = structure.BatchSequence(Case("exercise", "wrong", "graph"), (2, 8))
    with pytest.raises(VerificationError, match="exercise/wrong/graph/CPU:0/8"):
        sequence.verify()


# ---------------------------------------------------------------- a real change


def counts(gradient):
    """All counts of a gradient's step, from verified steps."""
    eager = build_step(Case("exercise", gradient, "eager", batch=64))
    graph = build_step(Case("exercise", gradient, "graph", batch=64), verify=False)
    xla = build_step(Case("exercise", gradient, "xla", batch=64))
    found = structure.optimised_hlo(xla.function, *xla.data)
    return {
        "operations": structure.eager_operations(eager),
        "nodes": structure.graph_nodes(graph),
        "instructions": hlo.instructions(found.hlo_module),
        "fusions": hlo.fusions(found.hlo_module),
        "kernels": hlo.kernels(found.hlo_module),
        "flops": hlo.flops(found.hlo_module),
        "bytes": hlo.bytes_accessed(found.hlo_module),
        "temporary": hlo.temporary_bytes(found),
    }


def added(monkeypatch, kind):
    """What a gradient has more than ``chain``."""
    monkeypatch.setitem(exercise.workload.gradients, "more", kind)
    more, chain = counts("more"), counts("chain")
    return {name: more[name] - chain[name] for name in chain}


def test_a_redundant_product_shows_in_every_count(monkeypatch):
    class WithProduct(exercise.Chain):
        def backward(self, stored, *data):
            first, (weights, bias), last = super().backward(stored, *data)
            return first, (tf.matmul(EYE, weights), bias), last

    assert added(monkeypatch, WithProduct) == {
        "operations": 1,
        "nodes": 2,  # the product, and the matrix as one more argument
        "instructions": 2,
        "fusions": 0,
        "kernels": 1,
        "flops": 2 * 12 * 12 * 32,
        "bytes": 4 * (12 * 12 + 2 * 12 * 32),
        "temporary": 0,  # the gradient's buffer is one that is free again by then
    }


def test_a_product_that_nobody_uses_shows_in_eager_mode_only(monkeypatch):
    class WithUnused(exercise.Chain):
        def backward(self, stored, inputs, targets):
            tf.matmul(targets, targets, transpose_a=True)
            return super().backward(stored, inputs, targets)

    found = added(monkeypatch, WithUnused)
    assert found.pop("operations") == 1
    assert set(found.values()) == {0}


# ---------------------------------------------------------------- repeatable


def test_every_benchmark_repeats_bit_for_bit_in_another_process():
    code = (
        "import inspect, json\n"
        "from benchmarks import structure\n"
        "found = {}\n"
        "for _, suite in inspect.getmembers(structure, inspect.isclass):\n"
        "    for name in dir(suite):\n"
        "        if name.startswith('track_'):\n"
        "            first = {n: v[-1] for n, v in zip(suite.param_names, suite.params)}\n"
        "            first |= {'device': 'CPU:0'}\n"
        "            found[name] = getattr(suite(), name)(**first)\n"
        "print(json.dumps(found))\n"
    )

    def counted(seed):
        environment = {**QUIET, "PYTHONHASHSEED": seed}
        done = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, env=environment
        )
        return json.loads(done.stdout)

    once, again = counted("1"), counted("2")
    assert once == again
    assert len(once) == 10
    assert all(type(value) is int and value > 0 for value in once.values())
