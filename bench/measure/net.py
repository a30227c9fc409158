"""The small programs of `net/`: start and measure a process, join a socket, slow a link down.

Not here: what is done with them (`phase.py`, `server.py`, `link.py`).
"""
import subprocess

from places import BENCH, TOOLS


def build():
    """Compiles those that are missing or older than their source."""
    (TOOLS / "bin").mkdir(parents=True, exist_ok=True)
    for source in (BENCH / "net").glob("*.c"):
        binary = TOOLS / "bin" / source.stem
        if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
            subprocess.run(["cc", "-O2", "-pthread", "-o", binary, source], check=True)
