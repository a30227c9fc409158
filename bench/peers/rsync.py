"""rsync -a --link-dest to an rsync daemon over plain TCP: neither compressed, nor verified, nor deduplicated.

`check` is a dry run with --checksum against the source.

Not here: ssh as its transport, which would measure ssh.
"""
import shutil

from measure.site import output


def installed(tools):
    return shutil.which("rsync") is not None


def version(tools):
    return " ".join(output(["rsync", "--version"]).split()[:3]) + ", daemon"


def url(site):
    return f"rsync://{site.host}:{site.port}/b/"


def server_start(site):
    settings = site.work / "rsyncd.conf"
    settings.write_text(f"use chroot = no\nuid = root\ngid = root\nlog file = /dev/null\nlock file = {site.work}/lock\n"
                        f"[b]\npath = {site.repo}\nread only = no\n")
    return {"inetd": True, "argv": ["rsync", "--daemon", "--config", settings]}


def init(site):
    return []


def backup(site, name):
    before = [f"--link-dest=../{site.made[-1]}"] if site.made else []
    return {"argv": ["rsync", "-a", "--delete", *before, f"{site.src}/", f"{url(site)}{name}/"]}


def snapshots(site):
    return site.made[:]


def listing(site, snap):
    return {"argv": ["rsync", "-r", "--list-only", f"{url(site)}{snap}/"]}


def restore(site, snap, folder, path=None):
    return {"argv": ["rsync", "-a", f"{url(site)}{snap}/{path or ''}", f"{folder}/"]}


def check(site, snap):
    return {"argv": ["rsync", "-anc", f"{site.src}/", f"{url(site)}{snap}/"]}


def prune(site, snaps):
    return {"argv": ["rm", "-rf", *(site.repo / snap for snap in snaps)], "server_side": True}
