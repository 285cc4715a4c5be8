"""Cores: how many workers compute where nobody says a number, and why so many.

Two threads of one physical core share its multipliers, a container may have less time than the machine has
cores, and a program that runs many others at once says how many threads each may have.
"""

from __future__ import annotations

import ctypes
import functools
import math
import os
import struct
import sys
import threading
from pathlib import Path
from typing import Any, NamedTuple

from purecnn.backend.checks import positive

#: Where Linux tells of processors and control groups, and of processes.
SYS, PROC = "/sys", "/proc"
#: Where the control group of a process is looked for: version 2, alone or beside version 1; and version 1.
VERSION_2: tuple[str, ...] = ("", "unified")
VERSION_1: tuple[str, ...] = ("cpu", "cpu,cpuacct", "cpuacct,cpu")


class Workers(NamedTuple):
    """How many workers compute.

    Attributes
    ----------
    number : int
        How many, at least 1.
    reason : str
        Why so many, in words.
    """

    number: int
    reason: str

    def __str__(self) -> str:
        return f"{self.number} ({self.reason})"

    def limited(self, most: int, reason: str) -> Workers:
        """Return at most so many, with the reason where that makes them fewer.

        Examples
        --------
        >>> print(Workers(4, "4 physical cores of 8 processors").limited(1, "OMP_NUM_THREADS=1"))
        1 (OMP_NUM_THREADS=1)
        """
        return Workers(most, reason) if most < self.number else self


class Cores(NamedTuple):
    """The physical cores that this process may use.

    Attributes
    ----------
    names : tuple of str
        A name of each, which all processes of this machine have for it.
    processors : int
        How many processors they have that this process may use.
    kind : str
        What the names are of: "physical core", "performance core", or "processor", where no cores are known.
    """

    names: tuple[str, ...]
    processors: int
    kind: str = "physical core"

    def in_words(self) -> str:
        """Return how many cores these are of how many processors."""
        processors = counted(self.processors, "processor")
        if self.kind == "processor":
            return f"{processors}, whose cores are not known"
        return f"{counted(len(self.names), self.kind)} of {processors}"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun.

    Examples
    --------
    >>> counted(1, "core"), counted(2, "core")
    ('1 core', '2 cores')
    """
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def workers(threads: int | None = None, sys_root: str = SYS, proc_root: str = PROC) -> Workers:
    """Return how many workers compute, and why: `threads`, or what is found here.

    Found are the physical cores that this process may use, at most what the container's quota allows, and at
    most OMP_NUM_THREADS; one in a process that multiprocessing began, and in any thread but the main one.

    Parameters
    ----------
    threads : int, optional
        A number that was asked for, which is taken as it is.
    sys_root, proc_root : str
        Where Linux tells of its processors and processes.

    Examples
    --------
    >>> workers(3)
    Workers(number=3, reason='threads=3')
    """
    if threads is not None:
        return Workers(positive("threads", threads), f"threads={threads}")
    return as_told(capacity(sys_root, proc_root))


def as_threads(threads: int | None, most: int | None = None) -> int:
    """Return `threads`, or as many as `workers` finds; at most as many as there are things to do."""
    if most == 1 and threads is None:
        return 1
    number = workers(threads).number
    return number if most is None else min(number, most)


def capacity(sys_root: str = SYS, proc_root: str = PROC) -> Workers:
    """Return how many workers find room: one on each core, and none beyond the container's quota."""
    found = cores(sys_root)
    allowed = quota(sys_root, proc_root)
    cores_alone = Workers(len(found.names), found.in_words())
    if allowed is None:
        return cores_alone
    return cores_alone.limited(
        max(1, math.ceil(allowed)),
        f"limited by the container's quota of {in_processors(allowed)}",
    )


def in_processors(quota: float) -> str:
    """Return a quota in words.

    Examples
    --------
    >>> in_processors(1.0), in_processors(2 / 3)
    ('1 processor', '0.67 processors')
    """
    return f"{round(quota, 2):g} processor{'' if quota == 1 else 's'}"


# What surrounds this process ------------------------------------------------------------------------------


