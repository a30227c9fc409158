"""restic to rest-server over plain HTTP, without authentication, settings at their defaults.

Not here: restic's other servers; rest-server is its own.
"""
import json
import re

from measure.site import output


def program(tools):
    return tools / "deb/usr/bin/restic"


def rest_server(tools):
    return tools / "deb/usr/bin/restic-rest-server"


def installed(tools):
    return program(tools).exists() and rest_server(tools).exists()


def version(tools):
    server = re.search(r"\d[\d.]*", output([rest_server(tools), "--version"]))
    return output([program(tools), "version"]).split(" compiled")[0] + f", rest-server {server.group()}"


def server_start(site):
    site.env.update(RESTIC_REPOSITORY=f"rest:http://{site.host}:{site.port}/", RESTIC_PASSWORD=site.password,
                    RESTIC_CACHE_DIR=str(site.state / "cache"))
    return {"argv": [rest_server(site.tools), "--path", site.repo, "--no-auth", "--listen", f"{site.host}:{site.port}"]}


def init(site):
    return [{"argv": [program(site.tools), "init"]}]


def backup(site, name):
    return {"argv": [program(site.tools), "backup", "--tag", name, site.src]}


def snapshots(site):
    listed = json.loads(site.out([program(site.tools), "snapshots", "--json"]))
    return [entry["id"] for entry in sorted(listed, key=lambda entry: entry["time"])]


def listing(site, snap):
    return {"argv": [program(site.tools), "ls", snap]}


def restore(site, snap, folder, path=None):
    argv = [program(site.tools), "restore", f"{snap}:{site.src}", "--target", folder]
    return {"argv": argv + (["--include", "/" + path] if path else [])}


def check(site, snap):
    return {"argv": [program(site.tools), "check", "--read-data"]}


def prune(site, snaps):
    return {"argv": [program(site.tools), "forget", "--prune", *snaps]}
