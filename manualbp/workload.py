"""A workload: what is differentiated, and the gradients of it that were written by hand.

A workload is one file::

    import tensorflow as tf
    from manualbp import Workload

    def variables(random): ...            # a nest of arrays, from a numpy.random.Generator
    def data(random, batch): ...          # a tuple of arrays
    def loss(variables, *data): ...       # a scalar tensor; the tape differentiates this

    workload = Workload(loss, variables, data, batches=(1, 16, 256))

    @workload.by_hand
    def recompute(variables, *data):      # returns the loss, and gradients nested as the variables
        ...

There are three ways to write a backward pass.  A function of variables and data that returns loss
and gradients (:meth:`Workload.by_hand`); a loss that holds a ``tf.custom_gradient``, which a tape
differentiates (:meth:`Workload.custom_gradient`); and a subclass of :class:`Gradient`, which may
keep the variables in a layout of its own (:meth:`Workload.gradient`).

Importing such a file must create no tensor and no ``tf.Variable``: it is imported before processes
are forked.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import tensorflow as tf

from manualbp.cases import BASELINE, check_batch

Nest = Any
"""Any nest, as ``tf.nest`` knows them: tuples, lists, dicts."""

Loss = Callable[..., tf.Tensor]
"""Takes the variables and the data, returns a scalar."""

Function = TypeVar("Function", bound=Callable[..., Any])


class Gradient:
    """Loss and gradients of a workload, with the variables that it works on.

    Parameters
    ----------
    variables
        A nest of ``tf.Variable``, as the workload nests it.  A subclass may make its own of them.
    batch
        The size of the batches that will come, where it is known; ``None`` where it is to be taken
        from the data.

    """

    is_split = True
    """Whether ``backward`` does the backward pass, so that it can be timed apart."""

    def __init__(self, variables: Nest, batch: int | None = None) -> None:
        self.variables = variables
        self.batch = batch

    @property
    def trainable(self) -> Nest:
        """The ``tf.Variable`` to train, nested as the gradients are."""
        return self.variables

    def forward(self, *data: tf.Tensor) -> tuple[tf.Tensor, Any]:
        """Return the loss, a scalar, and whatever :meth:`backward` needs."""
        raise NotImplementedError

    def backward(self, stored: Any, *data: tf.Tensor) -> Nest:
        """Return the gradients, nested as :attr:`trainable`, from what ``forward`` stored."""
        raise NotImplementedError

    def replayable(self, *data: tf.Tensor) -> tuple[tf.Tensor, Any]:
        """Do as :meth:`forward` does, and store what serves several backward passes."""
        return self.forward(*data)

    def as_written(self, nested: Nest) -> Nest:
        """Nest as the workload does what is nested as :attr:`trainable`."""
        return nested

    def of_parameters(self, gradients: Nest) -> Nest:
        """Return the gradients to train with, where some are of no parameter."""
        return gradients

    def __call__(self, *data: tf.Tensor) -> tuple[tf.Tensor, Nest]:
        """Return the loss and its gradients."""
        loss, stored = self.forward(*data)
        return loss, self.backward(stored, *data)


class Tape(Gradient):
    """``tf.GradientTape`` of a loss, as TensorFlow's guides use it."""

    def __init__(self, loss: Loss, variables: Nest, batch: int | None = None) -> None:
        super().__init__(variables, batch)
        self.loss = loss

    def forward(self, *data: tf.Tensor) -> tuple[tf.Tensor, Any]:
        """Compute the loss under a tape."""
        with tf.GradientTape() as tape:
            loss = self.loss(self.variables, *data)
        return loss, (tape, loss)

    def replayable(self, *data: tf.Tensor) -> tuple[tf.Tensor, Any]:
        """Compute the loss under a tape that can be asked again."""
        with tf.GradientTape(persistent=True) as tape:
            loss = self.loss(self.variables, *data)
        return loss, (tape, loss)

    def backward(self, stored: Any, *data: tf.Tensor) -> Nest:
        """Ask the tape."""
        tape, loss = stored
        return tape.gradient(loss, self.variables)


class ByHand(Gradient):
    """A function of variables and data that returns loss and gradients, the passes in one."""

    is_split = False

    def __init__(
        self, function: Callable[..., Any], variables: Nest, batch: int | None = None
    ) -> None:
        super().__init__(variables, batch)
        self.function = function

    def forward(self, *data: tf.Tensor) -> tuple[tf.Tensor, Any]:
        """Do all of it."""
        loss, gradients = self.function(self.variables, *data)
        return loss, gradients

    def backward(self, stored: Any, *data: tf.Tensor) -> Nest:
        """Return the gradients, which ``forward`` has computed."""
        return stored