def as_told(found: Workers) -> Workers:
    """Return at most as many workers as the process's surroundings leave it.

    joblib, Dask and Ray tell their workers by OMP_NUM_THREADS. Other workers of a pool, be they processes or
    threads, share the cores with others, of which nothing tells how many there are.
    """
    told = omp_threads()
    if told is not None:
        found = found.limited(told, f"OMP_NUM_THREADS={told}")
    if threading.current_thread() is not threading.main_thread():
        return found.limited(1, "called outside of the main thread")
    if not is_begun_by_multiprocessing():
        return found
    of_joblib = "loky" in type(sys.modules["multiprocessing.process"].current_process()).__module__
    return found if of_joblib and told else found.limited(1, "in a process that multiprocessing began")


def is_begun_by_multiprocessing() -> bool:
    """Return whether multiprocessing began this process, which then has it imported."""
    module: Any = sys.modules.get("multiprocessing.process")
    return module is not None and module.parent_process() is not None


def omp_threads() -> int | None:
    """Return the first number of OMP_NUM_THREADS: those behind a comma are for threads inside of threads."""
    said = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    try:
        number = int(said) if said.isdecimal() else 0
    except ValueError:  # thousands of digits
        return None
    return number or None


# Processors and cores -------------------------------------------------------------------------------------


def processors() -> tuple[int, ...]:
    """Return the numbers of the processors that this process may use: one in a browser, with one thread."""
    if sys.platform == "emscripten":
        return (0,)
    if hasattr(os, "sched_getaffinity"):
        return tuple(sorted(os.sched_getaffinity(0)))
    return tuple(range(os.cpu_count() or 1))


def cores(sys_root: str = SYS) -> Cores:
    """Return the physical cores that this process may use, or its processors where nothing tells of cores."""
    numbers = processors()
    found: Cores | None = None
    if sys.platform == "linux":
        found = linux_cores(numbers, sys_root)
    elif sys.platform == "darwin":
        found = mac_cores(len(numbers))
    elif sys.platform == "win32":
        found = windows_cores()
    return found or Cores(tuple(map(str, numbers)), len(numbers), "processor")


@functools.lru_cache(16)
def linux_cores(numbers: tuple[int, ...], sys_root: str = SYS) -> Cores | None:
    """Return the cores of some processors, by what the kernel tells; None where it does not.

    Small cores, as ARM's big.LITTLE has, count as large ones do.
    """
    names = []
    for number in numbers:
        folder = Path(sys_root, "devices", "system", "cpu", f"cpu{number}", "topology")
        name = text_of(folder / "thread_siblings_list")
        if not name:
            package, core = text_of(folder / "physical_package_id"), text_of(folder / "core_id")
            if not core or core == "-1":
                return None
            name = f"{core} of package {package}"
        names.append(name)
    return Cores(tuple(dict.fromkeys(names)), len(numbers)) if names else None


def mac_cores(count: int, library: Any = None) -> Cores | None:
    """Return the performance cores of a Mac with `count` processors, else all cores, else None."""
    try:
        library = library or ctypes.CDLL(None)
        for name, kind in (("perflevel0.physicalcpu", "performance core"), ("physicalcpu", "physical core")):
            value, size = ctypes.c_int32(0), ctypes.c_size_t(4)
            failed = library.sysctlbyname(
                f"hw.{name}".encode(), ctypes.byref(value), ctypes.byref(size), None, ctypes.c_size_t(0)
            )
            if not failed and value.value > 0:
                return Cores(tuple(map(str, range(value.value))), count, kind)
    except (AttributeError, OSError):
        pass
    return None


def windows_cores(kernel: Any = None) -> Cores | None:
    """Return the cores that Windows lets this process use; None where it does not tell.

    A core is told of by the group of at most 64 processors that it is in, and a mask of its own ones there.
    """
    if kernel is None and sys.platform == "win32":
        kernel = ctypes.WinDLL("kernel32")
    try:
        masks = windows_masks(kernel)
        groups, mask = windows_affinity(kernel)
    except (AttributeError, OSError, struct.error):
        return None
    found = {}
    for group, own in masks:
        # The mask is that of the one group; a process in several groups may use all of them.
        usable = own & mask if groups == {group} and mask else own
        if usable and (not groups or group in groups):
            found[f"{group}:{own:x}"] = usable.bit_count()
    return Cores(tuple(found), sum(found.values())) if found else None


