"""The measuring wing's tests run on two logical CPUs and believe the machine to be quiet."""

from runtime import quiet_machine  # noqa: F401  (a fixture)
