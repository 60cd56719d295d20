"""Checks of what users ask to have measured: each failure says what was expected and what came."""

import inspect
import math
from typing import Any


def check_call(name: str, call: Any) -> None:
    """Raise ``TypeError`` unless calling it does its work: a coroutine's is never done."""
    if not callable(call):
        raise TypeError(f"{name} must be callable without arguments, got {call!r:.80}")
    lazy = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
    if any(is_lazy(call) for is_lazy in lazy):
        raise TypeError(
            f"{name} must do its work when it is called, but {call!r:.80} only makes a coroutine "
            "or a generator"
        )


def check_numbers(**numbers: Any) -> None:
    """Raise unless all are numbers that are finite, and positive or, but for ``budget``, zero."""
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"{name} must be a number, got {value!r:.80}")
        least = "positive" if name == "budget" else "at least 0"
        if not (math.isfinite(value) and value >= 0 and (value or name != "budget")):
            raise ValueError(f"{name} must be finite and {least}, got {value!r}")
