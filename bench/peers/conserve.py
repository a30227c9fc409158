"""conserve to a local folder, settings at their defaults; it has neither a server nor encryption.

Not here: anything on the wire.
"""
from measure.site import output


def program(tools):
    return tools / "cargo/bin/conserve"


def installed(tools):
    return program(tools).exists()


def version(tools):
    return output([program(tools), "--version"]).strip() + ", local"


def server_start(site):
    return None


def init(site):
    return [{"argv": [program(site.tools), "init", site.repo / "a"]}]


def backup(site, name):
    return {"argv": [program(site.tools), "backup", "--no-progress", site.repo / "a", site.src]}


def snapshots(site):
    return site.out([program(site.tools), "versions", "--short", site.repo / "a"]).split()


def listing(site, snap):
    return {"argv": [program(site.tools), "ls", "-b", snap, site.repo / "a"]}


def restore(site, snap, folder, path=None):
    argv = [program(site.tools), "restore", "--no-progress", "-b", snap, site.repo / "a", folder / "r"]
    if path:
        # With --only it does not make the folders above the file.
        (folder / "r" / path).parent.mkdir(parents=True)
        argv += ["--force-overwrite", "--only", "/" + path]
    return {"argv": argv}


def restored_root(site, folder):
    return folder / "r"


def check(site, snap):
    return {"argv": [program(site.tools), "validate", "--no-progress", site.repo / "a"]}


def prune(site, snaps):
    doomed = [word for snap in snaps for word in ("-b", snap)]
    return {"argv": [program(site.tools), "delete", "--no-progress", *doomed, site.repo / "a"]}
