"""What else the machine did: by a busy process of our own, and by an account that a test writes."""

import subprocess
import sys
import time

import pytest

from manualbp.measuring import disturbance
from manualbp.measuring.disturbance import Meanwhile, Watch, together


def account(monkeypatch, cores=2):
    """Replace the system's account by one that the test advances."""
    now = {"wall": 0.0, "own": 0.0, "idle": 0.0, "stolen": 0.0, "stalled": 0.0}
    monkeypatch.setattr(disturbance.time, "perf_counter", lambda: now["wall"])
    monkeypatch.setattr(disturbance.time, "process_time", lambda: now["own"])
    monkeypatch.setattr(disturbance, "usable_cores", lambda: list(range(cores)))
    monkeypatch.setattr(disturbance, "core_times", lambda cores: (now["idle"], now["stolen"]))
    monkeypatch.setattr(disturbance, "stalled", lambda: now["stalled"])
    return now


def test_what_is_neither_idle_nor_own_nor_stolen_belongs_to_others(monkeypatch):
    now = account(monkeypatch)
    watch = Watch()
    now.update(wall=10.0, own=9.0, idle=5.0, stolen=1.0, stalled=2.0)
    meanwhile = watch.read()
    assert meanwhile == Meanwhile(10.0, 2, others=5.0, stolen=1.0, stalled=2.0)
    assert meanwhile.shares == {"others": 0.25, "stolen": 0.05, "stalled": 0.2}
    assert meanwhile.reason == "other programs took 25% of the cores' time"


@pytest.mark.parametrize(
    ("others", "stolen", "reason"),
    [
        (0.0, 0.0, ""),
        (0.9, 0.0, ""),  # 4.5 %
        (1.5, 0.0, "other programs took 8% of the cores' time"),
        (0.0, 1.5, "the hypervisor took 8% of the cores' time"),
        (None, None, ""),  # unknown: there is nothing to hold against it
    ],
)
def test_a_share_beyond_the_threshold_is_a_reason(others, stolen, reason):
    assert Meanwhile(10.0, 2, others, stolen, None).reason == reason


def test_what_the_accounts_resolution_explains_is_no_reason():
    assert not Meanwhile(0.1, 2, others=0.025, stolen=0.0, stalled=0.0).reason
    assert Meanwhile(0.1, 2, others=0.05, stolen=0.0, stalled=0.0).reason


def test_stretches_add_up_and_unknown_stays_unknown():
    quiet, busy = Meanwhile(1.0, 2, 0.0, 0.0, 0.1), Meanwhile(3.0, 2, 2.0, 0.5, None)
    assert together([quiet, busy]) == Meanwhile(4.0, 2, 2.0, 0.5, None)
    with pytest.raises(ValueError, match="at least one"):
        together([])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells")
def test_a_busy_neighbour_is_seen():
    code = "import time; end = time.monotonic() + 20\nwhile time.monotonic() < end: pass"
    neighbour = subprocess.Popen([sys.executable, "-c", code])
    try:
        time.sleep(0.3)
        watch = Watch()
        time.sleep(1.0)
        meanwhile = watch.read()
    finally:
        neighbour.kill()
        neighbour.wait()
    assert meanwhile.others > 0.2  # a core of its own, or its share of a busy machine's
    assert meanwhile.seconds == pytest.approx(1.0, abs=0.5)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells")
def test_ones_own_work_is_not_held_against_a_measurement():
    watch = Watch()
    end = time.process_time() + 1.0
    while time.process_time() < end:
        pass
    meanwhile = watch.read()
    room = meanwhile.cores * meanwhile.seconds
    assert meanwhile.others <= room - 1.0 + 0.05


def test_a_system_that_tells_nothing_is_unknown(monkeypatch):
    monkeypatch.setattr(disturbance.Path, "read_text", lambda self: raise_(OSError))
    meanwhile = Watch().read()
    assert (meanwhile.others, meanwhile.stolen, meanwhile.stalled) == (None, None, None)
    assert not meanwhile.reason
    assert meanwhile.shares["others"] is None


def raise_(error):
    raise error
