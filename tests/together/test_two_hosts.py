"""Two machines with addresses of their own, joined by one link: trained across, cut apart, and resumed.

They are network namespaces of this one, which share its processors and disk but no network. MPI would go past
the link through shared memory, so it is told to use TCP alone.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from helpers.mpi_jobs import MPIEXEC
from helpers.waiting import PATIENCE

resume = pytest.importorskip("campaigns.kill.resume", reason="the campaigns want Linux or macOS")
work = pytest.importorskip("campaigns.kill.victim", reason="the campaigns want Linux or macOS")
finish, start, CHECKPOINT, build = resume.finish, resume.start, work.CHECKPOINT, work.build

#: Seconds without an answer after which a rank is given up; 12 by default.
SILENCE = 4
PLAN = {"kind": "normalized", "optimizer": "adam", "batch_size": 256, "epochs": 8, "threads": 1, "every": 1}

LAUNCHER = """#!/bin/sh
# as ssh is called: options, a host, and the words of a command
while [ "${1#-}" != "$1" ]; do shift; done
case $1 in
ADDRESS-a) space=NAME-a ;;
ADDRESS-b) space=NAME-b ;;
esac
shift
exec ip netns exec $space unshare --uts sh -c "hostname $space; exec $*"
"""


def ip(*words):
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


class Hosts:
    """Two namespaces and the link between them."""

    def __init__(self, folder):
        self.name = f"pc{os.getpid()}"
        self.addresses = {"a": "10.213.77.1", "b": "10.213.77.2"}
        self.script = folder / "launcher"

    def make(self):
        for host in self.addresses:
            ip("netns", "add", f"{self.name}-{host}")
        ends = [("netns", f"{self.name}-{host}") for host in self.addresses]
        ip(
            "link",
            "add",
            f"{self.name}a",
            *ends[0],
            "type",
            "veth",
            "peer",
            "name",
            f"{self.name}b",
            *ends[1],
        )
        for host, address in self.addresses.items():
            self.of(host, "addr", "add", f"{address}/24", "dev", f"{self.name}{host}")
            self.of(host, "link", "set", f"{self.name}{host}", "up")
            self.of(host, "link", "set", "lo", "up")
        text = LAUNCHER.replace("NAME", self.name)
        for host, address in self.addresses.items():
            text = text.replace(f"ADDRESS-{host}", address)
        self.script.write_text(text, encoding="utf-8")
        self.script.chmod(0o755)
        self.wait_for_link()

    def of(self, host, *words):
        return ip("-n", f"{self.name}-{host}", *words)

    def remove(self):
        for host in self.addresses:
            with contextlib.suppress(subprocess.CalledProcessError):
                ip("netns", "del", f"{self.name}-{host}")

    def set_link(self, state):
        self.of("a", "link", "set", f"{self.name}a", state)
        if state == "up":
            self.wait_for_link()

    def wait_for_link(self):
        """Wait until both ends are at work: Linux says so of a link up to a second after it was set up."""
        until = time.monotonic() + PATIENCE
        for host in self.addresses:
            while self.link(host)["operstate"] != "UP":
                assert time.monotonic() < until, "the link between the two hosts does not come up"
                time.sleep(0.01)

    def received(self):
        """Return how many bytes have come over the link to the first host."""
        return self.link("a")["stats64"]["rx"]["bytes"]

    def link(self, host):
        """Return what Linux tells of a host's end of the link."""
        (link,) = json.loads(self.of(host, "-s", "-j", "link", "show", f"{self.name}{host}"))
        return link

    def launcher(self, *hosts):
        """Return the words that begin the command of a job with one rank on each of some hosts."""
        return [
            *("ip", "netns", "exec", f"{self.name}-a", "env", "UCX_TLS=tcp,self", "FI_PROVIDER=tcp"),
            *(MPIEXEC, "-launcher", "ssh", "-launcher-exec", str(self.script)),
            *("-hosts", ",".join(self.addresses[host] for host in hosts), "-n", str(len(hosts))),
            *(sys.executable, "-m", "mpi4py"),
        ]


@pytest.fixture(scope="module")
def hosts(tmp_path_factory):
    if MPIEXEC is None or shutil.which("ip") is None or shutil.which("unshare") is None:
        pytest.skip("there is no mpiexec, or no ip and unshare to make network namespaces with")
    made = Hosts(tmp_path_factory.mktemp("hosts"))
    try:
        made.make()
    except subprocess.CalledProcessError as error:
        made.remove()
        pytest.skip(f"network namespaces can't be made here: {error.stderr.strip()}")
    yield made
    made.remove()


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Return the bits of one process."""
    return finish({**PLAN, "folder": str(tmp_path_factory.mktemp("alone")), "slow": 0.0})["bits"]


def test_training_across_two_hosts_ends_in_the_bits_of_one(hosts, alone, tmp_path):
    before = hosts.received()
    found = finish({**PLAN, "folder": str(tmp_path), "slow": 0.0}, hosts.launcher("a", "b"))
    assert found["bits"] == alone
    gradient = build(PLAN["kind"]).parameters.nbytes
    assert hosts.received() - before > found["bits"]["counts"][1] * gradient  # one a step came over the link


def test_a_cut_link_ends_the_job_which_is_resumed_on_both_hosts(hosts, alone, tmp_path):
    plan = {**PLAN, "folder": str(tmp_path), "silence": SILENCE}
    with start({**plan, "slow": 0.3}, hosts.launcher("a", "b")) as job:
        while not (tmp_path / CHECKPOINT).exists() and job.poll() is None:
            time.sleep(0.01)
        time.sleep(1)
        assert job.poll() is None
        hosts.set_link("down")
        try:
            _, errors = job.communicate(timeout=PATIENCE)
        finally:
            hosts.set_link("up")
    assert job.returncode
    (sentence,) = [line for line in errors.splitlines() if line.startswith("Error: ")]
    assert sentence.startswith("Error: rank 1 (process ")
    assert f"on {hosts.name}-b) has not answered for {SILENCE} seconds" in sentence
    assert finish({**plan, "slow": 0.0}, hosts.launcher("a", "b", "b"))["bits"] == alone
