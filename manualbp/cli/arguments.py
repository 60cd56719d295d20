"""How the command line reads numbers: what is none is argparse's matter, exit status 2."""

import argparse


def positive(text: str) -> float:
    """Parse a positive number for argparse."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError
    return value


def percent(text: str) -> float:
    """Parse a percentage into a fraction for argparse."""
    value = float(text)
    if not 0 < value < 100:
        raise ValueError
    return value / 100


def at_least_two(text: str) -> int:
    """Parse a whole number for argparse, two at least: one has no interval, and no pair."""
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 2:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 2")
    return number
