"""The verdict: each rule on numbers that make it hold."""

import pytest
from explanations import arm, explanation

from manualbp.measuring.reasons import us, verdict
from manualbp.measuring.roofline import FLOPS, MEMORY


def test_a_faster_case_says_by_how_much():
    said = verdict(explanation(arm(kernels=60), arm("tape", kernels=160)))
    assert said.startswith("fused is 2.00 times as fast as tape. ")


def test_a_slower_case_says_by_how_much():
    said = verdict(explanation(arm("chain", kernels=160), arm("tape", kernels=60)))
    assert said.startswith("chain takes 2.00 times as long as tape. ")


@pytest.mark.parametrize("ratio", [0.951, 1.049])
def test_what_one_process_cannot_tell_is_level(ratio):
    said = verdict(explanation(arm(), arm("tape"), ratio))
    assert said.startswith(f"fused is level with tape (ratio {ratio:.2f}, within 5 % of 1). ")


def test_the_baseline_is_compared_with_nothing():
    tape = arm("tape", kernels=60)
    said = verdict(explanation(tape, tape, 1.2))  # noise between equal arms is no difference
    assert said == ("tape is the baseline itself. Kernels: 60 % of a step, 45 % the slowest, slow.")


# ---------------------------------------------------------------- why it differs


def test_fewer_dispatches():
    mine = arm(mode="eager", python=50, executor=0, waiting=0, counts={"eager operations": 12})
    tape = arm("tape", "eager", python=190, executor=0, waiting=0, counts={"eager operations": 40})
    assert verdict(explanation(mine, tape)) == (
        "fused is 2.17 times as fast as tape. "
        "Dispatch: 12 operations at 5.00 us against tape's 40 at 5.00 us."
    )


def test_a_cheaper_call():
    said = verdict(explanation(arm(python=10, runtime=10), arm("tape", python=60, runtime=20)))
    assert said.endswith("The call: 20.0 us of a step against tape's 80.0.")


def test_no_waiting_for_pool_threads():
    mine, tape = arm(waiting=0, executor=5), arm("tape", waiting=50, executor=25, pool_calls=4.0)
    assert verdict(explanation(mine, tape)).endswith(
        "Waiting for pool threads: 5.00 us of a step against tape's 75.0 pass in XLA's executor "
        "while no kernel runs; all kernels of fused run in the calling thread."
    )


def test_waiting_that_the_baseline_does_not_have():
    mine, tape = arm(waiting=75, pool_calls=4.0), arm("tape", waiting=0)
    assert verdict(explanation(mine, tape)).endswith(
        "all kernels of tape run in the calling thread."
    )


def test_one_thread_waits_for_no_other():
    mine, tape = arm(executor=10, waiting=0), arm("tape", executor=60, waiting=0)
    assert verdict(explanation(mine, tape)).endswith(
        "Between kernels: 10.0 us of a step against tape's 60.0 pass in XLA's executor while no "
        "kernel runs."
    )


def test_waiting_in_a_graph():
    mine = arm(mode="graph", executor=10, waiting=0, pool_calls=2.0)
    tape = arm("tape", "graph", executor=80, waiting=0, pool_calls=3.0)
    assert verdict(explanation(mine, tape)).endswith(
        "Waiting for pool threads: 10.0 us of a step against tape's 80.0 pass in TensorFlow's "
        "executor while no kernel runs."
    )


def test_shorter_kernels():
    said = verdict(explanation(arm(kernels=60), arm("tape", kernels=160)))
    assert said.endswith("Kernels: 60.0 us of a step against tape's 160, 8 against 8 XLA kernels.")


def test_a_part_is_the_reason_also_where_the_case_is_slower():
    said = verdict(explanation(arm("chain", kernels=160), arm("tape", kernels=60)))
    assert "Kernels: 160 us of a step against tape's 60.0" in said


def test_a_gain_and_a_loss_are_weighed():
    mine, tape = arm(kernels=70, waiting=10), arm("tape", kernels=60, waiting=60, pool_calls=4.0)
    assert "Waiting for pool threads: 20.0 us" in verdict(explanation(mine, tape))


def test_a_difference_in_everything_is_other():
    mine = arm(python=10, waiting=10, kernels=20)
    tape = arm("tape", python=30, waiting=30, kernels=45)
    said = verdict(explanation(mine, tape))
    assert "Other: no part makes up half of the difference; the largest is kernels: 20.0" in said


def test_times_that_contradict_the_ratio_explain_nothing():
    said = verdict(explanation(arm(kernels=61), arm("tape", kernels=60), ratio=0.8))
    assert said == (
        "fused is 1.25 times as fast as tape. "
        "Other: the times measured one after the other do not show that difference."
    )


# ---------------------------------------------------------------- why it does not


@pytest.mark.parametrize("mode", ["graph", "xla"])
def test_the_call_is_what_both_pay(mode):
    said = verdict(explanation(arm(mode=mode, empty=87), arm("tape", mode, empty=87)))
    assert said.endswith(
        "Call cost: 87 % of a step is the call itself; a backward pass can save only the rest."
    )


def test_noise_makes_no_call_longer_than_the_step():
    assert "100 % of a step" in verdict(explanation(arm(empty=105), arm("tape")))


@pytest.mark.parametrize(
    ("limit", "in_cache", "said"),
    [
        (FLOPS, True, "FLOPs bound: the FLOPs alone need 70 % of a step's time."),
        (MEMORY, False, "Memory bound: the bytes alone need 70 % of a step's time."),
        (MEMORY, True, "Kernels: 60 % of a step, 45 % the slowest, slow."),  # caches are no memory
    ],
)
def test_the_machine_is_the_limit(limit, in_cache, said):
    mine = arm(least=70, limit=limit, in_cache=in_cache)
    assert verdict(explanation(mine, arm("tape"))).endswith(said)


def test_without_a_bound_the_limit_is_no_reason():
    said = verdict(explanation(arm(least=None), arm("tape")))
    assert said.endswith("Kernels: 60 % of a step, 45 % the slowest, slow.")


def test_both_dispatch_the_same():
    mine = arm(mode="eager", python=60, executor=0, waiting=0, kernels=30)
    assert verdict(explanation(mine, arm("tape", "eager"), 1.0)).endswith(
        "Dispatch: 10 operations at 7.00 us, 70 % of a step."
    )


def test_both_wait():
    mine = arm(executor=30, waiting=30, kernels=20, pool_calls=4.0)
    assert verdict(explanation(mine, arm("tape"), 1.0)).endswith(
        "Waiting for pool threads: 60 % of a step pass in XLA's executor while no kernel runs, "
        "among 8 XLA kernels."
    )


def test_both_call_for_long_though_an_empty_step_is_short():
    mine = arm(python=40, runtime=20, kernels=20)
    assert verdict(explanation(mine, arm("tape"), 1.0)).endswith(
        "The call: 60 % of a step pass in Python and TensorFlow's runtime around it."
    )


def test_a_bit_of_everything_is_other():
    mine = arm(python=15, runtime=15, executor=15, waiting=15, kernels=40)
    said = verdict(explanation(mine, arm("tape"), 1.0))
    assert "Other: no part is half of a step; the largest is kernels: 40 % of a step" in said


@pytest.mark.parametrize(
    ("seconds", "text"), [(1.234e-6, "1.23"), (12.34e-6, "12.3"), (1.2346e-2, "12346")]
)
def test_microseconds_have_the_digits_that_are_known(seconds, text):
    assert us(seconds) == text
