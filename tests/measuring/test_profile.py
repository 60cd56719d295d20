"""The profile: events made by hand, and the real thing beside what other counts say."""

from collections import Counter

import pytest
from tensorflow.python.framework import op_callbacks
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from manualbp import Case, build_step
from manualbp.measuring import hlo, profile, structure
from manualbp.measuring.profile import Event, ProfileError

CALLER, POOL = 1, 2


def step(*events, start=0, length=100):
    """Make a step's events in the caller's thread, with the mark around them."""
    return [Event(profile.MARK, CALLER, start, start + length), *events]


def xla_step(*events, start=0):
    """Make a step that runs a program from 20 to 90."""
    return step(
        Event("f", CALLER, 5, 95),
        Event("TFE_Py_ExecuteCancelable", CALLER, 10, 92),
        Event("EagerExecute", CALLER, 12, 91),
        Event("CpuExecutable::ExecuteAsyncOnStream", CALLER, 20, 90),
        *events,
        start=start,
    )


def thunk(name, start, end, thread=CALLER):
    return Event(name, thread, start, end, is_thunk=True)


def picoseconds(found):
    """The five parts: kernels, waiting, executor, runtime, Python."""
    parts = (
        *(found.kernels_s, found.waiting_s, found.executor_s),
        *(found.runtime_s, found.python_s),
    )
    return tuple(round(1e12 * part) for part in parts)


# ---------------------------------------------------------------- events made by hand


def test_every_moment_is_in_one_part():
    found = profile.summarise(
        xla_step(
            Event("ThunkExecutor::Execute", CALLER, 25, 60),
            thunk("dot.1", 30, 40),
            thunk("add.2", 35, 55, POOL),
            Event("BlockUntilReady", CALLER, 50, 85),
        ),
        "xla",
    )
    # Kernels run from 30 to 55; of the waiting, 55 to 85 is left; of the program 20 to 30 and 85
    # to 90; of the runtime 10 to 20 and 90 to 92; of the step 0 to 10 and 92 to 100.
    assert picoseconds(found) == (25, 30, 15, 12, 18)
    assert found.step_s == pytest.approx(100e-12)
    assert found.pool_calls == 1
    assert [(each.name, each.calls) for each in found.kernels] == [("add.2", 1), ("dot.1", 1)]
    assert [round(1e12 * each.seconds) for each in found.kernels] == [20, 10]


def test_a_thunk_lasts_until_the_pool_has_done_it():
    found = profile.summarise(
        xla_step(thunk("dot.1", 30, 32), Event("end: dot.1", POOL, 70, 71)), "xla"
    )
    assert [round(1e12 * each.seconds) for each in found.kernels] == [40]
    assert found.pool_calls == 0  # it was started in the caller


def test_each_run_of_a_thunk_has_its_own_end():
    found = profile.summarise(
        xla_step(
            thunk("dot.1", 30, 32),
            Event("end: dot.1", POOL, 40, 40),
            thunk("dot.1", 50, 52),
            Event("end: dot.1", POOL, 55, 55),
        ),
        "xla",
    )
    (kernel,) = found.kernels
    assert (kernel.calls, round(1e12 * kernel.seconds)) == (2, 15)


def test_a_kernel_that_holds_others_is_none():
    found = profile.summarise(
        step(
            Event("EagerKernelExecute", CALLER, 20, 90),
            Event("call:PartitionedCall", CALLER, 30, 80),
            Event("layer/MatMul_1:MatMul", CALLER, 40, 50),
            Event("layer/MatMul_2:MatMul", POOL, 45, 60),
        ),
        "graph",
    )
    assert {each.name for each in found.kernels} == {
        "layer/MatMul_1:MatMul",
        "layer/MatMul_2:MatMul",
    }
    assert picoseconds(found)[0] == 60 - 40


def test_nodes_too_cheap_to_be_recorded_count_as_kernels():
    found = profile.summarise(
        step(
            Event("TFE_Py_ExecuteCancelable", CALLER, 10, 95),
            Event("EagerKernelExecute", CALLER, 20, 90),
            Event("ExecutorState::Process", POOL, 40, 60),
        ),
        "graph",
    )
    assert picoseconds(found) == (20, 0, 50, 15, 15)
    assert found.kernels == ()


def test_eager_operations_are_summed_by_kind():
    found = profile.summarise(
        step(
            Event("TFE_Py_FastPathExecute_C", CALLER, 10, 40),
            Event("EagerLocalExecute: MatMul", CALLER, 15, 39),
            Event("EagerKernelExecute", CALLER, 20, 38),
            Event("KernelAndDeviceFunc::Run", CALLER, 25, 35),
            Event("TFE_Py_FastPathExecute_C", CALLER, 50, 80),
            Event("EagerLocalExecute: MatMul", CALLER, 55, 79),
            Event("EagerKernelExecute", CALLER, 60, 78),
            Event("KernelAndDeviceFunc::Run", CALLER, 65, 75),
        ),
        "eager",
    )
    assert [(each.name, each.calls) for each in found.kernels] == [("MatMul", 2)]
    assert picoseconds(found) == (20, 0, 16, 24, 40)


