"""Where the time of a step goes by TensorFlow's own profiler: its kernels, and what is around them.

A *kernel* is what computes: an operation in eager and graph mode, a thunk of the program (a fusion,
a lone product, a copy) in xla mode.  It may run in the thread that calls the step or in one of a
pool.

Public are ``tf.profiler.experimental.Profile`` and ``Trace``.  Private, and tried with TensorFlow
2.21.0, are the profile's protocol buffer and the names of the events in it: :data:`OPERATION`,
:data:`HLO_OP`, :data:`END`, :data:`RUNTIME`, :data:`EXECUTORS`, :data:`WAITING`.  ``ProfileError``
is raised where a profile lacks what every profile of such a step must have.
"""

import re
import tempfile
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from manualbp.measuring.measure import Call, garbage_collection_paused

MARK = "manualbp step"
"""The event that this module puts around every call of a step."""

DISPATCH, RUN = "EagerLocalExecute: ", "KernelAndDeviceFunc::Run"
"""An eager operation: what the event that names it begins with, and the event, within that, in
which its kernel runs."""

NODE = re.compile(r"[^:\s]+:_?[A-Z]\w*")
"""The event of a graph's node that runs: its name and its operation's.  A node that has lately been
cheap has none at the profiler's usual level, and TensorFlow 2.21.0 knows no other (its
``ProfilerOptions`` change nothing)."""

NODES = "ExecutorState::Process"
"""The event in which a thread runs a graph's nodes, one after the other, the cheap ones too."""

HLO_OP = "hlo_op"
"""What the event of an XLA thunk carries; its name is that of the instruction."""

END = "end: "
"""What the event at which a thunk is done begins with.  A thunk may hand its work to the pool and
return before that."""

RUNTIME = re.compile("TFE_Py_(FastPath)?Execute")
"""The events of the call from Python into TensorFlow's runtime: one for each dispatch."""

EXECUTORS = {
    "eager": "EagerKernelExecute",
    "graph": "EagerKernelExecute",
    "xla": "CpuExecutable::ExecuteAsyncOnStream",
}
"""The event, by mode, in which the runtime runs a kernel, a graph or a program."""

WAITING = "BlockUntilReady"
"""The event in which the caller of XLA's program waits for the threads of the pool."""

PROFILE_S = 0.3
"""How long to profile, in seconds of steps as they are without the profiler."""

FEWEST, MOST = 8, 100
"""Steps in a profile: enough that the middle half is some, few enough that reading it takes no
longer than recording it (an eager step leaves some 1000 events)."""


PICO = 10**12
"""Picoseconds, in which a profile counts, in a second."""


class ProfileError(Exception):
    """A profile without what must be in it, as of another version of TensorFlow."""


@dataclass(frozen=True)
class Kernel:
    """One kernel: how often a step runs it, and its seconds in a step, from start to end.

    Kernels that run at the same time in two threads each count in full.
    """

    name: str
    calls: float
    seconds: float


@dataclass(frozen=True)
class Profile:
    """Seconds of a step under the profiler; the five parts add up to ``step_s``.

    Every moment of a step is in the first part that it fits: ``kernels_s`` while a kernel runs in
    any thread (in graph mode, while a thread runs nodes, finding the next one included),
    ``waiting_s`` while the caller waits for XLA's threads, ``executor_s`` elsewhere within the run
    of a kernel, graph or program, ``runtime_s`` elsewhere in TensorFlow's runtime, ``python_s``
    elsewhere.

    ``kernels`` are in order of their time, the slowest first; in graph mode the cheap ones are
    missing (:data:`NODE`).  ``pool_calls`` is how many of a step's runs of kernels are in another
    thread than the caller's.  All are means over ``steps``.
    """

    steps: int
    step_s: float
    kernels_s: float
    waiting_s: float
    executor_s: float
    runtime_s: float
    python_s: float
    pool_calls: float
    kernels: tuple[Kernel, ...]

    @property
    def calls(self) -> float:
        """Return how many kernels a step runs."""
        return sum(kernel.calls for kernel in self.kernels)


@dataclass(frozen=True)
class Event:
    """One event of a profile: the number of its thread, its start and end in picoseconds.

    ``is_thunk`` says that XLA's executor wrote it for an instruction.
    """

    name: str
    thread: int
    start: int
    end: int
    is_thunk: bool = False


def profile(step: Call, mode: str, seconds: float) -> Profile:
    """Profile a warm step of a mode on a CPU, of which one call takes about so many seconds.

    The profiler slows the step down, the more so the shorter its kernels: compare ``step_s`` with
    the time without it, and use the parts as shares.  Only the middle half of the steps, by
    duration, is kept: those that a neighbour disturbed are not among them.

    ``ProfileError`` is raised when the profile has no kernel.
    """
    number = min(MOST, max(FEWEST, int(PROFILE_S / seconds)))
    return summarise(record(step, number), mode)


def record(call: Call, steps: int) -> list[Event]:
    """Return the profiler's events of so many calls, each within an event :data:`MARK`."""
    # The finest level, where TensorFlow looks at it: then cheap nodes are recorded as well.
    options = tf.profiler.experimental.ProfilerOptions(
        host_tracer_level=3, python_tracer_level=0, device_tracer_level=0
    )
    with tempfile.TemporaryDirectory() as folder, garbage_collection_paused():
        with tf.profiler.experimental.Profile(folder, options):
            for _ in range(steps):
                with tf.profiler.experimental.Trace(MARK):
                    call()
        spaces = [
            xplane_pb2.XSpace.FromString(file.read_bytes())
            for file in Path(folder).rglob("*.xplane.pb")
        ]
    return [event for space in spaces for event in read_events(space)]


