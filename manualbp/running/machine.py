"""Which machine this is: its facts, and the name that its results are stored under.

Two machines must never share a name, or their results become one history.  The default name is
therefore this machine's alone: processor and cores, for people, and a tag that tells it from
another of the same kind, as in ``amd-epyc-2core-k3x9q``.

The tag is a keyed hash of the id that systemd or D-Bus gave the installation (``/etc/machine-id``),
as systemd's ``sd_id128_get_machine_app_specific`` makes one: it is the same after a reboot, and
neither the id nor a host name or an address can be had from it.  Processor, cores and the size of
memory are part of what is hashed, for the containers of one image can share one id on different
machines.  Where there is no such id, a random one is kept in the user's folder for state
(``$XDG_STATE_HOME/manualbp``, by default ``~/.local/state/manualbp``).  Where that is not possible
either, the name has no tag, and a warning says so.

A name that somebody chose is taken as it is, unless what is stored under it says that it is of
another machine.
"""

import contextlib
import hashlib
import hmac
import itertools
import json
import math
import os
import platform
import re
import secrets
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asv import util
from asv.machine import Machine

from manualbp.reading.machines import Facts, differing, fact, facts_of
from manualbp.running.tree import SuiteError

FILE = "machine.json"

MACHINE_IDS = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))

_USE = b"manualbp: the name of a machine"
_TAG_LENGTH = 5
_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"
"""32 of them, so that each is five bits: without those that look like another.  Five make two of
a thousand machines of one kind alike with a probability of 1.5 %."""


def default_machine_name() -> str:
    """Name this machine by its processor, its cores and a tag of its own."""
    cpu = str(util.get_cpu_info()) or platform.machine()
    words = re.sub(r"\(r\)|\(tm\)|\bcpu\b|\bprocessor\b|@.*", " ", cpu.lower())
    slug = re.sub(r"[^a-z0-9]+", "-", words).strip("-")
    name = f"{slug or 'machine'}-{os.cpu_count()}core"
    try:
        return f"{name}-{tag(machine_id(), measured_facts())}"
    except (OSError, RuntimeError) as error:  # the latter for a user without a home
        warnings.warn(
            f"no id of this machine can be read or kept ({error}): its results are stored as "
            f"{name}, as any machine's of this kind; --machine gives it a name of its own",
            stacklevel=2,
        )
        return name


def tag(identifier: str, facts: Facts) -> str:
    """Return the letters and digits that stand for an id on a machine with these facts."""
    size = "" if facts.memory is None else f"{_installed(facts.memory):.4g}"
    message = "\0".join([facts.cpu or "", str(facts.cores or ""), size]).encode()
    digest = hmac.new(identifier.encode(), _USE + b"\0" + message, hashlib.sha256).digest()
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest[:_TAG_LENGTH])


def _installed(memory: int) -> float:
    """Round the size that a kernel tells, which varies with the kernel, to one that is built in.

    Those are 1 or 1.5 times a power of two; what the kernel keeps for itself is far less than the
    distance to the middle between two of them.
    """
    sizes = [factor * 2.0**power for power in range(20, 60) for factor in (1, 1.5)]
    return min(sizes, key=lambda size: abs(math.log(size / max(memory, 1))))


def machine_id() -> str:
    """Return this installation's id, or the user's random one, made at the first time.

    ``OSError`` or ``RuntimeError`` is raised where it can be neither read nor kept.
    """
    for path in MACHINE_IDS:
        with contextlib.suppress(OSError, ValueError):
            if found := _as_id(path):
                return found
    folder = state_folder()
    file = folder / "machine-id"
    with contextlib.suppress(FileNotFoundError, ValueError):
        if found := _as_id(file):
            return found
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=folder, encoding="ascii", delete=False) as new:
        new.write(secrets.token_hex(16) + "\n")
    # Renamed when it is whole: two first runs at once may write two, but read one of them.
    os.replace(new.name, file)
    return _as_id(file)


def _as_id(path: Path) -> str:
    """Read an id; there is none in the file of an image whose first boot is still to come."""
    text = path.read_text(encoding="ascii").strip().lower()
    return text if re.fullmatch(r"[0-9a-f]{32}", text) and text.strip("0") else ""