def test_steps_that_a_neighbour_disturbed_are_left_out():
    events = []
    for number, length in enumerate((100, 100, 100, 9000)):
        start = 10_000 * number
        events += step(thunk("dot.1", start + 10, start + length), start=start, length=length)
    found = profile.summarise(events, "xla")
    assert found.steps == 2
    assert found.step_s == pytest.approx(100e-12)


def test_what_is_outside_of_the_steps_does_not_count():
    events = [*xla_step(thunk("dot.1", 30, 40)), thunk("dot.1", 200, 300)]
    assert profile.summarise(events, "xla").calls == 1


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
def test_a_profile_without_kernels_is_refused(mode):
    with pytest.raises(ProfileError, match=f"{mode} mode has no kernel"):
        profile.summarise(xla_step(Event("dot.1", CALLER, 30, 40)), mode)


def test_a_profile_without_steps_is_refused():
    with pytest.raises(ProfileError, match="none of the events put around each step"):
        profile.summarise([thunk("dot.1", 30, 40)], "xla")


@pytest.mark.parametrize(
    ("intervals", "length"),
    [
        ([], 0),
        ([(1, 3)], 2),
        ([(5, 6), (1, 3)], 3),
        ([(1, 5), (2, 3)], 4),
        ([(1, 5), (2, 8)], 7),
        ([(0, 0), (4, 4)], 0),
    ],
)
def test_overlaps_are_covered_once(intervals, length):
    assert profile.covered(intervals) == length


def test_events_are_read_with_their_threads_and_times():
    space = xplane_pb2.XSpace()
    plane = space.planes.add()
    plane.event_metadata[7].name = "dot.1"
    plane.stat_metadata[3].name = "hlo_op"
    plane.stat_metadata[4].name = "hlo_module"
    for thread, stat in enumerate((3, 4)):
        line = plane.lines.add(timestamp_ns=1000 * thread)
        event = line.events.add(metadata_id=7, offset_ps=50, duration_ps=20)
        event.stats.add(metadata_id=stat)
    assert profile.read_events(space) == [
        Event("dot.1", 1, 50, 70, is_thunk=True),
        Event("dot.1", 2, 1_000_050, 1_000_070, is_thunk=False),
    ]


# ---------------------------------------------------------------- the real thing


def profiled(gradient, mode, batch, device):
    built = build_step(Case("exercise", gradient, mode, device, batch))
    found = profile.profile(built, mode, 0.02)  # few steps do
    parts = (
        *(found.kernels_s, found.waiting_s, found.executor_s),
        *(found.runtime_s, found.python_s),
    )
    assert sum(parts) == pytest.approx(found.step_s)
    assert min(parts) >= 0
    assert found.kernels_s > 0
    if mode != "graph":  # where a thread runs nodes that are not recorded
        assert sum(each.seconds for each in found.kernels) >= 0.999 * found.kernels_s
    return built, found


@pytest.mark.parametrize("gradient", ["tape", "chain", "fused"])
def test_eager_kernels_are_the_operations_that_python_dispatches(gradient):
    # On CPU:1 TensorFlow copies constants to the device, by an operation that no Python dispatches.
    built, found = profiled(gradient, "eager", 8, "CPU:0")
    dispatched = []

    def note(op_type, inputs, attrs, outputs, op_name=None, graph=None):
        dispatched.append(op_type.decode() if isinstance(op_type, bytes) else op_type)

    op_callbacks.add_op_callback(note)
    try:
        built()
    finally:
        op_callbacks.remove_op_callback(note)
    assert {each.name: each.calls for each in found.kernels} == Counter(dispatched)
    assert found.calls == structure.eager_operations(built)
    assert found.pool_calls == 0


@pytest.mark.parametrize("gradient", ["tape", "fused"])
def test_a_graph_runs_every_product_once(gradient):
    # TensorFlow does not know yet which nodes are cheap.
    _, found = profiled(gradient, "graph", 8, "CPU:1")
    products = [each for each in found.kernels if each.name.endswith("MatMul")]
    # Three layers forward, three derivatives of weights, two of a layer's inputs.
    assert sum(each.calls for each in products) == 3 + 3 + 2
    assert all(each.calls == 1 for each in found.kernels)


def test_a_graph_of_nodes_known_to_be_cheap_has_its_time_all_the_same():
    built = build_step(Case("exercise", "fused", "graph", "CPU:1", 1))
    for _ in range(500):
        built()
    assert profile.profile(built, "graph", 0.02).kernels_s > 0


@pytest.mark.parametrize("batch", [8, 4096])
def test_xla_kernels_are_those_of_the_program(batch):
    built, found = profiled("fused", "xla", batch, "CPU:1")
    module = structure.optimised_hlo(built.function, *built.data).hlo_module
    instructions = {each.name for part in module.computations for each in part.instructions}
    assert {each.name for each in found.kernels} <= instructions
    assert all(each.calls == 1 for each in found.kernels)
    assert found.calls == hlo.kernels(module)


def test_another_versions_names_are_refused(monkeypatch):
    monkeypatch.setattr(profile, "HLO_OP", "of another version")
    with pytest.raises(ProfileError, match="name its events otherwise"):
        profiled("fused", "xla", 8, "CPU:1")
