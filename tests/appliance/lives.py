"""Lives of a box: what is done to it, in an order that a seed decides, and what must hold afterwards.

After each cut of the power the box must come back without anybody's hand, give back what it confirmed, and take the
next push. At the end each honest disk is read alone: every confirmed push must be on it. Not here: how it is done.
"""
import random
import time
from dataclasses import dataclass

from box import FILLED_WITHIN_S, SHOWN_WITHIN_S, Box, Lost, shows_missing
from computer import Computer, Load
from debian import say

# When the power goes: so long after something began, or when a disk should flush after so many operations from then on.
# The first meets what takes long, the second what is over in no time: a flush that was asked for and did not happen.
IN_PUSHES = {"seconds": 4.0, "operations": 120}
# From before the kernel runs to after the agent answers.
COMING_BACK = {"seconds": 6.0, "operations": 40}
FILLING = {"seconds": 6.0, "operations": 40}
# A disk that has nothing more to do lets the power go on time.
OPERATIONS_WITHIN_S = 10
CUT_AGAIN = 0.35
# The box gives back that many older pushes in the end; all of them are read from its disks, which is much faster.
OLDER_AT_THE_END = 5
# Nothing can be lost before something is confirmed.
LIAR_PUSHES = 3


@dataclass(frozen=True)
class Kind:
    """A kind of life: its disks (name, how they are plugged in, whether they lie)."""

    name: str
    disks: tuple
    may_be_pulled: str = ""
    # Cuts in one life. A liar soon ruins its own filesystem; from then on it would be a box with one disk.
    cuts_max: int = 8


KINDS = (
    Kind("three disks, one of them on USB", (("a", "virtio", False), ("b", "usb", False), ("c", "virtio", False)), "b"),
    # The first disk holds the index and is the first that is asked.
    Kind("two disks, the first lies about flushes", (("a", "virtio", True), ("b", "virtio", False)), cuts_max=2),
    Kind("one disk", (("a", "virtio", False),)),
    Kind("two disks, the second lies about flushes", (("a", "virtio", False), ("b", "virtio", True)), cuts_max=2),
)
LIAR = Kind("a single disk that lies", (("a", "virtio", True),))


