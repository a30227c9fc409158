"""The small box: the server held to the memory and processor of a small board, by a cgroup of its own (v1 or v2).

Memory counts with the page cache, as on a board. Half a core of this machine still says little about a board's core;
what shows here is whether a server gets by, not how long a board takes.

Not here: the clients, which stay free, as laptops are.
"""
import os
from pathlib import Path

MEMORY_BYTES = 256 << 20
CPU_PERCENT = 50
WORDS = "the server held to 256 MiB and half a core"
TOP = Path("/sys/fs/cgroup")
READINGS = ("cpu.stat", "memory.max_usage_in_bytes", "memory.failcnt", "memory.peak", "memory.events")


class Box:
    """`join` are the arguments that make `net/runx.c` start a program inside."""

    def __init__(self, small):
        self.groups = make_groups(f"larderbench{os.getpid()}") if small else []
        self.join = [word for group in self.groups for word in ("-g", str(group))]

    def close(self):
        """Takes the cgroup away; returns what it counted."""
        counted = {}
        for group in self.groups:
            for name in READINGS:
                if (group / name).exists():
                    counted[name] = (group / name).read_text().split()
            try:
                group.rmdir()
            except OSError:
                print(f"a cgroup stays behind, something still runs in it: {group.name}", flush=True)
        return counted


def make_groups(name):
    if (TOP / "memory").is_dir():
        cpu, memory = TOP / "cpu" / name, TOP / "memory" / name
        cpu.mkdir(exist_ok=True)
        memory.mkdir(exist_ok=True)
        (cpu / "cpu.cfs_period_us").write_text("100000")
        (cpu / "cpu.cfs_quota_us").write_text(str(CPU_PERCENT * 1000))
        (memory / "memory.limit_in_bytes").write_text(str(MEMORY_BYTES))
        return [cpu, memory]
    # Without this the new group has no cpu.max and no memory.max.
    (TOP / "cgroup.subtree_control").write_text("+cpu +memory")
    group = TOP / name
    group.mkdir(exist_ok=True)
    (group / "cpu.max").write_text(f"{CPU_PERCENT * 1000} 100000")
    (group / "memory.max").write_text(str(MEMORY_BYTES))
    return [group]
