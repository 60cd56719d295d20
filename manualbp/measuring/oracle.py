"""The oracles: loss and gradients are compared with tapes, a reference and differences.

A gradient of any workload is compared with the tape in float64 (the same functions, variables and
data cast), with the eager tape in the dtype that is measured, and with the workload's own NumPy
reference where it has one; float64 gradients also with central differences of the loss
(``differences``), which know no derivative at all.

**Tolerance.**  It is measured for each tensor of each problem, in units of the tensor's largest
entry.  A computation in floating point returns nearly the exact result for slightly moved inputs
(Higham 2002, "Accuracy and Stability of Numerical Algorithms", section 1.5), moved by about
sqrt(n) u after n roundings of unit u that behave like independent ones (Higham and Mary, "A new
approach to probabilistic rounding error analysis", SIAM J. Sci. Comput. 41(5), 2019).  So the
float64 tape is asked again with every entry of variables and data moved by sqrt(n) u up or down, at
random.  What that changes is what rounding may change: it is large where a sum cancels.  The
tolerance is :data:`LAMBDA` times the largest of

- that change;
- sqrt(n) u, for a tensor of which nothing cancels;
- the distance of the eager tape from the float64 one, which sees what cancels inside of the loss.

n is the longest chain of additions behind an entry: each variable's longest axis, forward and
backward; the data's rows, over which losses are summed; and some elementwise functions.  One bound
serves all modes: XLA adds in order and Eigen in blocks, but a bound per mode would claim an order
of summation that no release has promised.

For float32 those of the workloads here run from 4e-6 to 2e-4, so that a formula wrong by 0.1 % is
refused.  Where one is blunter, the problem sits at a kink or a sum cancels: :attr:`Expected.notes`
says so.  A tensor of which the tape itself is mostly rounding noise has no relative error that
means anything: it is compared with the size of that noise.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import tensorflow as tf

from manualbp.cases import BASELINE, Case
from manualbp.measuring import kept
from manualbp.measuring.problem import Problem, in_float64, make_problem
from manualbp.workload import Nest

LAMBDA = 4
ELEMENTWISE = 16
"""Roundings of elementwise functions and their derivatives, in n."""

MOVES, MANY = 2, 10_000
"""How often the float64 tape is asked again: once where more than so many entries move, for what
they change is an average already."""

BLUNT = 5e-4
"""Above this tolerance an error of 0.1 % could pass; below, it is refused with a factor of 2."""

NOISE = 0.05
"""A tensor is noise where the eager tape is further than this from the float64 one."""

Arrays = list[np.ndarray[Any, Any]]


class VerificationError(Exception):
    """A gradient that is wrong: never to be timed."""


@dataclass(frozen=True)
class TensorError:
    """How far one gradient tensor is from an oracle's.

    ``relative`` and ``tolerance`` are in units of the oracle's largest entry (or of its noise),
    ``ulp`` in units in the last place of it; ``index`` is where the error is largest, ``got`` and
    ``expected`` are the values there.
    """

    tensor: str
    relative: float
    ulp: float
    tolerance: float
    index: tuple[int, ...]
    got: float
    expected: float

    @property
    def ok(self) -> bool:
        """Whether the error is within the tolerance; one that is not a number is not."""
        return self.relative <= self.tolerance


@dataclass(frozen=True)
class Expected:
    """What the oracles say of a problem with the variables that it had (``variables``).

    ``gradients`` are the float64 tape's, ``tape`` the eager tape's of the problem's dtype, all
    flat; ``scales`` are what errors are relative to, ``tolerances`` in units of them.  ``notes``
    say which tensors cannot be checked sharply, and why.
    """

    variables: Arrays
    loss: float
    loss_tolerance: float
    gradients: Arrays
    tape: Arrays
    scales: list[float]
    tolerances: list[float]
    notes: list[str]


_known: WeakKeyDictionary[Problem, Expected] = WeakKeyDictionary()
_references: WeakKeyDictionary[Problem, tuple[float, Arrays]] = WeakKeyDictionary()
_elsewhere: WeakKeyDictionary[Problem, tuple[Problem, Problem]] = WeakKeyDictionary()


def flatten(nested: Nest) -> Arrays:
    """Return nested gradients as a flat list of arrays."""
    return [np.asarray(item) for item in tf.nest.flatten(nested)]


def expected(problem: Problem) -> Expected:
    """Ask the oracles, once for a problem, and again when its variables have changed.

    ``VerificationError`` is raised when the loss or the tape itself is not finite, or the loss
    cannot be computed in float64.
    """
    variables = flatten(problem.variables)
    known = _known.get(problem)
    if known is None or not all(map(np.array_equal, known.variables, variables)):
        known = _known[problem] = _recall(problem, variables) or _ask(problem, variables)
    return known


def _recall(problem: Problem, variables: Arrays) -> Expected | None:
    """Read what another process of the run has asked already."""
    stored = kept.load(problem)
    if stored is None:
        return None
    return Expected(
        variables,
        float(stored["loss"]),
        float(stored["loss_tolerance"]),
        [stored[f"gradient {number}"] for number in range(len(variables))],
        [stored[f"tape {number}"] for number in range(len(variables))],
        *(stored[name].tolist() for name in ("scales", "tolerances", "notes")),
    )


def _keep(problem: Problem, known: Expected) -> Expected:
    single = ("loss", "loss_tolerance", "scales", "tolerances", "notes")
    named = {name: np.array(getattr(known, name)) for name in single}
    for number, (gradient, tape) in enumerate(zip(known.gradients, known.tape, strict=True)):
        named |= {f"gradient {number}": gradient, f"tape {number}": tape}
    kept.save(problem, named)
    return known


def notes(problem: Problem) -> list[str]:
    """Say of a problem that was verified which of its tensors cannot be checked sharply."""
    return _known[problem].notes if problem in _known else []


def _ask(problem: Problem, variables: Arrays) -> Expected:
    exact = in_float64(problem)
    loss, gradients = _tape(exact)
    here, tape = _tape(problem)
    _require_finite(problem, here, loss, tape, gradients)
    # The oracle rounds as well, which counts when float64 itself is verified.
    unit = (np.finfo(problem.dtype).eps + np.finfo("float64").eps) / 2
    moved_by = np.sqrt(rounding_chain(problem)) * unit
    changes, loss_change = [0.0] * len(gradients), 0.0
    for other_loss, others in map(_tape, _moved(exact, moved_by)):
        loss_change = max(loss_change, abs(other_loss - loss))
        changes = [
            max(c, _distance(a, b)) for c, a, b in zip(changes, others, gradients, strict=True)
        ]
    distances = [_distance(a, b) for a, b in zip(tape, gradients, strict=True)]
    largest = [float(np.abs(gradient).max(initial=0)) for gradient in gradients]
    floor = moved_by * max(largest)
    scales, tolerances, notes = [], [], []
    for name, top, change, distance in zip(
        problem.names(), largest, changes, distances, strict=True
    ):
        noise = distance > NOISE * top or top == 0
        scale = floor if noise else top
        error = max(change, moved_by * scale, 0.0 if noise else distance)
        tolerance = LAMBDA * error / scale if scale > 0 else 0.0
        if noise:
            notes.append(f"the gradient of {name} is rounding noise, here and in the tape")
        elif tolerance > BLUNT:
            why = "near a kink, or a sum cancels"
            notes.append(f"the gradient of {name} is known to {tolerance:.1g} only: {why}")
        if problem.workload.tolerance is not None and problem.dtype == np.float32:
            tolerance = problem.workload.tolerance[0]
        scales.append(scale)
        tolerances.append(tolerance)
    # Of examples that are nearly certain the loss is nearly 0; its terms are of the order of 1.
    loss_tolerance = LAMBDA * max(loss_change, moved_by * max(abs(loss), 1.0))
    known = Expected(variables, loss, loss_tolerance, gradients, tape, scales, tolerances, notes)
    return _keep(problem, known)


def _moved(exact: Problem, size: float) -> Iterator[Problem]:
    """Yield a float64 problem with every entry moved by the relative ``size``, up or down.

    Its variables are moved in place, for making others takes longer than the tape.
    """
    random = np.random.default_rng(0)

    def move(array: Any) -> Any:
        if array.dtype.kind != "f":
            return array
        return array * (1 + size * random.choice((-1.0, 1.0), array.shape))

    nested, data = exact.arrays("float64")
    values, variables = tf.nest.flatten(nested), tf.nest.flatten(exact.variables)
    entries = sum(array.size for array in (*values, *data))
    for _ in range(MOVES if entries <= MANY else 1):
        for variable, value in zip(variables, values, strict=True):
            variable.assign(move(value))
        with tf.device(exact.device):
            moved = tuple(map(tf.constant, map(move, data)))
        yield replace(exact, data=moved)


def _distance(one: Any, other: Any) -> float:
    return float(np.abs(one - other).max(initial=0))


def _require_finite(
    problem: Problem, here: float, loss: float, tape: Arrays, gradients: Arrays
) -> None:
    name = problem.workload.name
    for dtype, value in ((problem.dtype, here), (np.dtype("float64"), loss)):
        if not np.isfinite(value):
            raise VerificationError(
                f"{name}: the loss itself is {value} in {dtype}: variables or data drive it out of "
                "range (a probability that rounds to 0 or 1 has no finite logarithm)"
            )
    for tensor, *both in zip(problem.names(), tape, gradients, strict=True):
        if not all(np.isfinite(values).all() for values in both):
            raise VerificationError(f"{name}: the tape's own gradient of {tensor} is not finite")


def _tape(problem: Problem) -> tuple[float, Arrays]:
    """Compute the loss and its gradients with an eager tape; a variable without any has zeros."""
    loss, gradients = tape_gradients(problem)
    pairs = zip(tf.nest.flatten(gradients), tf.nest.flatten(problem.variables), strict=True)
    return float(loss), [
        np.zeros(variable.shape) if gradient is None else tf.convert_to_tensor(gradient).numpy()
        for gradient, variable in pairs
    ]


def tape_gradients(problem: Problem) -> tuple[tf.Tensor, Nest]:
    """Compute the loss and its gradients with an eager tape on the problem's device.

    ``VerificationError`` is raised when the loss cannot be computed, or is no scalar.
    """
    with tf.device(problem.device):
        try:
            loss, gradients = problem.gradient(BASELINE)(*problem.data)
        except (TypeError, ValueError, tf.errors.InvalidArgumentError) as error:
            said = str(error).partition("\n")[0]
            raise VerificationError(
                f"{problem.workload.name}: its loss cannot be computed in {problem.dtype} "
                f"({said}); constants must take the dtype of the variables"
            ) from error
    if loss.shape.rank != 0:
        raise VerificationError(
            f"{problem.workload.name}: its loss must be a scalar, got shape {loss.shape}"
        )
    return loss, gradients


def rounding_chain(problem: Problem) -> int:
    """Count the additions behind a gradient entry: n in this module's docstring."""
    variables = tf.nest.flatten(problem.variables)
    products = 2 * sum(max(variable.shape, default=1) for variable in variables)
    rows = max((int(np.prod(tensor.shape[:-1])) for tensor in problem.data), default=1)
    return int(products + rows + ELEMENTWISE)