class Workload:
    """What is differentiated: variables, data, a loss, and gradients of it by name.

    Parameters
    ----------
    loss
        ``loss(variables, *data)`` returns a scalar tensor of the variables' dtype.  It is run in
        float32 and, as an oracle, in float64: constants take the dtype of what they meet.
    variables
        ``variables(random)`` returns a nest of arrays; ``random`` is a ``numpy.random.Generator``.
        Floating-point arrays become ``tf.Variable`` of the dtype that is measured.
    data
        ``data(random, batch)`` returns a tuple of arrays.  Floating-point ones become tensors of
        the dtype that is measured, others keep theirs.
    batches
        The sizes at which the suite measures it, those at which the answer changes.
    name
        By default the name of the file in which ``loss`` is defined.
    reference
        ``reference(variables, *data)`` returns the loss and the gradients, nested as the variables,
        in NumPy and in the dtype of its arguments: one more oracle, and the suite's control.
    kinks
        ``kinks(variables, *data)``, in NumPy, returns each example's distance from the nearest
        point where the loss has no derivative.  Examples too near are drawn again, for there
        rounding decides and two correct gradients differ.  They lie along the first axis.
    names
        The variables' names in messages, in the order of ``tf.nest.flatten``; by default their
        place in the nest.
    tolerance
        A relative tolerance for the gradients and the reason for it, instead of the one that the
        oracles measure.

    Raises
    ------
    TypeError, ValueError
        When a function cannot be called, or ``batches`` or a name is not what it has to be.

    """

    def __init__(
        self,
        loss: Loss,
        variables: Callable[..., Nest],
        data: Callable[..., Sequence[Any]],
        *,
        batches: Sequence[int],
        name: str = "",
        reference: Callable[..., tuple[Any, Nest]] | None = None,
        kinks: Callable[..., Any] | None = None,
        names: Sequence[str] = (),
        tolerance: tuple[float, str] | None = None,
    ) -> None:
        for role, function in (("loss", loss), ("variables", variables), ("data", data)):
            if not callable(function):
                raise TypeError(f"{role} must be a function, got {function!r}")
        for batch in batches:
            check_batch(batch)
        if not batches:
            raise ValueError("batches must hold at least one batch size")
        self.name = name or name_of(loss)
        check_part(self.name)
        self.loss = loss
        self.variables = variables
        self.data = data
        self.batches = tuple(batches)
        self.reference = reference
        self.kinks = kinks
        self.names = tuple(names)
        self.tolerance = tolerance
        self.gradients: dict[str, Callable[[Nest, int | None], Gradient]] = {
            BASELINE: partial(Tape, loss)
        }

    def by_hand(self, function: Function) -> Function:
        """Add ``function(variables, *data)``, which returns loss and gradients; a decorator."""
        self.add(function.__name__, partial(ByHand, function))
        return function

    def custom_gradient(self, loss: Function) -> Function:
        """Add another form of the loss, with ``tf.custom_gradient`` inside; a decorator.

        A tape differentiates it, as it does the workload's own loss, with which it is compared.
        """
        self.add(loss.__name__, partial(Tape, loss))
        return loss

    def gradient(self, kind: type[Gradient]) -> type[Gradient]:
        """Add a subclass of :class:`Gradient`, under its name in small letters; a decorator."""
        self.add(kind.__name__.lower(), kind)
        return kind

    def add(self, name: str, make: Callable[[Nest, int | None], Gradient]) -> None:
        """Add a gradient under a name; ``make(variables, batch)`` returns a :class:`Gradient`.

        ``ValueError`` is raised for a name that is taken or cannot be part of a case.
        """
        check_part(name)
        if name in self.gradients:
            raise ValueError(f"workload {self.name!r} has a gradient {name!r} already")
        self.gradients[name] = make


def name_of(loss: Loss) -> str:
    """Return the name of the file in which a function is defined, as a workload's name."""
    module: str = getattr(loss, "__module__", "")
    return module.rpartition(".")[2].strip("_").replace("_", "-") or "workload"


def check_part(name: str) -> None:
    """Raise ``ValueError`` unless a name can be part of a case's text."""
    if not name or not name.isprintable() or set(name) & set("/:'\" "):
        raise ValueError(
            f"{name!r} cannot name a workload or a gradient: "
            "expected letters, digits, '-', '_' or '.', as in 'attention'"
        )