def windows_masks(kernel: Any) -> list[tuple[int, int]]:
    """Return each core's group and mask, by GetLogicalProcessorInformationEx(RelationProcessorCore)."""
    length = ctypes.c_uint32(0)
    kernel.GetLogicalProcessorInformationEx(0, None, ctypes.byref(length))
    buffer = ctypes.create_string_buffer(length.value)
    if not length.value or not kernel.GetLogicalProcessorInformationEx(0, buffer, ctypes.byref(length)):
        raise OSError("Windows does not tell of its cores")
    # SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX: two DWORDs, its kind and size; then PROCESSOR_RELATIONSHIP: 22
    # bytes, how many GROUP_AFFINITYs follow, 1 for a core, and those: a mask as wide as a pointer, a WORD.
    affinity, found, place = "<QH" if ctypes.sizeof(ctypes.c_void_p) == 8 else "<LH", [], 0
    while place < length.value:
        kind, size = struct.unpack_from("<LL", buffer.raw, place)
        if kind == 0:
            mask, group = struct.unpack_from(affinity, buffer.raw, place + 32)
            found.append((group, mask))
        place += max(size, 8)
    return found


def windows_affinity(kernel: Any) -> tuple[set[int], int]:
    """Return the groups that this process may use, none where that is not told, and its mask, 0 likewise."""
    process = ctypes.c_void_p(-1)  # what GetCurrentProcess returns: this process
    count, groups = ctypes.c_uint16(64), (ctypes.c_uint16 * 64)()
    if not kernel.GetProcessGroupAffinity(process, ctypes.byref(count), groups):
        count.value = 0
    own, all_there_are = ctypes.c_size_t(0), ctypes.c_size_t(0)
    if not kernel.GetProcessAffinityMask(process, ctypes.byref(own), ctypes.byref(all_there_are)):
        own.value = 0
    return set(groups[: count.value]), own.value


# The container's quota ------------------------------------------------------------------------------------


@functools.lru_cache(16)
def quota(sys_root: str = SYS, proc_root: str = PROC) -> float | None:
    """Return how many processors' time the control groups of this process allow it; None: all.

    A group's quota is shared by all that is in it, so the least on the way up to the root is what counts. It
    is read once: it took up to 1.6 ms, which `Network.predict` would pay at each call.
    """
    least = math.inf
    for line in text_of(Path(proc_root, "self", "cgroup")).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:
            tops = VERSION_2
        elif "cpu" in controllers.split(","):
            tops = VERSION_1
        else:
            continue
        for top in tops:
            for folder in way_up(Path(sys_root, "fs", "cgroup", top), path):
                least = min(least, quota_2(folder) if tops is VERSION_2 else quota_1(folder))
    return None if least == math.inf else least


def way_up(top: Path, path: str) -> list[Path]:
    """Return the folders of a control group and of those that it is in, up to the top one.

    In a container the path may be the machine's, which begins above what the container sees as the top: then
    the longest end of it is taken that there is.
    """
    parts = [part for part in path.split("/") if part]
    if ".." in parts:  # it lies outside of what this process sees
        parts = []
    ends = (parts[first:] for first in range(len(parts)))
    known = next((end for end in ends if top.joinpath(*end).is_dir()), parts)
    return [top.joinpath(*known[:depth]) for depth in range(len(known), -1, -1)]


def quota_2(folder: Path) -> float:
    """Return the quota of a control group of version 2: its time and the period, or "max"."""
    return ratio(*text_of(folder / "cpu.max").split()[:2])


def quota_1(folder: Path) -> float:
    """Return the quota of a control group of version 1, whose time is -1 where it has none."""
    return ratio(text_of(folder / "cpu.cfs_quota_us"), text_of(folder / "cpu.cfs_period_us"))


def ratio(time: str = "", period: str = "100000") -> float:
    """Return a time by a period, infinite unless both are positive numbers.

    Examples
    --------
    >>> ratio("150000", "100000"), ratio("max", "100000"), ratio("-1", "100000")
    (1.5, inf, inf)
    """
    if not (time.isdecimal() and period.isdecimal() and int(time) and int(period)):
        return math.inf
    return int(time) / int(period)


def text_of(path: Path) -> str:
    """Return what a small file holds, empty where there is none or it can't be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
