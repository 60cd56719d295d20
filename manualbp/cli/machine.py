"""The name of this machine, and what asv knows of it."""

import logging
import os
import platform
import re
from typing import Any

from asv import util
from asv.console import log
from asv.machine import Machine, MachineCollection

from manualbp.cli.tree import SuiteError


def default_machine_name() -> str:
    """Name this machine by its processor and cores, never by its host name."""
    cpu = str(util.get_cpu_info()) or platform.machine()
    words = re.sub(r"\(r\)|\(tm\)|\bcpu\b|\bprocessor\b|@.*", " ", cpu.lower())
    slug = re.sub(r"[^a-z0-9]+", "-", words).strip("-")
    return f"{slug or 'machine'}-{os.cpu_count()}core"


def check_machine_name(name: str | None) -> str:
    """Return the name to store results under, or raise ``SuiteError`` if it can be no folder's."""
    name = name or default_machine_name()
    if not name.strip() or "/" in name:
        raise SuiteError(f"--machine {name!r} cannot name a folder")
    return name


def register_machine(name: str) -> Any:
    """Register a machine with asv under a chosen name, asking nothing."""
    path = MachineCollection.get_machine_file_path()
    known = util.load_json(path) if os.path.isfile(path) else {}
    with log.set_level(
        logging.CRITICAL
    ):  # asv would complain that it does not know the machine yet
        facts = {**Machine.get_defaults(), **known.get(name, {}), "machine": name}
        return Machine.load(machine_name=name, **facts)
