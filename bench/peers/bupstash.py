"""bupstash to `bupstash serve` over a plain TCP pipe in place of ssh, settings at their defaults.

Not here: a check of its own, which it has not; `check` reads one whole backup back through the server instead.
"""
import json

from measure.site import output


def program(tools):
    return tools / "cargo/bin/bupstash"


def installed(tools):
    return program(tools).exists()


def version(tools):
    return output([program(tools), "--version"]).strip().replace("-", " ") + ", without ssh"


def server_start(site):
    site.env.update(BUPSTASH_REPOSITORY_COMMAND=f"{site.tcpcat} {site.host} {site.port}",
                    BUPSTASH_KEY=str(site.state / "key"))
    return {"inetd": True, "argv": [program(site.tools), "serve", site.repo / "r"]}


def init(site):
    return [{"argv": [program(site.tools), "new-key", "-o", site.state / "key"]},
            {"argv": [program(site.tools), "init"]}]


def backup(site, name):
    return {"argv": [program(site.tools), "put", "-q", f"name={name}", site.src]}


def snapshots(site):
    lines = site.out([program(site.tools), "list", "--format", "jsonl1"]).splitlines()
    listed = [json.loads(line) for line in lines if line.strip()]
    return [entry["id"] for entry in sorted(listed, key=lambda entry: entry.get("unix_timestamp_millis", 0))]


def listing(site, snap):
    return {"argv": [program(site.tools), "list-contents", "-q", f"id={snap}"]}


def restore(site, snap, folder, path=None):
    if path:
        return {"argv": [program(site.tools), "get", "-q", "--pick", path, f"id={snap}"],
                "stdout": folder / path.rsplit("/", 1)[-1]}
    return {"argv": [program(site.tools), "restore", "-q", "--into", folder, f"id={snap}"]}


def check(site, snap):
    return {"argv": [program(site.tools), "get", "-q", f"id={snap}"]}


def prune(site, snaps):
    return [*({"argv": [program(site.tools), "rm", "-q", f"id={snap}"]} for snap in snaps),
            {"argv": [program(site.tools), "gc", "-q"]}]
