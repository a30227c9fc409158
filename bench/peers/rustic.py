"""rustic to rest-server over plain HTTP, settings at their defaults.

Prune with --instant-delete: without it nothing is freed for a day.

Not here: rustic's own server.
"""
import json

from measure.site import output
from peers.restic import rest_server


def program(tools):
    return tools / "cargo/bin/rustic"


def installed(tools):
    return program(tools).exists() and rest_server(tools).exists()


def version(tools):
    return output([program(tools), "--version"]).strip() + ", rest-server"


def server_start(site):
    site.env.update(RUSTIC_REPOSITORY=f"rest:http://{site.host}:{site.port}/", RUSTIC_PASSWORD=site.password,
                    RUSTIC_CACHE_DIR=str(site.state / "cache"), RUSTIC_NO_PROGRESS="true")
    return {"argv": [rest_server(site.tools), "--path", site.repo, "--no-auth", "--listen", f"{site.host}:{site.port}"]}


def init(site):
    return [{"argv": [program(site.tools), "init"]}]


def backup(site, name):
    return {"argv": [program(site.tools), "backup", "--tag", name, site.src]}


def entries(tree):
    """The snapshots in rustic's answer, which nests them in groups."""
    if isinstance(tree, dict):
        if "id" in tree and "time" in tree:
            return [tree]
        tree = tree.values()
    elif not isinstance(tree, list):
        return []
    return [entry for part in tree for entry in entries(part)]


def snapshots(site):
    listed = entries(json.loads(site.out([program(site.tools), "snapshots", "--json"])))
    return [entry["id"] for entry in sorted(listed, key=lambda entry: entry["time"])]


def listing(site, snap):
    return {"argv": [program(site.tools), "ls", snap]}


def restore(site, snap, folder, path=None):
    return {"argv": [program(site.tools), "restore", f"{snap}:{site.src}" + (f"/{path}" if path else ""), folder]}


def check(site, snap):
    return {"argv": [program(site.tools), "check", "--read-data"]}


def prune(site, snaps):
    return {"argv": [program(site.tools), "forget", "--prune", "--instant-delete", *snaps]}
