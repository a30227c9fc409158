"""The appliance under test: the emulated machine with its disks, as its owner and its computer meet it.

Everything that the test learns about backups it learns in three ways: the client's exit codes, the box's own report,
and the client's `rescue` on the bytes that outlasted a cut, without box and agent. Not here: what is done to it, and
when (`lives`).
"""
import http.client
import random
import shutil
import socket
import subprocess
import time
import urllib.request
from collections import Counter

from computer import FINE, compared
from disk import Disk
from machine import AGENT_PORT, Machine
from trouble import Trouble

# From the switch to the first answer. With a disk that cannot be mounted any more the agent waits a minute for it.
ALIVE_WITHIN_S = 120
# What the owner is promised about a disk that is gone, and time for one that is back to be filled.
SHOWN_WITHIN_S = 10
FILLED_WITHIN_S = 90
DISK_MISSING = 4


class Lost(Exception):
    """A promise was broken: something confirmed is gone, or the box does not come back by itself."""


def settings(disks):
    """The agent's settings for disks that are mounted by their names."""
    places = ", ".join(f'"/disks/{disk.name}"' for disk, _ in disks)
    return (f'[network]\nlisten = "0.0.0.0:{AGENT_PORT}"\n'
            f'[vault]\ndisks = [{places}]\nreserve = "128 MiB"\n[mqtt]\nenabled = false\n')


def free_port():
    """A port that nobody uses, and that nobody is given: while the box is off, a client that looks for it could be
    given the very port as its own and would find itself."""
    while True:
        with socket.socket() as probe:
            port = random.randrange(20_000, 30_000)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Box:
    """One appliance and the counts of what was done to it."""

    def __init__(self, place, guest, disks):
        self.place = place
        self.disks = [(Disk(place, name, lies), kind) for name, kind, lies in disks]
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        guest.write_system(place / "system", settings(self.disks))
        self.machine = Machine(place, guest.kernel, place / "system", port)
        self.machine.disks = self.disks
        self.counts = Counter()

    # ---- power

    def start(self):
        """Switches it on and waits until it answers; returns the seconds that it took."""
        self.machine.start()
        since = time.monotonic()
        while not self._answers():
            if self.machine.process.poll() is not None:
                raise Trouble(f"qemu ended by itself; its words are in {self.place}/qemu.log")
            if time.monotonic() - since > ALIVE_WITHIN_S:
                raise Lost(f"the box does not come back by itself; {self.machine.console(self.machine.boots)} says why")
            time.sleep(0.1)
        return time.monotonic() - since

    def _answers(self):
        try:
            # A question that was asked before the guest has a network may never be answered: it is asked again.
            with urllib.request.urlopen(f"{self.address}/v1/health", timeout=2):
                return True
        except (OSError, http.client.HTTPException):
            return False

    def pair(self, computer):
        """Opens a window inside the box and gives its code to the computer."""
        shown = self.machine.inside("larderd pair --device laptop --role admin --config /etc/larder.toml 2>/dev/null")
        code, printed, told = computer.run("pair", "--replace", self.address, given=shown)
        if code != FINE:
            raise Trouble(f"the computer cannot be paired: {printed}{told}")

    def cut_power(self, dice):
        """Pulls the plug and counts what became of unflushed writes."""
        for name, counts in self.machine.cut_power(dice).items():
            kind = "lying" if self.disk(name).lies else "honest"
            self.counts.update({f"{kind} {what}": count for what, count in counts.items()})
        self.counts["cuts"] += 1

    def disk(self, name):
        """The disk of this name."""
        return next(disk for disk, _ in self.disks if disk.name == name)

    # ---- what the owner sees

    def wait_until(self, computer, is_so, within_s, what):
        """Waits until the report is as it should be; returns the seconds that it took."""
        since = time.monotonic()
        while True:
            report = computer.status()
            took = time.monotonic() - since
            if report and is_so(report):
                return took
            if took > within_s:
                raise Lost(f"{what} took longer than {within_s} s: {report}")
            time.sleep(0.1)

    # ---- what is on the disks

    def read_apart(self, disk, computer):
        """Reads a disk of a box without power by itself: which confirmed pushes it does not give back, and why."""
        copy, folder = self.place / "copy.img", self.place / f"pulled-{disk.name}"
        subprocess.run(["cp", "--sparse=always", str(disk.medium_path), str(copy)], check=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        # As when it is plugged in elsewhere: the journal is played first. 0 and 1 are an ext4 without damage.
        checked = subprocess.run(["e2fsck", "-p", str(copy)], capture_output=True, text=True)
        subprocess.run(["debugfs", "-R", f'rdump / "{folder}"', str(copy)], capture_output=True)
        wrong = [] if checked.returncode <= 1 else [f"disk {disk.name}: the filesystem is damaged: {checked.stdout}"]
        for confirmed in computer.confirmed:
            to = self.place / f"rescued-{confirmed.snapshot}"
            code, printed, told = computer.run("rescue", str(folder), "--to", str(to),
                                               f"laptop/docs@{confirmed.snapshot}")
            if why := compared(code, printed + told, to, confirmed):
                wrong.append(f"disk {disk.name} alone, {why}")
        copy.unlink()
        shutil.rmtree(folder)
        return wrong


def shows_missing(report):
    """Whether the report says that a disk is missing."""
    return any(condition["code"] == DISK_MISSING for condition in report["health"]["conditions"])
