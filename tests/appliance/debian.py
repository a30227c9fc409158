"""What the test takes from Debian: qemu, installed; the guest's kernel and programs, unpacked and never installed.

A private apt with lists of its own fetches both, so that the machine's sources, lists and architectures stay as they
are. qemu comes from the backports where the release has them: a machine may have newer qemu tools than its release's
own qemu goes with, and apt would then remove those (`--no-remove` makes that an error). The result lies in the cache
and is made again where it is missing. Not here: what becomes of the packages (`guest`).
"""
import fcntl
import os
import re
import shutil
import subprocess
from pathlib import Path

from trouble import Trouble

ARCH = "arm64"
# The C library that larderd is linked with, and what makes a system of it.
PACKAGES = ["busybox-static", "libc6", "libgcc-s1"]
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def cache():
    """The folder for what takes time to make; nothing in it is needed."""
    named = os.environ.get("LARDER_CACHE")
    base = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "larder"
    return base / "appliance"


def say(text):
    """Tells what takes its time."""
    print(f"appliance: {text}", flush=True)


def run(*words, **more):
    """Runs a program that must succeed; returns what it printed."""
    done = subprocess.run(words, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
    if done.returncode != 0:
        raise Trouble(f"{' '.join(words[:3])} failed: {done.stderr.strip()[-400:]}")
    return done.stdout


class Apt:
    """An apt for one architecture with lists of its own."""

    def __init__(self, folder, arch, suites, status="/dev/null", preferences=""):
        self.folder = Path(folder)
        for name in ("lists/partial", "archives/partial", "none", "debs"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        lines = [f"deb [signed-by={KEYRING}] {site_of(suite)} {suite} main\n" for suite in suites]
        (self.folder / "sources.list").write_text("".join(lines))
        (self.folder / "pin").write_text(preferences)
        conf = f"""
            APT::Architecture "{arch}"; APT::Architectures {{ "{arch}"; }}; APT::Sandbox::User "root";
            Dir::Etc::sourcelist "{self.folder}/sources.list"; Dir::Etc::sourceparts "{self.folder}/none";
            Dir::Etc::preferences "{self.folder}/pin"; Dir::Etc::preferencesparts "{self.folder}/none";
            Dir::State::lists "{self.folder}/lists"; Dir::State::status "{status}";
            Dir::Cache "{self.folder}"; Dir::Cache::archives "{self.folder}/archives";
            Acquire::Languages "none"; Acquire::Retries "2"; DPkg::Lock::Timeout "300";
        """
        (self.folder / "apt.conf").write_text(conf)
        self.environment = {**os.environ, "APT_CONFIG": str(self.folder / "apt.conf"),
                            "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
        # An index that cannot be had is told by whoever misses a package from it.
        subprocess.run(["apt-get", "-qq", "update"], env=self.environment, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)

    def get(self, *words, **more):
        """Runs apt-get."""
        return run("apt-get", "-qq", *words, env=self.environment, **more)

    def depends(self, package, pattern):
        """The first package that `package` depends on and whose name looks so."""
        listed = run("apt-cache", "depends", package, env=self.environment)
        found = re.search(rf"Depends: ({pattern})", listed)
        if not found:
            raise Trouble(f"Debian's {package} for {ARCH} names no {pattern}; its mirror may be half way through an "
                          "update: try again in an hour")
        return found.group(1)


def release():
    """Code name of this machine's Debian."""
    facts = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    code = facts.get("VERSION_CODENAME", "").strip('"')
    if facts.get("ID", "").strip('"') != "debian" or not code or not shutil.which("apt-get"):
        raise Trouble("this test takes its guest from Debian's packages: run it on Debian 12 or newer")
    return code


def site_of(suite):
    """The machine's own mirror of a suite, or of the release that it belongs to."""
    listed = run("apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)", "Created-By: Packages")
    sites = dict(line.split(" ", 1) for line in reversed(listed.splitlines()) if " " in line)
    return sites.get(suite) or sites.get(suite.removesuffix("-backports")) or "https://deb.debian.org/debian"


def install_tools():
    """qemu, and mke2fs where it is missing."""
    wanted = {"qemu-system-aarch64": "qemu-system-arm", "mke2fs": "e2fsprogs"}
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    os.environ["PATH"] = path
    missing = [package for program, package in wanted.items() if not shutil.which(program)]
    if not missing:
        return
    code = release()
    if os.geteuid() != 0:
        raise Trouble(f"missing: {', '.join(missing)}. Install {'them' if missing[1:] else 'it'} (qemu from "
                      f"{code}-backports), or run this as root")
    say(f"installing {' '.join(missing)}")
    folder = cache() / "apt-tools"
    # Only qemu is raised to the backport: everything else stays what the release says.
    pin = f"Package: src:qemu\nPin: release n={code}-backports\nPin-Priority: 990\n"
    host = run("dpkg", "--print-architecture").strip()
    apt = Apt(folder, host, [code, f"{code}-backports"], "/var/lib/dpkg/status", pin)
    apt.get("install", "-y", "--no-install-recommends", "--no-remove", *missing)
    shutil.rmtree(folder)


def unpacked():
    """The folder with the guest's packages unpacked, and the version of its kernel."""
    root = cache() / f"root-{ARCH}"
    done = root / "kernel-version"
    root.parent.mkdir(parents=True, exist_ok=True)
    # Two tests at once would unpack over each other.
    with open(root.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            unpack(root.with_suffix(".new"))
            shutil.rmtree(root, ignore_errors=True)
            root.with_suffix(".new").rename(root)
    return root, done.read_text()


def unpack(root):
    """Fetches the newest kernel of the release and what else the guest needs."""
    code = release()
    say(f"fetching Debian's kernel for {ARCH} (once; 70 MB)")
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    folder = cache() / f"apt-{ARCH}"
    apt = Apt(folder, ARCH, [code])
    kernel = apt.depends(f"linux-image-{ARCH}", r"linux-image-[^\s:]*")
    apt.get("download", kernel, *PACKAGES, cwd=folder / "debs")
    for package in sorted((folder / "debs").glob("*.deb")):
        run("dpkg", "-x", str(package), str(root))
    shutil.rmtree(folder)
    (root / "kernel-version").write_text(kernel.removeprefix("linux-image-"))
