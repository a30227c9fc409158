"""The end at the box: one daemon, or one process for each connection, measured from one phase to the next.

A daemon's clocks are read while it runs. Of processes that come and go with each connection, `net/runx.c` writes a
line when each ends, with what the kernel counted.

Not here: what is run (a peer's `server_start`), and the client's end (`phase.py`).
"""
import json
import os
import subprocess
import sys
import time

from measure import clocks
from places import RUNX

ANSWER_SECONDS = 30


class ServerEnded(Exception):
    """It must run from first to last; a small box may have killed it."""


class Server:
    """`spec`: None for a local program, else {"argv", "env", "inetd"} (bench/README.md, "Adding a peer")."""

    def __init__(self, site, spec, link, box):
        self.spec, self.process = spec, None
        self.usage, self.log = site.work / "server-usage", site.work / "server.log"
        if not spec:
            return
        where = ["-n", link.server_ns, *box.join]
        if spec.get("inetd"):
            argv = [RUNX, "inetd", *where, "-o", self.usage, "-l", f"{site.host}:{site.port}", "--", *spec["argv"]]
        else:
            argv = [RUNX, "exec", *where, "--", *spec["argv"]]
        log = open(self.log, "ab")
        self.process = subprocess.Popen(list(map(str, argv)), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                        env={**os.environ, **site.env, **spec.get("env", {})})
        self.wait_until_it_answers(site, link)

    def wait_until_it_answers(self, site, link):
        knock = f"import socket; socket.create_connection(('{site.host}', {site.port}), 2)"
        until = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < until:
            tried = subprocess.run([RUNX, "exec", "-n", link.client_ns, "--", sys.executable, "-c", knock],
                                   capture_output=True)
            if tried.returncode == 0:
                return
            self.must_run()
            time.sleep(0.1)
        raise ServerEnded("the server does not answer")

    def must_run(self):
        if self.process and self.process.poll() is not None:
            raise ServerEnded(f"the server ended with {self.process.returncode}: {self.log.read_text()[-500:]}")

    def ended(self):
        """What ended processes used; waits until none is running."""
        lines = []
        for _ in range(3000):
            lines = self.usage.read_text().splitlines() if self.usage.exists() else []
            done = [json.loads(line) for line in lines if line.startswith("{")]
            if len(done) >= sum(line.startswith("start") for line in lines):
                return done
            time.sleep(0.02)
        raise ServerEnded("a connection's process does not end")

    def mark(self):
        """A point in time, for `since`."""
        if not self.process:
            return None
        self.must_run()
        if self.spec.get("inetd"):
            return len(self.ended())
        clocks.forget_peak(self.process.pid)
        return clocks.cpu_seconds(self.process.pid), clocks.written_bytes(self.process.pid)

    def since(self, mark):
        """CPU seconds, peak KB and bytes written since `mark`."""
        if not self.process:
            return {"cpu": 0.0, "rss_kb": 0, "written": 0}
        self.must_run()
        if self.spec.get("inetd"):
            ends = self.ended()[mark:]
            return {"cpu": sum(x["user"] + x["sys"] for x in ends),
                    "rss_kb": max((x["maxrss_kb"] for x in ends), default=0),
                    "written": 512 * sum(x["out_blocks"] for x in ends)}
        pid = self.process.pid
        return {"cpu": clocks.cpu_seconds(pid) - mark[0], "rss_kb": clocks.peak_kb(pid),
                "written": clocks.written_bytes(pid) - mark[1]}

    def stop(self):
        if not self.process:
            return
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