def read_events(space: Any) -> list[Event]:
    """Read an ``XSpace``: its planes' lines are threads."""
    events = []
    thread = 0
    for plane in space.planes:
        names = {key: metadata.name for key, metadata in plane.event_metadata.items()}
        marks = {key for key, metadata in plane.stat_metadata.items() if metadata.name == HLO_OP}
        for line in plane.lines:
            thread += 1
            for event in line.events:
                start = line.timestamp_ns * 1000 + event.offset_ps
                is_thunk = any(stat.metadata_id in marks for stat in event.stats)
                name = names[event.metadata_id]
                events.append(Event(name, thread, start, start + event.duration_ps, is_thunk))
    return events


def summarise(events: Sequence[Event], mode: str) -> Profile:
    """Sum up the events of a profile by what they are, per step."""
    marks = [event for event in events if event.name == MARK]
    if not marks:
        raise ProfileError("the profile has none of the events put around each step")
    marks.sort(key=lambda mark: mark.end - mark.start)
    kept = marks[len(marks) // 4 : len(marks) - len(marks) // 4]
    ordered = sorted(events, key=lambda event: (event.start, -event.end))  # what holds others first
    starts = [event.start for event in ordered]
    totals = [0] * 5
    in_pool = 0
    runs: dict[str, list[int]] = {}
    for mark in kept:
        within = ordered[bisect_left(starts, mark.start) : bisect_left(starts, mark.end)]
        kernels = find_kernels(within, mode)
        for number, picoseconds in enumerate(split(mark, within, kernels, mode)):
            totals[number] += picoseconds
        for kernel in kernels:
            in_pool += kernel.thread != mark.thread
            runs.setdefault(kernel.name, []).append(kernel.end - kernel.start)
    if not totals[0]:
        raise ProfileError(
            f"the profile of a step in {mode} mode has no kernel: TensorFlow {tf.__version__} may "
            "name its events otherwise than 2.21.0 does"
        )
    steps = len(kept)
    kernels_s, waiting_s, executor_s, runtime_s, python_s = (
        total / steps / PICO for total in totals
    )
    found = (
        Kernel(name, len(times) / steps, sum(times) / steps / PICO) for name, times in runs.items()
    )
    return Profile(
        steps=steps,
        step_s=sum(totals) / steps / PICO,
        kernels_s=kernels_s,
        waiting_s=waiting_s,
        executor_s=executor_s,
        runtime_s=runtime_s,
        python_s=python_s,
        pool_calls=in_pool / steps,
        kernels=tuple(sorted(found, key=lambda kernel: -kernel.seconds)),
    )


def find_kernels(events: Sequence[Event], mode: str) -> list[Event]:
    """Return the kernels among the events of one step, each until it is done.

    ``events`` are in order of their start.  A kernel that holds others, as a node that calls a
    function, is none.
    """
    by_thread: dict[int, list[Event]] = {}
    ends: dict[str, list[int]] = {}
    operation = ""
    for event in events:
        if event.name.startswith(DISPATCH):
            operation = event.name.removeprefix(DISPATCH)
        elif event.name.startswith(END):
            ends.setdefault(event.name.removeprefix(END), []).append(event.start)
        elif is_kernel(event, mode):
            kernel = replace(event, name=operation) if mode == "eager" else event
            by_thread.setdefault(event.thread, []).append(kernel)
    leaves = [
        event
        for mine in by_thread.values()
        for event, following in zip(mine, [*mine[1:], None], strict=True)
        if following is None or following.start >= event.end
    ]
    leaves.sort(key=lambda event: event.start)
    return [until_done(event, ends.get(event.name, [])) for event in leaves]


def until_done(kernel: Event, ends: list[int]) -> Event:
    """Return a kernel that lasts until the first of the ends that comes after its start.

    That end is taken from the list, so that the next run of the same kernel finds its own.
    """
    for number, end in enumerate(ends):
        if end >= kernel.start:
            del ends[number]
            return replace(kernel, end=max(kernel.end, end))
    return kernel


def is_kernel(event: Event, mode: str) -> bool:
    """Tell whether an event is what computes in that mode."""
    if mode == "eager":
        return event.name == RUN
    if mode == "graph":
        return NODE.fullmatch(event.name) is not None
    return event.is_thunk


def split(mark: Event, events: Sequence[Event], kernels: list[Event], mode: str) -> list[int]:
    """Return the five parts of a step in picoseconds, in the order of :class:`Profile`."""
    called = [event for event in events if event.thread == mark.thread]
    layers = (
        [*kernels, *(event for event in events if mode == "graph" and event.name == NODES)],
        [event for event in called if event.name == WAITING],
        [event for event in called if event.name == EXECUTORS[mode]],
        [event for event in called if RUNTIME.match(event.name)],
        [mark],
    )
    so_far: list[tuple[int, int]] = []
    parts: list[int] = []
    for layer in layers:
        so_far += [(max(each.start, mark.start), min(each.end, mark.end)) for each in layer]
        parts.append(covered(so_far) - sum(parts))
    return parts


def covered(intervals: Iterable[tuple[int, int]]) -> int:
    """Return the length that intervals cover together, overlaps counted once."""
    total = until = 0
    for start, end in sorted(intervals):
        total += max(0, end - max(start, until))
        until = max(end, until)
    return total