def elsewhere(problem: Problem) -> tuple[Problem, Problem]:
    """Return the problem at other variables, and at those with other data, made once."""
    if problem not in _elsewhere:
        name, dtype = problem.workload.name, problem.dtype.name
        device = problem.device.removeprefix("/device:")
        other = make_problem(name, problem.batch, device, dtype, seed=1)
        # The very tensors of the problem: a gradient could know them by their identity.
        _elsewhere[problem] = replace(other, data=problem.data), other
    return _elsewhere[problem]


def compare(
    names: list[str], got: Nest, wanted: Arrays, scales: list[float], tolerances: list[float]
) -> list[TensorError]:
    """Compare nested gradients tensor by tensor; ulp are those of the dtype of ``got``.

    ``VerificationError`` is raised for a gradient that is missing, of another shape, or that is
    nested otherwise than the variables.
    """
    flat = tf.nest.flatten(got)
    if len(flat) != len(wanted):
        raise VerificationError(f"there are {len(flat)} gradients of {len(wanted)} variables")
    return [
        _compare(name, one, expected_, scale, tolerance)
        for name, one, expected_, scale, tolerance in zip(
            names, flat, wanted, scales, tolerances, strict=True
        )
    ]


def _compare(
    name: str, got: Any, wanted: np.ndarray[Any, Any], scale: float, tolerance: float
) -> TensorError:
    if got is None:
        raise VerificationError(f"the gradient of {name} is None")
    a = np.asarray(tf.convert_to_tensor(got) if tf.is_tensor(got) else got)
    if a.shape != wanted.shape:
        raise VerificationError(f"the gradient of {name} has shape {a.shape}, not {wanted.shape}")
    if a.dtype.kind != "f":
        raise VerificationError(f"the gradient of {name} is {a.dtype}, not floating point")
    wide = wanted.astype("float64")
    difference = np.abs(a.astype("float64") - wide)
    if not difference.size:
        return TensorError(name, 0.0, 0.0, tolerance, (), 0.0, 0.0)
    # A NaN is the largest error there is.
    worst = int(np.argmax(np.where(np.isnan(difference), np.inf, difference)))
    error = float(difference.flat[worst])
    # Beside zeros without noise only zeros are right: 0 passes, all else is infinite.
    return TensorError(
        tensor=name,
        relative=error / scale if scale > 0 else (0.0 if error == 0 else np.inf),
        ulp=error / float(np.spacing(a.dtype.type(scale))),
        tolerance=tolerance,
        index=tuple(int(i) for i in np.unravel_index(worst, a.shape)),
        got=float(a.flat[worst]),
        expected=float(wide.flat[worst]),
    )


