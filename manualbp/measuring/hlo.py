"""Counts of a compiled program, from XLA's optimised HLO as a protocol buffer and nothing else.

An HLO module is a list of computations, each a list of instructions; a *fusion* is one instruction
that stands for the whole computation it calls.  TensorFlow ships no cost analysis, so the counting
is done here.  It follows XLA's own, ``xla/service/hlo_cost_analysis.cc`` in github.com/openxla/xla,
but for what the functions say.  An instruction of which nothing is known raises
``UncountedError``: it is never counted as nothing.
"""

import math
from collections.abc import Iterator
from typing import Any

FREE = frozenset({"parameter", "constant", "tuple", "get-tuple-element", "bitcast"})
"""Instructions that name a buffer and do nothing when the program runs."""

CALLS = frozenset({"call", "while", "conditional"})
"""Instructions that run other computations, each of their instructions for itself."""

ELEMENTWISE = frozenset(
    {
        *("abs", "add", "and", "atan2", "cbrt", "ceil", "clamp", "compare", "convert", "cosine"),
        *("divide", "erf", "exponential", "exponential-minus-one", "floor", "is-finite", "log"),
        *("log-plus-one", "logistic", "maximum", "minimum", "multiply", "negate", "not", "or"),
        *("power", "remainder", "round-nearest-afz", "round-nearest-even", "rsqrt", "select"),
        *("sign", "sine", "sqrt", "subtract", "tan", "tanh", "xor"),
    }
)
"""Instructions that compute each element of the output from the same element of the inputs."""

MOVING = frozenset(
    {
        *("bitcast-convert", "broadcast", "concatenate", "copy", "dynamic-slice", "gather"),
        *("dynamic-update-slice", "iota", "pad", "reshape", "reverse", "slice", "transpose"),
    }
)
"""Instructions that place elements, or take their bits for another type, and compute none."""

BYTES = {
    **dict.fromkeys(("PRED", "S8", "U8"), 1),
    **dict.fromkeys(("S16", "U16", "F16", "BF16"), 2),
    **dict.fromkeys(("S32", "U32", "F32"), 4),
    **dict.fromkeys(("S64", "U64", "F64", "C64"), 8),
    "C128": 16,
}
"""The size of one element, by XLA's name of its type."""


class UncountedError(Exception):
    """An instruction or a type that the counting here does not know."""


def instructions(module: Any) -> int:
    """Count all instructions of all computations, parameters and constants included."""
    return sum(len(computation.instructions) for computation in module.computations)


def fusions(module: Any) -> int:
    """Count the fusion instructions."""
    return sum(
        instruction.opcode == "fusion"
        for computation in module.computations
        for instruction in computation.instructions
    )


def kernels(module: Any) -> int:
    """Count what runs one after the other: the entry's instructions that do something.

    A fusion is one kernel; of a computation that is called, each instruction is one.  The body
    of a loop counts once, each branch of a conditional as well.
    """
    return sum(1 for _ in _kernels(module))


def flops(module: Any) -> int:
    """Count the arithmetic of one run.

    - A dot is 2 · outputs · K, for K products and K sums each, as XLA counts.
    - An elementwise instruction is 1 for each element of its output.  Comparisons, selections,
      conversions and integers count as XLA counts them; a logarithm or an exponential is 1 too,
      where XLA keeps a separate account of transcendental functions.
    - A reduction is its reducer's count for each element but one of each output.  A windowed
      one counts full windows, padding included, as XLA's does.
    - What only moves data is 0.

    ``UncountedError`` is raised for any other instruction: a custom call hides its arithmetic, a
    loop how often it runs.
    """
    by_id = _by_id(module)
    return _flops_of(by_id[module.entry_computation_id], by_id)


def bytes_accessed(module: Any) -> int:
    """Count the bytes that the kernels of one run read and write if no cache keeps any of them.

    Each kernel reads each of its operands once and whole, and writes its outputs; what happens
    within a fusion touches no memory.  XLA counts the same, but for fused slices, of whose
    operand it counts the part.  ``UncountedError`` is raised for loops and conditionals, whose
    runs are unknown.
    """
    total = 0
    for instruction, by_id in _kernels(module, fixed=True):
        operands = {operand: by_id[operand].shape for operand in instruction.operand_ids}
        total += sum(_size(shape) for shape in (instruction.shape, *operands.values()))
    return total


