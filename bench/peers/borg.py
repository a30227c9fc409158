"""borg 1.4 to `borg serve` over a plain TCP pipe in place of ssh; repokey-blake2, zstd at level 3.

Not here: borg 2, which is not released.
"""
from measure.site import output


def program(tools):
    return tools / "borg14/bin/borg"


def installed(tools):
    return program(tools).exists()


def version(tools):
    return output([program(tools), "--version"]).strip() + ", without ssh"


def server_start(site):
    site.env.update(BORG_REPO=f"ssh://backup@server{site.repo}/r", BORG_RSH=f"{site.tcpcat} {site.host} {site.port}",
                    BORG_PASSPHRASE=site.password, BORG_BASE_DIR=str(site.state),
                    BORG_REMOTE_PATH=str(program(site.tools)), BORG_RELOCATED_REPO_ACCESS_IS_OK="yes",
                    BORG_CHECK_I_KNOW_WHAT_I_AM_DOING="YES")
    return {"inetd": True, "argv": [program(site.tools), "serve", "--restrict-to-path", site.repo]}


def init(site):
    return [{"argv": [program(site.tools), "init", "-e", "repokey-blake2"]}]


def backup(site, name):
    return {"argv": [program(site.tools), "create", "-C", "zstd,3", "::" + name, "."], "cwd": site.src}


def snapshots(site):
    return site.out([program(site.tools), "list", "--short"]).split()


def listing(site, snap):
    return {"argv": [program(site.tools), "list", "--short", "::" + snap]}


def restore(site, snap, folder, path=None):
    return {"argv": [program(site.tools), "extract", "::" + snap] + ([path] if path else []), "cwd": folder}


def check(site, snap):
    return {"argv": [program(site.tools), "check", "--verify-data"]}


def prune(site, snaps):
    return [{"argv": [program(site.tools), "delete", "::" + snaps[0], *snaps[1:]]},
            {"argv": [program(site.tools), "compact"]}]
