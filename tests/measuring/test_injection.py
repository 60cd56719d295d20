"""Extra work of a known size, on a clock of our own and on the real one."""

import pytest

from manualbp.measuring import injection, measure


class Clock:
    """Additions take the time that the test says, and longer right after a call."""

    def __init__(self, monkeypatch, seconds_per_addition):
        self.now, self.after_a_call = 0.0, False

        def work(additions):
            slow = 1.5 if self.after_a_call else 1.0
            self.now += additions * seconds_per_addition * slow
            self.after_a_call = False

        monkeypatch.setattr(measure, "perf_counter", lambda: self.now)
        monkeypatch.setattr(injection, "work", work)

    def call(self):
        self.now += 1e-3
        self.after_a_call = True
        return "result"


@pytest.mark.parametrize("share", [0.01, 0.05, 0.1])
def test_the_work_takes_the_share_of_the_call_in_its_place(share, monkeypatch):
    clock = Clock(monkeypatch, 1e-7)
    slower = injection.slowed(clock.call, share)
    before = clock.now
    assert slower() == "result"
    assert (clock.now - before) / 1e-3 == pytest.approx(1 + share, abs=2e-4)


def test_a_real_call_becomes_slower():
    def call():
        return sum(range(20_000))

    # Ten times the share that is asked for would still pass on a loaded machine; none would not.
    assert measure.ratio(injection.slowed(call, 0.5), call) > 1.1


@pytest.mark.parametrize("share", [0, -0.1, float("nan")])
def test_a_slowdown_is_positive(share):
    with pytest.raises(ValueError, match="positive share"):
        injection.slowed(lambda: None, share)
