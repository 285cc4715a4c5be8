"""How many workers compute by default, on machines that are made up, and in pools that are real."""

import ctypes
import multiprocessing
import os
import struct
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

from helpers.waiting import PATIENCE
from purecnn.backend import cores
from purecnn.backend.cores import Workers, as_threads, capacity, quota, workers


@pytest.fixture(autouse=True)
def nobody_says(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.fixture
def linux(tmp_path, monkeypatch):
    """Make up a machine: give each processor's files, what is allowed, and the files of control groups."""
    monkeypatch.setattr(sys, "platform", "linux")

    def machine(topology, allowed=None, groups="", **files):
        for number, told in enumerate(topology):
            folder = tmp_path / "sys/devices/system/cpu" / f"cpu{number}" / "topology"
            folder.mkdir(parents=True)
            for name, text in told.items():
                (folder / name).write_text(f"{text}\n", encoding="utf-8")
        allowed = set(range(len(topology))) if allowed is None else allowed
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: allowed, raising=False)
        (tmp_path / "proc/self").mkdir(parents=True)
        if groups:
            (tmp_path / "proc/self/cgroup").write_text(groups, encoding="utf-8")
        for path, text in files.items():
            place = tmp_path / "sys/fs/cgroup" / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(f"{text}\n", encoding="utf-8")
        return str(tmp_path / "sys"), str(tmp_path / "proc")

    return machine


SMT = [{"thread_siblings_list": pair} for pair in ("0,2", "1,3", "0,2", "1,3")]
FOUR = [{"thread_siblings_list": number} for number in range(4)]


# Processors and cores ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("allowed", "number", "reason"),
    [
        (None, 2, "2 physical cores of 4 processors"),
        ({0, 1}, 2, "2 physical cores of 2 processors"),  # one thread of each
        ({0, 2}, 1, "1 physical core of 2 processors"),  # both of one
        ({3}, 1, "1 physical core of 1 processor"),
    ],
)
def test_threads_of_one_core_count_once(linux, allowed, number, reason):
    roots = linux(SMT, allowed)
    assert workers(None, *roots) == Workers(number, reason)


@pytest.mark.parametrize("core_ids", [(0, 1, 0, 1), (0, 1, 2, 3)])
def test_cores_of_several_packages_have_numbers_of_their_own(linux, core_ids):
    told = [
        {"core_id": core, "physical_package_id": package}
        for core, package in zip(core_ids, (0, 0, 1, 1), strict=True)
    ]
    assert workers(None, *linux([*told, *told])) == Workers(4, "4 physical cores of 8 processors")


@pytest.mark.parametrize(
    "told", [{}, {"core_id": -1, "physical_package_id": -1}, {"thread_siblings_list": ""}]
)
def test_where_no_cores_are_told_of_processors_count(linux, told):
    assert workers(None, *linux([told] * 4)) == Workers(4, "4 processors, whose cores are not known")


def test_this_machine_has_a_core_and_the_reason_says_of_which_kind():
    found = capacity()
    assert 1 <= found.number <= len(cores.processors())
    assert "processor" in found.reason
    assert str(found) == f"{found.number} ({found.reason})"


def test_the_affinity_may_change_while_a_process_runs(linux, monkeypatch):
    roots = linux(SMT)
    assert capacity(*roots).number == 2
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1}, raising=False)
    assert capacity(*roots).number == 1


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (
            {"hw.perflevel0.physicalcpu": 4, "hw.physicalcpu": 8},
            Workers(4, "4 performance cores of 8 processors"),
        ),
        ({"hw.physicalcpu": 8}, Workers(8, "8 physical cores of 8 processors")),
        ({"hw.physicalcpu": 0}, Workers(8, "8 processors, whose cores are not known")),
        ({}, Workers(8, "8 processors, whose cores are not known")),
        (None, Workers(8, "8 processors, whose cores are not known")),
    ],
)
def test_a_mac_has_its_performance_cores(told, found, monkeypatch):
    def sysctlbyname(name, value, size, _new, _length):
        assert size._obj.value == ctypes.sizeof(value._obj) == 4
        if name.decode() not in told:
            return -1
        value._obj.value = told[name.decode()]
        return 0

    system = SimpleNamespace() if told is None else SimpleNamespace(sysctlbyname=sysctlbyname)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(cores, "ctypes", SimpleNamespace(**{**vars(ctypes), "CDLL": lambda _: system}))
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert capacity() == found


