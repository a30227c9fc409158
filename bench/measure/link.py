"""The network between the computer and the box: namespaces of our own, so that every byte on the wire is ours.

`loopback`: both ends in one namespace, on its 127.0.0.1. The others: a namespace for each end, joined by `net/relay.c`,
which holds the rate and the delay; not every kernel brings a link emulator. TCP is the kernel's own, at its defaults.

Not here: the programs at both ends (`server.py`, `phase.py`).
"""
import subprocess
import os

from measure.clocks import cpu_seconds
from places import RELAY

# Mbit/s, one-way delay in us, loss in ppm, queue in KB, 64 KB segments (1) or real packets (0).
LINKS = {"loopback": None, "gbit": (1000, 150, 0, 1024, 1), "wifi": (100, 2500, 0, 512, 0)}
WORDS = {"loopback": "both ends on one loopback device",
         "gbit": "a link of 1 Gbit/s, round trip 0.3 ms",
         "wifi": "a link of 100 Mbit/s, round trip 5 ms"}


def command(*argv, check=True):
    return subprocess.run(argv, check=check, capture_output=True, text=True).stdout


class Link:
    def __init__(self, kind):
        self.kind, self.relay = kind, None
        tag = f"lb{os.getpid()}"
        self.server_ns = tag + "s"
        self.client_ns = self.server_ns if kind == "loopback" else tag + "c"
        for ns in sorted({self.server_ns, self.client_ns}):
            command("ip", "netns", "add", ns)
            command("ip", "-n", ns, "link", "set", "lo", "up")
        self.host, self.device = "127.0.0.1", "lo"
        if LINKS[kind]:
            self.join(LINKS[kind])

    def join(self, shape):
        self.host, self.device = "10.99.0.1", "pb0"
        self.relay = subprocess.Popen([RELAY, self.server_ns, self.client_ns, *map(str, shape), "7"],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.relay.stdout.readline().strip() != "ready":
            raise RuntimeError("the relay did not start")
        for ns, address in ((self.server_ns, "10.99.0.1"), (self.client_ns, "10.99.0.2")):
            command("ip", "-n", ns, "addr", "add", address + "/24", "dev", "pb0")
            command("ip", "-n", ns, "link", "set", "pb0", "mtu", "1500", "txqueuelen", "1000", "up")

    def wire_bytes(self):
        """Both ways, at the client's device."""
        devices = command("ip", "netns", "exec", self.client_ns, "cat", "/proc/net/dev")
        for line in devices.splitlines():
            name, _, counts = line.partition(":")
            if name.strip() == self.device:
                received, sent = int(counts.split()[0]), int(counts.split()[8])
                return sent if self.kind == "loopback" else received + sent
        raise RuntimeError(f"no device {self.device}")

    def relay_cpu(self):
        return cpu_seconds(self.relay.pid) if self.relay else 0.0

    def relay_counts(self):
        """Packets, bytes, lost, dropped at a full queue: to the client, then from it."""
        if not self.relay:
            return None
        self.relay.stdin.write("\n")
        self.relay.stdin.flush()
        return [int(word) for word in self.relay.stdout.readline().split()]

    def close(self):
        if self.relay:
            self.relay.terminate()
            self.relay.wait()
        for ns in sorted({self.server_ns, self.client_ns}):
            command("ip", "netns", "del", ns, check=False)