def temporary_bytes(program: Any) -> int:
    """Sum the buffers that XLA allocates for a run and frees after it, of an ``HloProto``.

    They hold neither arguments nor results nor constants, and are no thread's own: what XLA's
    ``BufferAllocation::IsPreallocatedTempBuffer`` says.
    """
    return sum(
        int(buffer.size)
        for buffer in program.buffer_assignment.buffer_allocations
        if not buffer.is_entry_computation_parameter
        and not buffer.maybe_live_out
        and not buffer.is_thread_local
        and not buffer.is_constant
    )


def buffer_bytes(program: Any) -> int:
    """Sum all buffers of a run, of an ``HloProto``: what must fit a cache that is to hold it all.

    Arguments, results, constants and temporary buffers, each once, however often it is accessed.
    """
    return sum(int(buffer.size) for buffer in program.buffer_assignment.buffer_allocations)


def _by_id(module: Any) -> dict[int, Any]:
    return {computation.id: computation for computation in module.computations}


def _kernels(module: Any, *, fixed: bool = False) -> Iterator[tuple[Any, dict[int, Any]]]:
    """Yield each kernel and the instructions by id that stand beside it.

    With ``fixed``, what runs an unknown number of times is refused.
    """
    computations = _by_id(module)

    def walk(computation: Any) -> Iterator[tuple[Any, dict[int, Any]]]:
        beside = {instruction.id: instruction for instruction in computation.instructions}
        for instruction in computation.instructions:
            if instruction.opcode in CALLS:
                if fixed and instruction.opcode != "call":
                    raise _uncounted(instruction)
                for called in instruction.called_computation_ids:
                    yield from walk(computations[called])
            elif instruction.opcode not in FREE:
                yield instruction, beside

    yield from walk(computations[module.entry_computation_id])


def _flops_of(computation: Any, by_id: dict[int, Any]) -> int:
    shapes = {instruction.id: instruction.shape for instruction in computation.instructions}
    return sum(_flops(instruction, shapes, by_id) for instruction in computation.instructions)


def _flops(instruction: Any, shapes: dict[int, Any], by_id: dict[int, Any]) -> int:
    opcode = instruction.opcode
    if opcode in FREE or opcode in MOVING:
        return 0
    outputs: int = _elements(instruction.shape)
    if opcode in ELEMENTWISE:
        return outputs
    if opcode == "dot":
        left = shapes[instruction.operand_ids[0]].dimensions
        contracted = instruction.dot_dimension_numbers.lhs_contracting_dimensions
        return 2 * outputs * math.prod(int(left[axis]) for axis in contracted)
    called = sum(_flops_of(by_id[each], by_id) for each in instruction.called_computation_ids)
    if opcode in ("fusion", "call"):
        return called
    if opcode == "reduce":
        return (_elements(shapes[instruction.operand_ids[0]]) - outputs) * called
    if opcode == "reduce-window":
        window = math.prod(int(dimension.size) for dimension in instruction.window.dimensions)
        return outputs * (window - 1) * called
    raise _uncounted(instruction)


def _elements(shape: Any) -> int:
    """Return the number of elements; of a tuple those of its first member, all being alike."""
    if shape.tuple_shapes:
        return _elements(shape.tuple_shapes[0])
    return math.prod(map(int, shape.dimensions))


def _size(shape: Any) -> int:
    if shape.tuple_shapes:
        return sum(map(_size, shape.tuple_shapes))
    names = shape.DESCRIPTOR.fields_by_name["element_type"].enum_type.values_by_number
    name = names[shape.element_type].name
    if name not in BYTES:
        raise UncountedError(f"the size of XLA's type {name} is not known here")
    return math.prod(map(int, shape.dimensions)) * BYTES[name]


def _uncounted(instruction: Any) -> UncountedError:
    target = instruction.custom_call_target
    return UncountedError(
        f"cannot count {instruction.opcode} {instruction.name}" + (f" ({target})" if target else "")
    )
