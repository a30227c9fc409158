"""One phase of one peer: runs its commands and says what both ends used.

Caches are dropped first, so every peer reads its files from the disk. What others did on the machine meanwhile is
counted too, so that a disturbed reading can be told from a slow program.

Not here: which phases there are, and in which order (`cell.py`).
"""
import json
import os
import subprocess
import time

from measure.clocks import machine_busy
from measure.disk import drop_caches
from places import RUNX

TIMEOUT_SECONDS = 3600
ERROR_BYTES = 400


def measure(site, server, link, commands):
    """`commands`: one or several {argv, env, cwd, stdout, server_side, ok}; together they are the phase.

    Seconds, KB and bytes. "rc" is 0 or what went wrong.
    """
    drop_caches()
    mark, busy, wire, relay = server.mark(), machine_busy(), link.wire_bytes(), link.relay_cpu()
    row = dict(wall=0.0, client_cpu=0.0, client_rss_kb=0, client_written=0,
               server_cpu=0.0, server_rss_kb=0, server_written=0, rc=0)
    for command in [commands] if isinstance(commands, dict) else commands:
        used = run(site, command)
        if used is None:
            row.update(rc="timeout", error=f"ended after {TIMEOUT_SECONDS} s")
            break
        end = "server" if command.get("server_side") else "client"
        row["wall"] += used["wall"]
        row[end + "_cpu"] += used["user"] + used["sys"]
        row[end + "_rss_kb"] = max(row[end + "_rss_kb"], used["maxrss_kb"])
        row[end + "_written"] += used["out_blocks"] * 512
        if used["rc"] not in command.get("ok", (0,)):
            row.update(rc=used["rc"], error=site.errors.read_text(errors="replace")[-ERROR_BYTES:])
            break
    spent = server.since(mark)
    row["server_cpu"] += spent["cpu"]
    row["server_rss_kb"] = max(row["server_rss_kb"], spent["rss_kb"])
    row["server_written"] += spent["written"]
    began = time.monotonic()
    subprocess.run(["sync", "-f", site.work], check=True)
    row["sync_after"] = time.monotonic() - began
    row["wire_bytes"] = link.wire_bytes() - wire
    ours = row["client_cpu"] + row["server_cpu"] + link.relay_cpu() - relay
    row["other_cores"] = max(0.0, machine_busy() - busy - ours) / max(row["wall"] + row["sync_after"], 0.1)
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}


def run(site, command):
    """What the command used, or None if it had to be ended."""
    usage = site.work / "client-usage"
    usage.unlink(missing_ok=True)
    site.errors.write_bytes(b"")
    where = [] if command.get("server_side") else site.client
    argv = [RUNX, "run", *where, "-o", usage, "--", *command["argv"]]
    with open(command.get("stdout", os.devnull), "wb") as out, open(site.errors, "ab") as errors:
        process = subprocess.Popen(list(map(str, argv)), cwd=command.get("cwd"), stdin=subprocess.DEVNULL, stdout=out,
                                   stderr=errors, env={**os.environ, **site.env, **command.get("env", {})})
        try:
            process.wait(TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return None
    return json.loads(usage.read_text())