def exact_errors(problem: Problem, gradients: Nest) -> list[TensorError]:
    """Compare gradients, nested as the workload nests them, with the float64 tape."""
    known = expected(problem)
    return compare(problem.names(), gradients, known.gradients, known.scales, known.tolerances)


def tape_errors(problem: Problem, gradients: Nest) -> list[TensorError]:
    """Compare gradients with the eager tape's; both sides round, so the tolerance is doubled."""
    known = expected(problem)
    doubled = [2 * tolerance for tolerance in known.tolerances]
    return compare(problem.names(), gradients, known.tape, known.scales, doubled)


def reference_errors(problem: Problem, gradients: Nest) -> list[TensorError]:
    """Compare gradients with the workload's float64 NumPy reference; nothing where it has none."""
    if problem.workload.reference is None:
        return []
    if problem not in _references:
        variables, data = problem.arrays("float64")
        loss, nested = problem.workload.reference(variables, *data)
        _references[problem] = float(loss), flatten(nested)
    known, (_, wanted) = expected(problem), _references[problem]
    return compare(problem.names(), gradients, wanted, known.scales, known.tolerances)


def require(case: Case, oracle: str, errors: list[TensorError]) -> None:
    """Raise ``VerificationError`` for the first tensor that is not within its tolerance."""
    for error in errors:
        if not error.ok:
            raise VerificationError(
                f"{case}: the gradient of {error.tensor} at {error.index} is {error.got:.9g}, "
                f"but {oracle} has {error.expected:.9g} (error {error.relative:.2g} of the "
                f"tensor's largest entry, tolerance {error.tolerance:.2g}; {error.ulp:.3g} ulp)"
            )


