"""The workloads: what is differentiated, one file each, and those in a user's files.

A workload is found by its name.  Ours are imported when they are asked for; a user's file is
imported by :func:`load`, after which its workloads are found by their names as well.
"""

import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from manualbp.cases import check_name, shipped_workloads
from manualbp.workload import Workload

_loaded: dict[str, Workload] = {}


class WorkloadError(ValueError):
    """A file that defines no workload, or one that cannot be imported."""


def find(name: str) -> Workload:
    """Return a workload by its name, or raise ``ValueError`` naming those that there are."""
    if name in _loaded:
        return _loaded[name]
    check_name("workload", name, [*shipped_workloads(), *_loaded])
    module = import_module(f"{__name__}.{name.replace('-', '_')}")
    workload: Workload = module.workload
    return workload


def load(path: str | Path) -> list[Workload]:
    """Import a user's Python file and return the workloads that it defines, in their order.

    ``WorkloadError`` is raised when there is no such file, when it defines no workload, when one
    has the name of another, and when importing it fails; the message says where.
    """
    path = Path(path).absolute()
    name = path.stem
    spec = spec_from_file_location(name, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise WorkloadError(f"{path}: no Python file")
    module = module_from_spec(spec)
    # Under its name, for the classes in it; its folder last, for what it imports beside it.
    sys.modules.setdefault(name, module)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise WorkloadError(
            f"{path}: importing it fails: {type(error).__name__}: {error}"
        ) from error
    found = [value for value in vars(module).values() if isinstance(value, Workload)]
    found = [one for one in dict.fromkeys(found) if one.loss.__module__ == name]
    if not found:
        raise WorkloadError(
            f"{path}: defines no workload; expected "
            "'workload = Workload(loss, variables, data, batches=…)' in it"
        )
    for one in found:
        if one.name in shipped_workloads():
            raise WorkloadError(f"{path}: {one.name!r} is the name of a workload that is ours")
        _loaded[one.name] = one
    return found


def named(text: str) -> list[Workload]:
    """Return the workloads that a user names: one of ours, or all in a Python file."""
    if text.endswith(".py") or "/" in text or "\\" in text:
        return load(text)
    return [find(text)]