def state_folder() -> Path:
    """Return the user's folder for what this program keeps, by the XDG specification."""
    chosen = Path(os.environ.get("XDG_STATE_HOME", ""))
    base = chosen if chosen.is_absolute() else Path.home() / ".local" / "state"
    return base / "manualbp"


def measured_facts() -> Facts:
    """Return this machine's processor, cores and memory."""
    return facts_of(Machine.get_defaults())


def check_machine_name(name: str) -> str:
    """Return a chosen name, or raise ``SuiteError`` if it can be no folder's."""
    if (
        name.strip() in ("", ".", "..")
        or "/" in name
        or not name.isprintable()
        or len(name.encode()) > 200  # file systems allow 255 bytes
    ):
        raise SuiteError(f"--machine {name!r} cannot name a folder")
    return name


def choose_machine(name: str | None, *results: Path, to_read: bool = False) -> str:
    """Return the name to store this machine's results under, in the folders ``results``.

    That is ``name``, or without one the default name, with a number where it is another machine's
    already.  ``SuiteError`` is raised for a name that can be no folder's, and for another machine's
    unless its results are only ``to_read``.
    """
    if name is not None:
        check_machine_name(name)
        for folder in () if to_read else results:
            check_owner(folder / name)
        return name
    names = _numbered(default_machine_name())
    name = next(names)
    while others := [(f, why) for f in results if (why := differences(f / name))]:
        (folder, why), taken = others[0], name
        name = next(names)
        warnings.warn(
            f"{folder / taken} is another machine's ({why}): this one's name is {name}",
            stacklevel=2,
        )
    return name


def _numbered(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}-{number}" for number in itertools.count(2))


def check_owner(folder: Path) -> None:
    """Raise ``SuiteError`` if a machine's folder is of another machine than this."""
    if different := differences(folder):
        raise SuiteError(
            f"{folder} is another machine's ({different}), and two machines never share a name: "
            "choose another with --machine, or leave it out for this machine's own; if it is this "
            f"machine's after all, correct its {FILE}"
        )


def differences(folder: Path) -> str:
    """Say what a machine's folder tells of another machine than this; nothing is of this one.

    ``SuiteError`` is raised for a description that cannot be read.
    """
    here = measured_facts()
    for there in _described(folder):
        if names := differing(there, here):
            return "; ".join(f"{fact(name, there)}, here {fact(name, here)}" for name in names)
    return ""


def _described(folder: Path) -> Iterator[Facts]:
    """Yield what ``machine.json`` says; where it says nothing, what the result files say."""
    if folder.exists() and not folder.is_dir():
        raise SuiteError(f"{folder} is no folder, so no machine can have this name")
    file = folder / FILE
    if file.is_file():
        facts = facts_of(_read(file))
        if any(value is not None for value in facts):
            yield facts
            return
    for result in sorted(folder.glob("*.json")):
        params = _read(result).get("params")
        if isinstance(params, dict):
            yield facts_of(params)


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"expected an object, got {type(content).__name__}")
    except (OSError, ValueError) as error:
        raise SuiteError(
            f"{file} cannot be read ({error}), so whose results these are is not known: restore "
            "or remove it, or choose another name with --machine"
        ) from None
    return content


def register_machine(name: str, results: Path) -> dict[str, str]:
    """Describe this machine in its folder in ``results``; return its facts as asv names them.

    A description that is there stays as it is, and its memory is what the facts tell: it varies a
    little with the kernel, and asv would take it for another machine.  ``SuiteError`` is raised if
    it is another machine's, or cannot be written.
    """
    folder = results / name
    check_owner(folder)
    facts: dict[str, str] = {**Machine.get_defaults(), "machine": name}
    file = folder / FILE
    if file.is_file():
        stored = _read(file)
        return facts | ({"ram": str(stored["ram"])} if facts_of(stored).memory else {})
    try:
        util.write_json(str(file), facts, Machine.api_version)
    except OSError as error:
        raise SuiteError(f"{file} cannot be written ({error.strerror})") from None
    return facts
