"""Processor time and peak memory of a running process, and how busy the whole machine is.

A process's own clock is read through the kernel's clock interface, in nanoseconds: /proc counts in hundredths of a
second, which is more than a whole backup without changes takes.

Not here: processes that have ended; their parent `net/runx.c` reports those.
"""
import os
import time

TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """Of the process with all its threads, and of its children that have ended."""
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    children = (int(fields[13]) + int(fields[14])) / TICK
    # The kernel's encoding of "the processor clock of process PID" (clock_getcpuclockid).
    return time.clock_gettime((~pid << 3) | 2) + children


def forget_peak(pid):
    """From here on `peak_kb` counts anew."""
    with open(f"/proc/{pid}/clear_refs", "w") as f:
        f.write("5")


def peak_kb(pid):
    return field(f"/proc/{pid}/status", "VmHWM:")


def written_bytes(pid):
    return field(f"/proc/{pid}/io", "write_bytes:")


def field(path, key):
    with open(path) as f:
        return next((int(line.split()[1]) for line in f if line.startswith(key)), 0)


def machine_busy():
    """Seconds of all cores, since boot, that were neither idle nor waiting for a disk."""
    with open("/proc/stat") as f:
        fields = list(map(int, f.readline().split()[1:9]))
    return (sum(fields) - fields[3] - fields[4]) / TICK
