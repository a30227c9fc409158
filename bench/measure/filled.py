"""An agent on a new disk whose vault another program filled.

Not here: what fills a vault, what is asked of the agent.
"""
import json
import subprocess
import time

from measure.box import Box
from measure.disk import drop_disk, fresh_disk
from measure.link import Link
from measure.server import Server
from measure.site import Site
from peers import larder

# As the unit starts the agent.
AGENT_ENV = {"MALLOC_ARENA_MAX": "1"}
SHOWN_WITHIN_S = 120


class Filled:
    """`fill` writes a vault's `disk` and `index` into the folder that it is given; without it the vault is empty."""

    def __init__(self, fill=None):
        work = fresh_disk()
        self.link, self.box = Link("loopback"), Box(False)
        self.site = Site(work, work, self.link.host, self.link.client_ns)
        if fill:
            filled = work / "filled"
            filled.mkdir()
            fill(filled)
            (filled / "disk").rename(self.site.repo / "larder")
            (filled / "index").rename(self.site.repo / "larder" / "index")
        began = time.monotonic()
        self.server = Server(self.site, {**larder.server_start(self.site), "env": AGENT_ENV}, self.link, self.box)
        # It answers a moment before it takes orders, and takes orders a moment before it shows its disks.
        ask = [larder.AGENT, "disks", "--json", "--config", self.site.state / "larder.toml"]
        shown = []
        while not shown:
            self.server.must_run()
            if time.monotonic() > began + SHOWN_WITHIN_S:
                raise RuntimeError("the agent shows no disk")
            asked = subprocess.run(ask, capture_output=True)
            shown = json.loads(asked.stdout)["disks"] if asked.returncode == 0 else []
            time.sleep(0 if shown else 0.1)
        self.start_s = time.monotonic() - began
        if len(shown) != 1:
            raise RuntimeError(f"the agent does not use the vault that was filled: {shown}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.stop()
        self.link.close()
        self.box.close()
        drop_disk()

    def pair(self, device, role="push"):
        """The environment in which the programs are those of `device`."""
        home = self.site.state / device
        env = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "XDG_CONFIG_HOME": str(home / "config"),
               "XDG_STATE_HOME": str(home / "state")}
        home.mkdir()
        code = f"'{larder.AGENT}' pair --device {device} --role {role} --config '{self.site.state}/larder.toml'"
        command = f"set -o pipefail; {code} | '{larder.CLIENT}' pair {self.site.host}:{self.site.port}"
        self.site.out(["bash", "-c", command], env)
        return env
