"""Larder: `larder` to `larderd` over HTTP, settings at their defaults, a plain folder as its disk, MQTT off. The agent has
the environment that its systemd unit gives it.

Connections are not encrypted yet, as with every peer here.

Check is a whole round of reading on the appliance, of packs, ledger and whatever parity there is already. Not here:
prune, since no command lets go of what the rule keeps.
"""
import json
import os
import subprocess
from pathlib import Path

from measure.site import output
from places import PROJECT

BINARIES = Path(os.environ.get("LARDER_BIN_DIR") or PROJECT / "target" / "release").resolve()
AGENT, CLIENT = BINARIES / "larderd", BINARIES / "larder"
SETTINGS = """[network]
listen = "{host}:{port}"
[vault]
disks = ["{repo}"]
allow_root_filesystem = true
[mqtt]
enabled = false
"""


UNIT = PROJECT / "systemd" / "larderd.service"
# Made hours later, when the box has nothing else to do, against bad sectors; no peer has any, so it is told apart.
REDUNDANCY = ".parity"


def build():
    """Builds both ends, unless somebody else did."""
    if not os.environ.get("LARDER_BIN_DIR"):
        subprocess.run(["cargo", "build", "--release", "-p", "larder-agent", "-p", "larder-client"], cwd=PROJECT,
                       check=True)


def installed(tools):
    return AGENT.exists() and CLIENT.exists()


def version(tools):
    return output([CLIENT, "--version"]).strip()


def server_start(site):
    settings = site.state / "larder.toml"
    settings.write_text(SETTINGS.format(host=site.host, port=site.port, repo=site.repo))
    return {"argv": ["env", *environment(), AGENT, "run", "--config", settings]}


def environment():
    """`NAME=VALUE` as the unit says."""
    lines = UNIT.read_text().splitlines()
    return [line.removeprefix("Environment=") for line in lines if line.startswith("Environment=")]


def init(site):
    code = f"'{AGENT}' pair --device bench --role admin --config '{site.state}/larder.toml'"
    pair = f"'{CLIENT}' pair {site.host}:{site.port}"
    return [{"argv": ["bash", "-c", f"set -o pipefail; {code} | {pair}"]}]


def backup(site, name):
    return {"argv": [CLIENT, "push", site.src, "--source", "bench"]}


def snapshots(site):
    listed = json.loads(site.out([CLIENT, "snapshots", "bench/bench", "--json"]))
    return sorted(entry["snapshot"] for entry in listed)


def listing(site, snap):
    return {"argv": [CLIENT, "ls", f"bench/bench@{snap}"]}


def restore(site, snap, folder, path=None):
    return {"argv": [CLIENT, "restore", f"bench/bench@{snap}" + (f":{path}" if path else ""), "--to", folder]}


def check(site, snap):
    return {"argv": [AGENT, "scrub", "--config", site.state / "larder.toml"]}