def verify_loss(case: Case, problem: Problem, loss: Any) -> None:
    """Compare a loss with the float64 one, or raise ``VerificationError``."""
    known = expected(problem)
    shape = np.shape(loss)
    if shape != ():
        raise VerificationError(f"{case}: the loss has shape {shape}, not that of a scalar")
    error = abs(float(loss) - known.loss)
    if not error <= known.loss_tolerance:
        raise VerificationError(
            f"{case}: the loss is {float(loss):.9g}, but in float64 it is {known.loss:.9g} "
            f"(error {error:.2g}, tolerance {known.loss_tolerance:.2g})"
        )


def verify(
    case: Case, problem: Problem, loss: Any, gradients: Nest, *, reference: bool = True
) -> None:
    """Compare a step's loss and gradients with the oracles, the NumPy reference if so asked.

    Raises
    ------
    VerificationError
        Naming the case, the tensor, the index and both values.

    """
    try:
        verify_loss(case, problem, loss)
        require(case, "the float64 tape", exact_errors(problem, gradients))
        require(case, "the eager tape", tape_errors(problem, gradients))
        if reference:
            require(case, "the NumPy reference", reference_errors(problem, gradients))
    except VerificationError as error:
        if str(error).startswith(str(case)):
            raise
        raise VerificationError(f"{case}: {error}") from error


def verify_training(case: Case, problem: Problem, trained: Nest, steps: int, rate: float) -> None:
    """Compare variables after ``steps`` SGD steps with those of the float64 tape, or raise.

    ``problem`` holds what training began from.  What is compared is the change, within the
    tolerance of a gradient and half an ulp of the variable for every update.
    """
    known, exact = expected(problem), in_float64(problem)
    for _ in range(steps):
        _, gradients = tape_gradients(exact)
        for variable, derivative in zip(
            tf.nest.flatten(exact.variables), tf.nest.flatten(gradients), strict=True
        ):
            variable.assign_sub(rate * derivative)
    ends = zip(
        problem.names(),
        flatten(trained),
        flatten(exact.variables),
        known.variables,
        known.tolerances,
        strict=True,
    )
    for name, got, wanted, before, gradient_tolerance in ends:
        error = _distance(got.astype("float64"), wanted)
        change = _distance(wanted, before.astype("float64"))
        rounding = steps * np.finfo(problem.dtype).eps / 2 * float(np.abs(wanted).max())
        tolerance = gradient_tolerance * change + rounding
        if not error <= tolerance:
            raise VerificationError(
                f"{case}: {steps} SGD steps change the {name} by {change:.3g} in float64, "
                f"but end {error:.2g} away from it (tolerance {tolerance:.2g})"
            )


def worst(errors: list[TensorError]) -> TensorError:
    """Return the error that is largest beside its tolerance."""

    def excess(error: TensorError) -> float:
        if np.isnan(error.relative) or error.tolerance == 0:
            return 0.0 if error.relative == 0 else np.inf
        return error.relative / error.tolerance

    return max(errors, key=excess)
