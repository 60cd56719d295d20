"""What is said of the time that is left."""

import io

import pytest
from rich.console import Console

from manualbp.running import progress
from manualbp.running.progress import Countdown, minutes, ticking


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def lines(clock, left, seconds, count):
    """Measure ``count`` processes of so many seconds; return what was printed."""
    said = io.StringIO()
    console = Console(file=said, force_terminal=False, width=200)
    with ticking(console, left) as ticker:
        for _ in range(count):
            clock[0] += seconds
            ticker.done()
    return said.getvalue().splitlines()


def test_elsewhere_than_in_a_terminal_a_line_every_half_minute(clock):
    said = lines(clock, lambda: 100 - clock[0], seconds=10, count=9)
    assert said == [
        "4 processes measured, about 60 s left",
        "8 processes measured, about 20 s left",
    ]


def test_the_time_left_never_jumps_to_nothing_and_is_right_at_the_end(clock):
    countdown = Countdown(left=60, deadline=1000.0)
    seen = []
    for number in range(60):
        clock[0] += 2.0
        countdown.done(1, 59 - number)
        seen.append((countdown.left(), 2.0 * (59 - number)))
    for said, truth in seen:
        assert said == pytest.approx(truth, rel=0.2)
    assert all(said > 0 for said, truth in seen if truth > 0)


def test_the_deadline_bounds_what_is_left(clock):
    countdown = Countdown(left=1000, deadline=50.0)
    clock[0] = 20.0
    countdown.done(1, 999)
    assert countdown.left() == 30.0


def test_names_are_text_not_markup(clock):
    said = io.StringIO()
    with ticking(Console(file=said, force_terminal=True, width=200), lambda: 1.0) as ticker:
        ticker.doing("steps.Step[/] [red]")
        ticker.done()
    assert "[/] [red]" in said.getvalue()


def test_durations_are_said_as_people_say_them():
    assert [minutes(s) for s in (0, 40.4, 89, 90, 600)] == [
        "0 s", "40 s", "89 s", "1.5 min", "10.0 min"
    ]  # fmt: skip