def windows(masks, groups, mask, broken=()):
    """Return a kernel32 of a machine with cores of these groups and masks."""
    layout = "=LLBB20xHQH6x" if ctypes.sizeof(ctypes.c_void_p) == 8 else "=LLBB20xHLH6x"
    told = b"".join(
        struct.pack(layout, 0, struct.calcsize(layout), 1, 0, 1, own, group) for group, own in masks
    )

    def information(kind, buffer, length):
        assert kind == 0
        room, length._obj.value = length._obj.value, len(told)
        if buffer is None or room < len(told):
            return 0
        ctypes.memmove(buffer, told, len(told))
        return 1

    def group_affinity(process, count, found):
        assert process.value == ctypes.c_void_p(-1).value
        found[: len(groups)] = groups
        count._obj.value = len(groups)
        return 1

    def process_mask(_process, own, of_all):
        own._obj.value = of_all._obj.value = mask
        return 1

    functions = {
        "GetLogicalProcessorInformationEx": information,
        "GetProcessGroupAffinity": group_affinity,
        "GetProcessAffinityMask": process_mask,
    }
    return SimpleNamespace(**{**functions, **{name: lambda *_: 0 for name in broken}})


@pytest.mark.parametrize(
    ("kernel", "found"),
    [
        (windows([(0, 0b0011), (0, 0b1100)], [0], 0b1111), "2 (2 physical cores of 4 processors)"),
        (windows([(0, 0b0011), (0, 0b1100)], [0], 0b0101), "2 (2 physical cores of 2 processors)"),
        (windows([(0, 0b0011), (0, 0b1100)], [0], 0b1000), "1 (1 physical core of 1 processor)"),
        # two groups, of which the process is in one, or may use both
        (windows([(0, 3), (1, 3), (1, 12)], [1], 15), "2 (2 physical cores of 4 processors)"),
        (windows([(0, 3), (1, 3), (1, 12)], [0, 1], 0), "3 (3 physical cores of 6 processors)"),
        (windows([(0, 3)], [0], 1, ["GetProcessGroupAffinity"]), "1 (1 physical core of 2 processors)"),
        (windows([(0, 3)], [0], 1, ["GetProcessAffinityMask"]), "1 (1 physical core of 2 processors)"),
        (windows([(0, 3)], [0], 1, ["GetLogicalProcessorInformationEx"]), "6 (6 processors, whose cores ..."),
        (windows([], [0], 1), "6 (6 processors, whose cores ..."),
        (SimpleNamespace(), "6 (6 processors, whose cores ..."),
    ],
)
def test_windows_tells_of_cores_by_masks(kernel, found, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "WinDLL", {"kernel32": kernel}.__getitem__, raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert str(capacity("nowhere", "nowhere")).startswith(found.removesuffix("..."))


# The container's quota --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("groups", "files", "wanted"),
    [
        ("0::/a/b\n", {"a/b/cpu.max": "150000 100000"}, 1.5),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "200000 100000"}, 2),
        ("0::/a/b\n", {"a/b/cpu.max": "300000 100000", "a/cpu.max": "200000 100000"}, 2),
        ("0::/a/b\n", {"a/b/cpu.max": "100000 50000", "a/cpu.max": "max"}, 2),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000"}, None),
        ("0::/\n", {"cpu.max": "50000 100000"}, 0.5),  # the top is the container's own
        ("0::/docker/id\n", {"cpu.max": "50000 100000"}, 0.5),  # and its path the machine's
        ("0::/docker/id/sub\n", {"cpu.max": "max", "sub/cpu.max": "50000 100000"}, 0.5),
        ("0::/../other\n", {"cpu.max": "max", "other/cpu.max": "50000 100000"}, None),
        ("0::/a\n", {"a/cpu.max": "nonsense"}, None),
        ("0::/a\n", {"a/cpu.max": ""}, None),
        ("4:cpu,cpuacct:/a\n", {"cpu,cpuacct/a/cpu.cfs_quota_us": "150000"}, None),  # without its period
        (
            "5:memory:/m\n4:cpu,cpuacct:/a\n",
            {"cpu,cpuacct/a/cpu.cfs_quota_us": "150000", "cpu,cpuacct/a/cpu.cfs_period_us": "100000"},
            1.5,
        ),
        ("4:cpu:/a/b\n", {"cpu/a/cpu.cfs_quota_us": "30000", "cpu/a/cpu.cfs_period_us": "10000"}, 3),
        ("4:cpu:/a\n", {"cpu/a/cpu.cfs_quota_us": "-1", "cpu/a/cpu.cfs_period_us": "100000"}, None),
        ("4:cpu:/a\n", {"cpu/a/cpu.cfs_quota_us": "1", "cpu/a/cpu.cfs_period_us": "0"}, None),
        ("4:cpuset:/a\n1:name=systemd:/a\n", {"cpuset/a/cpu.max": "50000 100000"}, None),
        # both versions side by side: the least counts
        (
            "4:cpu:/a\n0::/a\n",
            {
                "cpu/a/cpu.cfs_quota_us": "300000",
                "cpu/a/cpu.cfs_period_us": "100000",
                "unified/a/cpu.max": "200000 100000",
            },
            2,
        ),
        ("nonsense\n\n::\n", {}, None),
        ("", {}, None),
    ],
)
def test_the_quota_is_the_least_on_the_way_up(linux, groups, files, wanted):
    assert quota(*linux(FOUR, groups=groups, **files)) == wanted


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("150000 100000", Workers(2, "limited by the container's quota of 1.5 processors")),
        ("50000 100000", Workers(1, "limited by the container's quota of 0.5 processors")),
        ("100000 100000", Workers(1, "limited by the container's quota of 1 processor")),
        ("400000 100000", Workers(4, "4 physical cores of 4 processors")),
        ("max 100000", Workers(4, "4 physical cores of 4 processors")),
    ],
)
def test_a_quota_is_rounded_up(linux, told, found):
    roots = linux(FOUR, groups="0::/a/b\n", **{"a/b/cpu.max": "max 100000", "a/cpu.max": told})
    assert workers(None, *roots) == found


