"""The roofline: arithmetic by hand, limits that are positive."""

import pytest

from manualbp.measuring import roofline
from manualbp.measuring.roofline import FLOPS, MEMORY, Bound, Machine

MACHINE = Machine(flops_per_s=100e9, bytes_per_s=10e9, cache_bytes=1_000_000)


@pytest.mark.parametrize(
    ("flops", "accessed", "seconds", "limit"),
    [
        # 2 MFLOP at 100 GFLOP/s are 20 us; 50 kB at 10 GB/s are 5 us.
        (2_000_000, 50_000, 20e-6, FLOPS),
        # 2 MB at 10 GB/s are 200 us.
        (2_000_000, 2_000_000, 200e-6, MEMORY),
        # The ridge: 10 FLOPs for each byte take as long either way.
        (10_000_000, 1_000_000, 100e-6, FLOPS),
        (0, 0, 0.0, FLOPS),
    ],
)
def test_the_slower_of_two_limits_binds(flops, accessed, seconds, limit):
    found = roofline.bound(flops, accessed, 1000, MACHINE)
    assert found == Bound(flops, accessed, 1000, pytest.approx(seconds), limit, in_cache=True)


@pytest.mark.parametrize(("buffers", "in_cache"), [(1_000_000, True), (1_000_001, False)])
def test_what_is_accessed_many_times_still_fits_the_cache_once(buffers, in_cache):
    assert roofline.bound(1, 50_000_000, buffers, MACHINE).in_cache == in_cache


def test_a_limit_is_the_fastest_call(monkeypatch):
    now = 0.0
    lengths = iter([9.0, 3.0, 2.0, 5.0, 4.0, 6.0])  # the first is not timed

    def call():
        nonlocal now
        now += next(lengths)

    monkeypatch.setattr(roofline, "perf_counter", lambda: now)
    assert roofline.fastest(call) == 2.0


def test_the_limits_of_this_machine_are_measured(monkeypatch):
    monkeypatch.setattr(roofline, "TRIES_S", 0.0)
    assert roofline.peak_flops("CPU:1", rows=64) > 0
    assert roofline.bandwidth(2**16) > 0


def test_bandwidth_counts_what_is_read_and_what_is_written(monkeypatch):
    monkeypatch.setattr(roofline, "fastest", lambda call: call() and 0.5)
    assert roofline.bandwidth(2**16, threads=4) == 2 * 2**16 / 0.5


def test_peak_counts_a_product_and_a_sum_for_each_term(monkeypatch):
    monkeypatch.setattr(roofline, "fastest", lambda call: 0.25)
    assert roofline.peak_flops(rows=10) == 2 * 10**3 / 0.25


def test_the_last_cache_is_the_largest(tmp_path):
    for number, size in enumerate(("48K", "32K", "1024K", "32M\n")):
        (tmp_path / f"index{number}").mkdir()
        (tmp_path / f"index{number}/size").write_text(size)
    assert roofline.last_cache_bytes(tmp_path) == 32 * 2**20


def test_where_the_system_says_nothing_a_cache_is_assumed(tmp_path):
    assert roofline.last_cache_bytes(tmp_path) == roofline.USUAL_CACHE
