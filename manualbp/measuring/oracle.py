"""The oracles: a gradient is compared with the tape, a float64 reference and differences.

**Tolerance.**  Each gradient entry is a sum of n products and carries their rounding errors, which
behave like independent ones: with unit roundoff u the error stays below lambda sqrt(n) u times the
sum of the terms' magnitudes, with overwhelming probability for small lambda (Higham and Mary,
"A new approach to probabilistic rounding error analysis", SIAM J. Sci. Comput. 41(5), 2019).

- n: the longest chain of additions behind an entry: the products forward (fan-in of every layer)
  and backward (fan-out), the sum over the batch, and some elementwise functions.
- kappa: the sum of magnitudes over the largest entry, computed by the reference.  It is the
  condition of the sum over the batch, and 1 when nothing cancels.
- lambda = 4, for every mode.  XLA adds a batch in order and Eigen in blocks, but Eigen's bias sums
  come out no better (largest error at batch 32768: 52 u eager, 35 u XLA; tolerance 1000 u), so a
  bound per mode would claim an order of summation that no release has promised.

All errors are relative to the tensor's largest entry.  For float32 the tolerances run
from 2e-6 (batch 1) to 4e-4 (the wide network's last bias, which nearly cancels), so that a formula
wrong by 0.1 % is refused in every case.
"""

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import tensorflow as tf

from manualbp.cases import Case
from manualbp.measuring import reference
from manualbp.measuring.gradients import GRADIENTS
from manualbp.measuring.network import Variables
from manualbp.measuring.problem import Problem, make_problem

LAMBDA = 4
ELEMENTWISE = 16
"""Roundings of sigmoid, logarithm, cross-entropy and their derivatives, in n."""

DIFFERENCE_WIDTH = 5e-6
"""About the cube root of float64's roundoff, where a central difference is most exact."""

DIFFERENCE_TOLERANCE = 1e-6
"""The difference's own error, of the order of roundoff / width and width^2, is below 1e-8 of the
largest entry for the networks here; a formula wrong by 0.1 % is wrong by 1e-3."""


class VerificationError(Exception):
    """A gradient that is wrong: never to be timed."""