# What is said, and by whom ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "number", "reason"),
    [
        ("1", 1, "OMP_NUM_THREADS=1"),
        ("3,2", 3, "OMP_NUM_THREADS=3"),
        (" 2 , 1", 2, "OMP_NUM_THREADS=2"),
        *((said, 4, "4 physical cores of 4 processors") for said in ("4", "9", "4,2")),
        *((said, 4, "4 physical cores of 4 processors") for said in ("", "abc", "0", "-1", ",2", "²", "1.5")),
        ("9" * 5000, 4, "4 physical cores of 4 processors"),
    ],
)
def test_the_first_number_of_omp_num_threads_limits(linux, monkeypatch, said, number, reason):
    roots = linux(FOUR)
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert workers(None, *roots) == Workers(number, reason)


def test_what_is_asked_for_is_taken(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert workers(7) == Workers(7, "threads=7")
    assert (as_threads(7), as_threads(7, 2), as_threads(None, 1), as_threads(None)) == (7, 2, 1, 1)
    with pytest.raises(ValueError, match="threads must be an integer of at least 1, got 0"):
        as_threads(0, 1)


def test_outside_of_the_main_thread_one_works(linux):
    roots, found = linux(FOUR), []
    thread = threading.Thread(target=lambda: found.extend([workers(None, *roots), workers(3)]))
    thread.start()
    thread.join()
    assert found == [Workers(1, "called outside of the main thread"), Workers(3, "threads=3")]


IN_POOLS = """\
import multiprocessing, os, sys
from purecnn.backend import cores

def told(threads):
    cores.processors = lambda: range(8)
    cores.cores = lambda *_: cores.Cores(tuple("abcdefgh"), 8)
    return str(cores.workers(threads))

if __name__ == "__main__":
    kind = sys.argv[1]
    if kind == "joblib":
        import joblib
        with joblib.parallel_config("loky", inner_max_num_threads=int(sys.argv[2])):
            print(*joblib.Parallel(n_jobs=2)(joblib.delayed(told)(given) for given in (None, 3)), sep="; ")
    else:
        with multiprocessing.get_context(kind).Pool(2) as pool:
            print(*pool.map(told, (None, 3)), sep="; ")
"""


def in_pool(tmp_path, *arguments):
    """Return what workers of a pool say, without and with a number of threads asked for."""
    path = tmp_path / "program.py"
    path.write_text(IN_POOLS, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(path), *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("kind", multiprocessing.get_all_start_methods())
def test_in_a_pool_of_multiprocessing_one_works(tmp_path, monkeypatch, kind):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert in_pool(tmp_path, kind) == "1 (in a process that multiprocessing began); 3 (threads=3)"


@pytest.mark.parametrize("inner", ["1", "2"])
def test_in_a_worker_of_joblib_as_many_work_as_it_says(tmp_path, inner):
    pytest.importorskip("joblib")
    assert in_pool(tmp_path, "joblib", inner) == f"{inner} (OMP_NUM_THREADS={inner}); 3 (threads=3)"


def test_nothing_heavy_is_imported_to_count():
    heavy = "print(*{'multiprocessing', 'subprocess', 'json', 'joblib'} & sys.modules.keys())"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    counted, plain = (
        subprocess.run(
            [sys.executable, "-c", f"import sys, numpy\n{words}\n{heavy}"],
            env=environment,
            capture_output=True,
            check=True,
        ).stdout.split()
        for words in ("from purecnn.backend.cores import workers; workers()", "")
    )
    assert set(counted) <= set(plain)
