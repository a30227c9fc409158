"""`sources`: the Linux kernel's source tree: tens of thousands of small texts.

Second generation: a later patch version of the same kernel, edits topped up to 1 % of the files, 200 deletions, and a
big directory renamed. What is measured here is the cost of each file, and of telling what changed.

Not here: fetching the two trees (`bench/setup` unpacks them from Debian's packages).
"""
import os
import random
import subprocess

from corpora.content import SECOND_TIME, write
from places import ROOT

SIZES = {"quick": ["arch", "fs", "net", "kernel", "mm", "lib", "include", "Documentation"], "full": None}


class NoTree(Exception):
    """The kernel's sources are not there yet."""


def tree(which):
    found = sorted((ROOT / "kernel" / which).glob("linux-source-*"))
    if not found:
        raise NoTree("the kernel's sources are not there; run bench/setup first")
    return found[0]


def versions():
    """Which two kernels, as text."""
    named = ROOT / "kernel" / "versions"
    return named.read_text().strip() if named.exists() else "two patch versions of 6.1"


def make(folder, parts):
    old, new = tree("old"), tree("new")
    live, rng = folder / "live", random.Random(4004)
    tops = parts or sorted(p.name for p in old.iterdir())
    live.mkdir(parents=True)
    for top in tops:
        subprocess.run(["cp", "-a", str(old / top), str(live / top)], check=True)
    plan, same = patch(live, new, folder / "stash2")
    for name in sorted(rng.sample(same, max(0, (len(same) + len(plan)) // 100 - len(plan)))):
        write(folder / "stash2" / name, (live / name).read_bytes() + b"\n/* touched by hand */\n", SECOND_TIME)
        plan.append(["replace", name])
    taken = {change[1] for change in plan}
    plan += [["delete", name] for name in sorted(rng.sample([s for s in same if s not in taken], 200))]
    for top in tops:
        for path in sorted((new / top).rglob("*")) if (new / top).is_dir() else []:
            name = str(path.relative_to(new))
            if path.is_file() and not path.is_symlink() and not os.path.lexists(live / name):
                write(folder / "stash2" / name, path.read_bytes(), SECOND_TIME)
                plan.append(["add", name])
    # Last, as the changes before it name files by where they are in the first generation.
    big = "fs" if parts else "drivers/gpu"
    plan.append(["rename", big, big + "-renamed"])
    return plan


def patch(live, new, stash):
    """What the later version changed or dropped, and the names that it left alone."""
    plan, same = [], []
    for path in sorted(live.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        name = str(path.relative_to(live))
        later = new / name
        if not later.exists():
            plan.append(["delete", name])
        elif later.read_bytes() != path.read_bytes():
            write(stash / name, later.read_bytes(), SECOND_TIME)
            plan.append(["replace", name])
        else:
            same.append(name)
    return plan, same
