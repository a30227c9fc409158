"""Corpora of your own: two folders, the second as the first one was some weeks later.

They are copied, so that switching between the two generations can rename, as with every other corpus. What has the same
kind, mode, size, modification time and content in both counts as unchanged: a copy made with `cp -a` or `rsync -a` keeps
it so. Pipes, sockets and devices are left out.

Not here: switching, and what is written down about each generation (`generations.py`).
"""
import filecmp
import os
import stat
import subprocess
from pathlib import Path


def parse(text):
    """(name, first folder, second folder) of `NAME=FIRST[,SECOND]`; without a second one nothing changes."""
    name, _, folders = text.partition("=")
    first, _, second = folders.partition(",")
    if not name.isidentifier() or not first:
        raise ValueError(f"not NAME=FIRST[,SECOND], where the name has only letters, digits and _: {text}")
    for folder in filter(None, (first, second)):
        if not Path(folder).is_dir():
            raise ValueError(f"not a folder: {folder}")
    return name, Path(first), Path(second or first)


def make(place, first, second):
    """Fills `live` and `stash2`, and returns the plan. ValueError for what no plan can say."""
    live, stash = place / "live", place / "stash2"
    old, new = entries(first), entries(second)
    for name in new | old:
        other = second if name in old else first
        if (other / name).is_dir() and not (other / name).is_symlink():
            raise ValueError(f"a folder in one and not in the other: {name}")
    # Holes stay holes: a disk image that a copy had filled with zeros would be another corpus.
    subprocess.run(["cp", "-a", "--sparse=always", first, live], check=True)
    subprocess.run(["find", live, "!", "(", "-type", "f", "-o", "-type", "l", "-o", "-type", "d", ")", "-delete"],
                   check=True)
    plan = [["delete", name] for name in sorted(old - new)]
    for name in sorted(new):
        known = name in old
        if known and is_same(first / name, second / name):
            continue
        (stash / name).parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", "--sparse=always", second / name, stash / name], check=True)
        plan.append(["replace" if known else "add", name])
    return plan


def entries(top):
    """Relative paths of all files and symbolic links."""
    found = set()
    for base, folders, names in os.walk(top):
        for name in folders + names:
            path = os.path.join(base, name)
            if stat.S_IFMT(os.lstat(path).st_mode) in (stat.S_IFREG, stat.S_IFLNK):
                found.add(os.path.relpath(path, top))
    return found


def is_same(old, new):
    before, after = old.lstat(), new.lstat()
    if (before.st_mode, before.st_size, before.st_mtime_ns) != (after.st_mode, after.st_size, after.st_mtime_ns):
        return False
    return os.readlink(old) == os.readlink(new) if stat.S_ISLNK(before.st_mode) else filecmp.cmp(old, new, shallow=False)
