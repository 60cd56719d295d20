"""What disturbs a measurement: what else the machine did meanwhile.

Linux tells all of it, other systems less; what is not told is ``None``, which means *unknown*.
"""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

try:
    import resource
except ImportError:  # Windows has no such module
    resource = None  # type: ignore[assignment]

OTHERS = 0.05
"""The share of the cores' time that other programs may take beside a value that is accepted.

The study ``docs/studies/disturbance.py`` is behind it: ``docs/measuring.md`` has its table."""

STOLEN = 0.05
"""The share of the cores' time that a hypervisor may take from it."""

TICK_S = 0.01
"""The resolution of the system's account of a core's time."""


@dataclass(frozen=True)
class Meanwhile:
    """What a stretch of ``seconds`` on ``cores`` cores was spent on, apart from the measurement.

    ``others`` are the seconds that other programs ran, ``stolen`` those that a hypervisor took,
    both added up over the cores; ``stalled`` are the seconds in which some program waited for a
    core.  Each is ``None`` where the system does not tell.
    """

    seconds: float
    cores: int
    others: float | None
    stolen: float | None
    stalled: float | None

    @property
    def reason(self) -> str:
        """Say what disturbed the stretch; nothing if it was quiet, or nothing is known.

        What the resolution of the system's account (:data:`TICK_S` a core) can explain is not
        held against it.
        """
        room = self.cores * self.seconds
        doubt = self.cores * TICK_S
        if self.others is not None and self.others - doubt > OTHERS * room:
            return f"other programs took {self.others / room:.0%} of the cores' time"
        if self.stolen is not None and self.stolen - doubt > STOLEN * room:
            return f"the hypervisor took {self.stolen / room:.0%} of the cores' time"
        return ""

    @property
    def shares(self) -> dict[str, float | None]:
        """The shares of the cores' time (``others``, ``stolen``) and of the time (``stalled``)."""
        room = self.cores * self.seconds
        return {
            "others": _share(self.others, room),
            "stolen": _share(self.stolen, room),
            "stalled": _share(self.stalled, self.seconds),
        }


class Watch:
    """Watches the machine from its making on."""

    def __init__(self) -> None:
        self._cores = usable_cores()
        self._started, self._own = time.perf_counter(), time.process_time()
        self._idle, self._stolen = core_times(self._cores)
        self._stalled = stalled()

    def read(self) -> Meanwhile:
        """Return what the machine did since the watch was made."""
        seconds = time.perf_counter() - self._started
        own = time.process_time() - self._own
        times = core_times(self._cores)
        idle, stolen = _since(times[0], self._idle), _since(times[1], self._stolen)
        others = None
        if idle is not None and stolen is not None:
            others = max(len(self._cores) * seconds - idle - stolen - own, 0.0)
        waited = _since(stalled(), self._stalled)
        return Meanwhile(seconds, len(self._cores), others, stolen, waited)


def together(stretches: Iterable[Meanwhile]) -> Meanwhile:
    """Add stretches up; ``ValueError`` is raised for none."""
    listed = list(stretches)
    if not listed:
        raise ValueError("expected at least one stretch of time")
    return Meanwhile(
        sum(one.seconds for one in listed),
        listed[0].cores,
        _sum([one.others for one in listed]),
        _sum([one.stolen for one in listed]),
        _sum([one.stalled for one in listed]),
    )


def usable_cores() -> list[int]:
    """List the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def switches() -> int:
    """Count how often this process, any thread of it, has been switched out against its will."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw if resource else 0


def core_times(cores: Iterable[int]) -> tuple[float | None, float | None]:
    """Return the cores' idle and stolen seconds since the machine was started (proc(5), stat)."""
    try:
        lines = Path("/proc/stat").read_text().splitlines()
        ticks = os.sysconf("SC_CLK_TCK")
        fields = {name: values for name, *values in map(str.split, lines)}
        mine = [[int(value) for value in fields[f"cpu{core}"]] for core in cores]
        idle = sum(times[3] + times[4] for times in mine)
        return idle / ticks, sum(times[7] for times in mine) / ticks
    except (OSError, ValueError, KeyError, IndexError, AttributeError):
        return None, None


def stalled() -> float | None:
    """Return the seconds in which some program waited for a core (pressure stall information)."""
    with suppress(OSError, ValueError, IndexError):
        some = Path("/proc/pressure/cpu").read_text().splitlines()[0]
        return int(some.rpartition("total=")[2]) / 1e6
    return None


def _since(now: float | None, before: float | None) -> float | None:
    return None if now is None or before is None else now - before


def _share(seconds: float | None, room: float) -> float | None:
    return None if seconds is None else round(seconds / room, 4) if room > 0 else 0.0


def _sum(values: Iterable[float | None]) -> float | None:
    total = 0.0
    for value in values:
        if value is None:
            return None
        total += value
    return total