@dataclass(frozen=True)
class TensorError:
    """How far one gradient tensor is from an oracle's.

    ``relative`` and ``tolerance`` are in units of the oracle's largest entry, ``ulp`` in units
    in the last place of it; ``index`` is where the error is largest, ``got`` and ``expected``
    are the values there.
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


def tensor_names(layers: int) -> list[str]:
    """Name the gradient tensors in the order in which they are nested."""
    return [f"{kind} of layer {n}" for n in range(1, layers + 1) for kind in ("weights", "bias")]


def flatten(nested: Any) -> list[np.ndarray[Any, Any]]:
    """Return the nested gradients as a flat list of arrays."""
    return [np.asarray(item) for pair in nested for item in pair]


def compare(got: Any, expected: Any, tolerances: list[float]) -> list[TensorError]:
    """Compare nested gradients tensor by tensor; ulp are those of the dtype of ``got``.

    A tensor whose shape differs from the oracle's raises ``VerificationError``.
    """
    errors = []
    flat_got, flat_expected = flatten(got), flatten(expected)
    names = tensor_names(len(expected))
    for name, a, b, tolerance in zip(names, flat_got, flat_expected, tolerances, strict=True):
        if a.shape != b.shape:
            raise VerificationError(f"the gradient of {name} has shape {a.shape}, not {b.shape}")
        wide = b.astype("float64")
        difference = np.abs(a.astype("float64") - wide)
        # A NaN is the largest error there is.
        worst = int(np.argmax(np.where(np.isnan(difference), np.inf, difference)))
        largest = float(np.abs(wide).max())
        error = float(difference.flat[worst])
        # With an oracle of all zeros only zeros are right: 0 passes, all else is infinite.
        relative = error / largest if largest > 0 else (0.0 if error == 0 else np.inf)
        errors.append(
            TensorError(
                tensor=name,
                relative=relative,
                ulp=error / float(np.spacing(a.dtype.type(largest))),
                tolerance=tolerance,
                index=tuple(int(i) for i in np.unravel_index(worst, a.shape)),
                got=float(a.flat[worst]),
                expected=float(wide.flat[worst]),
            )
        )
    return errors


@dataclass(frozen=True)
class Expected:
    """What the oracles say of a problem with the variables that it had (``variables``).

    The float64 reference's mean loss and gradients, the eager tape's gradients, and the
    tolerance for each gradient tensor.
    """

    variables: reference.Arrays
    loss: float
    gradients: reference.Arrays
    tape: Any
    tolerances: list[float]


_known: WeakKeyDictionary[Problem, Expected] = WeakKeyDictionary()


def expected(problem: Problem) -> Expected:
    """Ask the oracles, once for a problem, and again when its variables have changed."""
    inputs, targets, variables = problem.arrays("float64")
    known = _known.get(problem)
    if known is None or not _same(known.variables, variables):
        loss, gradients = reference.step(inputs, targets, variables)
        magnitudes = reference.sum_magnitudes(inputs, targets, variables)
        _, tape = tape_gradients(problem)
        tolerances = _tolerances(problem, magnitudes, gradients)
        known = _known[problem] = Expected(variables, loss, gradients, tape, tolerances)
    return known


def _same(one: reference.Arrays, other: reference.Arrays) -> bool:
    return all(map(np.array_equal, flatten(one), flatten(other)))


def tolerances(problem: Problem) -> list[float]:
    """Derive the tolerance for each gradient tensor of a problem (see this module's docstring)."""
    return expected(problem).tolerances


def _tolerances(
    problem: Problem, magnitudes: reference.Arrays, gradients: reference.Arrays
) -> list[float]:
    n = rounding_chain(problem)
    # The reference rounds as well, which counts when float64 itself is verified.
    unit = (np.finfo(problem.inputs.dtype.as_numpy_dtype).eps + np.finfo("float64").eps) / 2
    found = []
    for magnitude, gradient in zip(flatten(magnitudes), flatten(gradients), strict=True):
        largest = np.abs(gradient).max()
        kappa = magnitude.max() / largest if largest > 0 else 1.0
        found.append(float(LAMBDA * np.sqrt(n) * unit * kappa))
    return found


def rounding_chain(problem: Problem) -> int:
    """Count the additions behind a gradient entry: n in this module's docstring."""
    shapes = [weights.shape for weights, _ in problem.variables]
    forward = sum(fan_in for fan_in, _ in shapes)
    backward = sum(fan_out for _, fan_out in shapes[1:])
    return int(forward + backward + problem.inputs.shape[0] + ELEMENTWISE)


def reference_errors(problem: Problem, gradients: Variables) -> list[TensorError]:
    """Compare gradients with the float64 NumPy reference."""
    known = expected(problem)
    return compare(gradients, known.gradients, known.tolerances)


def tape_gradients(problem: Problem) -> tuple[tf.Tensor, Variables]:
    """Compute the mean loss and its gradients with an eager tape on the problem's device."""
    tape = GRADIENTS["tape"]
    with tf.device(problem.inputs.device):
        loss, stored = tape.forward(problem.variables, problem.inputs, problem.targets)
        batch = problem.inputs.shape[0]
        return loss, tape.backward(problem.variables, stored, problem.targets, batch)


def tape_errors(problem: Problem, gradients: Variables) -> list[TensorError]:
    """Compare gradients with the eager tape's; both sides round, so the tolerance is doubled."""
    known = expected(problem)
    return compare(gradients, known.tape, [2 * tolerance for tolerance in known.tolerances])


def difference_errors(
    problem: Problem, gradients: Variables, *, entries: int = 32, seed: int = 0
) -> list[TensorError]:
    """Compare float64 gradients with central differences.

    Tensors of more than ``entries`` entries are compared at that many, drawn at random, and in
    the largest.  The index reported is flat.
    """
    inputs, targets, variables = problem.arrays("float64")
    random = np.random.default_rng(seed)
    errors = []
    for layer, pair in enumerate(gradients):
        for kind, gradient in enumerate(np.asarray(item, "float64").ravel() for item in pair):
            chosen = random.choice(gradient.size, min(entries, gradient.size), replace=False)
            chosen = np.union1d(chosen, [np.abs(gradient).argmax()])
            differences = np.array(
                [
                    reference.central_difference(
                        inputs, targets, variables, (layer, kind, int(index)), DIFFERENCE_WIDTH
                    )
                    for index in chosen
                ]
            )
            difference = np.abs(gradient[chosen] - differences)
            worst = int(np.argmax(np.where(np.isnan(difference), np.inf, difference)))
            largest = np.abs(differences).max()
            errors.append(
                TensorError(
                    tensor=tensor_names(len(gradients))[2 * layer + kind],
                    relative=float(difference[worst] / largest) if largest > 0 else np.inf,
                    ulp=float(difference[worst] / np.spacing(largest)),
                    tolerance=DIFFERENCE_TOLERANCE,
                    index=(int(chosen[worst]),),
                    got=float(gradient[chosen[worst]]),
                    expected=float(differences[worst]),
                )
            )
    return errors


def require(case: Case, oracle: str, errors: list[TensorError]) -> None:
    """Raise ``VerificationError`` for the first tensor that is not within its tolerance."""
    for error in errors:
        if not error.ok:
            raise VerificationError(
                f"{case}: the gradient of {error.tensor} at {error.index} is {error.got:.9g}, "
                f"but {oracle} has {error.expected:.9g} (error {error.relative:.2g} of the "
                f"tensor's largest entry, tolerance {error.tolerance:.2g}; {error.ulp:.3g} ulp)"
            )


def verify_loss(case: Case, problem: Problem, loss: tf.Tensor) -> None:
    """Compare a mean loss with the float64 reference, or raise ``VerificationError``."""
    wanted = expected(problem).loss
    unit = np.finfo(problem.inputs.dtype.as_numpy_dtype).eps / 2
    tolerance = LAMBDA * np.sqrt(rounding_chain(problem)) * unit
    # Without examples that are nearly certain, an example's loss is of the order of 1.
    error = abs(float(loss) - wanted) / max(abs(wanted), 1.0)
    if not error <= tolerance:
        hint = ""
        if not np.isfinite(float(loss)):
            hint = ": the sigmoid has rounded to 0 or 1, whose logarithm is not finite"
        raise VerificationError(
            f"{case}: the mean loss is {float(loss):.9g}, but the float64 reference has "
            f"{wanted:.9g} (error {error:.2g}, tolerance {tolerance:.2g}){hint}"
        )


def verify(case: Case, problem: Problem, loss: tf.Tensor, gradients: Variables) -> None:
    """Compare a step's loss and gradients with the reference and the tape.

    Raises
    ------
    VerificationError
        Naming the case, the tensor, the index and both values.

    """
    verify_loss(case, problem, loss)
    require(case, "the float64 reference", reference_errors(problem, gradients))
    require(case, "the eager tape", tape_errors(problem, gradients))


def verify_training(case: Case, problem: Problem, steps: int, learning_rate: float) -> None:
    """Compare variables after ``steps`` SGD steps with the reference's, or raise.

    ``problem`` holds the trained variables; the reference starts from those that
    ``make_problem`` makes for the same case.  What is compared is the change, within the
    tolerance of a gradient and half an ulp of the variable for every update.
    """
    inputs, targets, trained = problem.arrays("float64")
    dtype = problem.inputs.dtype.as_numpy_dtype
    untrained = make_problem(case.network, case.batch, case.device, np.dtype(dtype).name)
    start = untrained.arrays("float64")[2]
    expected = reference.sgd(inputs, targets, start, steps, learning_rate)
    flat = zip(
        tensor_names(len(start)),
        flatten(trained),
        flatten(expected),
        flatten(start),
        tolerances(untrained),
        strict=True,
    )
    for name, got, wanted, before, gradient_tolerance in flat:
        error = float(np.abs(got - wanted).max())
        change = float(np.abs(wanted - before).max())
        rounding = steps * np.finfo(dtype).eps / 2 * float(np.abs(wanted).max())
        tolerance = gradient_tolerance * change + rounding
        if not error <= tolerance:
            raise VerificationError(
                f"{case}: {steps} SGD steps change the {name} by {change:.3g} in the float64 "
                f"reference, but end {error:.2g} away from it (tolerance {tolerance:.2g})"
            )


def worst(errors: list[TensorError]) -> TensorError:
    """Return the error that is largest beside its tolerance."""

    def excess(error: TensorError) -> float:
        return np.inf if np.isnan(error.relative) else error.relative / error.tolerance

    return max(errors, key=excess)