class Life:
    """One box from its first start to its last cut, and one computer."""

    def __init__(self, kind, seed, place, guest, client):
        self.kind, self.dice = kind, random.Random(seed)
        place.mkdir(parents=True)
        self.box = Box(place, guest, kind.disks)
        self.computer = Computer(place, client, random.Random(self.dice.random()))
        self.counts = self.box.counts
        self.proven = 0

    def all_healthy(self, report):
        """Whether every disk is there and complete."""
        return [disk["state"] for disk in report["disks"]] == ["healthy"] * len(self.box.disks)

    def begin(self):
        """Switches the box on for the first time and pairs the computer."""
        self.box.start()
        self.box.pair(self.computer)

    def cut_power(self, seconds, operations):
        """Cuts the power at some moment within so many seconds, or at some disk's flush after so many operations."""
        if self.dice.random() < 0.5:
            time.sleep(self.dice.uniform(0.1, seconds))
        else:
            disk, _ = self.dice.choice(self.box.disks)
            disk.stand_still_from(self.dice.randint(1, operations))
            self.counts["cuts at a flush"] += disk.wait_until_still(OPERATIONS_WITHIN_S)
        self.counts["cuts in a push"] += self.computer.is_pushing()
        self.box.cut_power(self.dice)

    def round(self):
        """One cut under load, perhaps another while the box comes back, and everything that must hold after it."""
        load = Load(self.computer)
        self.cut_power(**IN_PUSHES)
        load.stop()
        if self.dice.random() < CUT_AGAIN:
            self.box.machine.start()
            self.cut_power(**COMING_BACK)
            self.counts["cuts while coming back"] += 1
        took = self.box.start()
        load.wait()
        self.prove()
        say(f"{self.kind.name}: cut {self.counts['cuts']}, back after {took:.1f} s, "
            f"{len(self.computer.confirmed)} pushes confirmed")

    def prove(self, older=1):
        """The box gives back the newest push that it confirmed, and some of those before."""
        if self.computer.failures:
            raise Lost("; ".join(self.computer.failures))
        newest, before = self.computer.confirmed[-1:], self.computer.confirmed[:-1]
        for confirmed in newest + self.dice.sample(before, min(older, len(before))):
            if why := self.computer.comes_back(confirmed):
                raise Lost(why)
            self.proven += 1

    def pull_and_put_back(self):
        """Pulls a disk in the middle of a push and puts it back: shown in time, nothing lost, filled by itself."""
        disk = self.box.disk(self.kind.may_be_pulled)
        before = self.computer.unconfirmed
        self.box.wait_until(self.computer, lambda report: not shows_missing(report), FILLED_WITHIN_S, "being fine")
        load = Load(self.computer)
        time.sleep(self.dice.uniform(0.5, 1.5))
        self.counts.update({"unplugs": 1, "unplugs in a push": self.computer.is_pushing()})
        self.box.machine.unplug(disk, self.dice)
        shown = self.box.wait_until(self.computer, shows_missing, SHOWN_WITHIN_S, "showing that a disk is missing")
        load.wait()
        self.computer.change()
        if not self.computer.push() or self.computer.unconfirmed > before:
            raise Lost(f"a push is not taken while a disk is away: {self.computer.told}")
        if not self.computer.confirmed[-1].degraded:
            raise Lost("a receipt does not say that a disk was missing")
        self.prove()
        how = self.put_back(disk)
        filled = self.box.wait_until(self.computer, self.all_healthy, FILLED_WITHIN_S, "filling the disk that is back")
        say(f"{self.kind.name}: {disk.name} pulled, shown after {shown:.1f} s; {how}, complete after {filled:.1f} s")

    def put_back(self, disk):
        """Puts a disk back in one of the ways that owners do; the first time in the plainest."""
        way = self.dice.randrange(3) if self.counts["unplugs"] > 1 else 0
        if way == 2:
            self.box.cut_power(self.dice)
            self.box.start()
            return "put back with the power off"
        self.box.machine.plug(disk)
        if way == 1:
            self.cut_power(**FILLING)
            self.box.start()
            return "put back, the power cut while it was filled"
        return "put back"

    def end(self):
        """The next push works, all that was ever confirmed comes back from the box and from each honest disk alone."""
        honest = [disk for disk, _ in self.box.disks if not disk.lies]
        if len(honest) == len(self.box.disks):
            self.box.wait_until(self.computer, self.all_healthy, FILLED_WITHIN_S, "filling the disks")
        self.computer.change()
        if not self.computer.push():
            raise Lost(f"the last push is not taken: {self.computer.told}")
        self.prove(OLDER_AT_THE_END)
        self.box.machine.cut_power(self.dice)
        for disk in honest:
            if wrong := self.box.read_apart(disk, self.computer):
                raise Lost("; ".join(wrong))
            self.proven += len(self.computer.confirmed)

    def live(self, cuts, unplugs):
        """A whole life. `Lost` tells what was lost."""
        try:
            self.begin()
            for _ in range(unplugs):
                self.pull_and_put_back()
            while self.counts["cuts"] < cuts:
                self.round()
            self.end()
        finally:
            self.box.machine.stop()

    def loss_of_a_liar(self):
        """What a cut of a box whose only disk lies is seen to lose; nothing where it was lucky."""
        try:
            self.begin()
            while len(self.computer.confirmed) < LIAR_PUSHES:
                self.computer.change()
                self.computer.push()
            self.box.machine.cut_power(self.dice)
            return self.box.read_apart(self.box.disks[0][0], self.computer)
        finally:
            self.box.machine.stop()
