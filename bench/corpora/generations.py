"""The corpora, each with two generations at the same path: what a computer holds today, and some weeks later.

Each folder in `CORPORA/PROFILE/NAME` holds
    live/                what is backed up
    stash1/ stash2/      the files that only the first or only the second generation has
    plan.json            the changes that turn the first into the second
    gen1.json gen2.json  path -> [mode, size, mtime in whole seconds, BLAKE3 or target of the link]
Switching only renames, so an unchanged file keeps inode, mtime and ctime, as on a real disk. Without that, every
program would read every file again and "no change" would measure nothing.

Not here: the content (one file for each corpus beside this one).
"""
import importlib
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

from places import CORPORA

NAMES = ["sources", "photos", "office", "mail", "vm"]
SETTLE_SECONDS = 5


def folder(profile, name):
    return CORPORA / profile / name


def make(profile, name):
    """Makes one corpus if it is not there in full."""
    place = folder(profile, name)
    if (place / "gen2.json").exists():
        return
    corpus = importlib.import_module(f"corpora.{name}")
    print(f"making the corpus {name} ({profile}) ...", flush=True)
    make_anew(name, place, lambda: corpus.make(place, corpus.SIZES[profile]))


def make_anew(name, place, fill):
    """`fill` makes `live` and `stash2` and returns the plan."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    plan = fill()
    (place / "plan.json").write_text(json.dumps(plan))
    (place / "current").write_text("1")
    first = manifest(place / "live")
    (place / "gen1.json").write_text(json.dumps(first))
    switch(place, 2)
    second = manifest(place / "live")
    switch(place, 1)
    if manifest(place / "live") != first:
        raise RuntimeError(f"{name}: there and back again is not where it began")
    # Last: it says that the corpus is whole.
    (place / "gen2.json").write_text(json.dumps(second))


def move(old, new):
    new.parent.mkdir(parents=True, exist_ok=True)
    os.rename(old, new)


def switch(place, generation):
    if int((place / "current").read_text()) == generation:
        return
    live, stash1, stash2 = place / "live", place / "stash1", place / "stash2"
    plan = json.loads((place / "plan.json").read_text())
    if generation == 2:
        for kind, name, *target in plan:
            if kind in ("replace", "delete"):
                move(live / name, stash1 / name)
            if kind in ("replace", "add"):
                move(stash2 / name, live / name)
            if kind == "rename":
                move(live / name, live / target[0])
    else:
        for kind, name, *target in reversed(plan):
            if kind == "rename":
                move(live / target[0], live / name)
            if kind in ("replace", "add"):
                move(live / name, stash2 / name)
            if kind in ("replace", "delete"):
                move(stash1 / name, live / name)
        known = json.loads((place / "gen1.json").read_text())
        for base, _, _ in os.walk(live, topdown=False):
            if base != str(live) and os.path.relpath(base, live) not in known:
                os.rmdir(base)
    (place / "current").write_text(str(generation))
    subprocess.run(["sync", "-f", str(place)], check=True)


def settle(place):
    """Waits until the last switch is some seconds old.

    A program rightly distrusts a file that changed in the very second of its backup and reads it again the next time.
    Real files are older; without the wait, "no change" would measure the harness.
    """
    age = time.time() - (place / "current").stat().st_mtime
    time.sleep(max(0.0, SETTLE_SECONDS - age))


def manifest(top):
    """path -> [mode, size, mtime in whole seconds, BLAKE3 or target]; of directories only the mode."""
    top, seen, files = Path(top), {}, []
    for base, dirs, names in os.walk(top):
        for name in dirs + names:
            path = os.path.join(base, name)
            rel, st = os.path.relpath(path, top), os.lstat(path)
            if os.path.islink(path):
                seen[rel] = ["l", 0, 0, os.readlink(path)]
            elif name in dirs and os.path.isdir(path):
                seen[rel] = [oct(st.st_mode), 0, 0, ""]
            else:
                seen[rel] = [oct(st.st_mode), st.st_size, int(st.st_mtime), None]
                files.append(rel)
    files.sort()
    hashed = subprocess.run(["xargs", "-0", "-r", "-n", "2000", "b3sum", "--num-threads", "2", "--"], cwd=top,
                            input="\0".join(files).encode(), capture_output=True, check=True)
    hashes = [line.lstrip("\\").split(" ", 1)[0] for line in hashed.stdout.decode().splitlines()]
    if len(hashes) != len(files):
        raise RuntimeError(f"{len(files)} files, but {len(hashes)} hashes")
    for name, digest in zip(files, hashes):
        seen[name][3] = digest
    return seen


def read_manifest(place, generation):
    return json.loads((place / f"gen{generation}.json").read_text())


def describe(profile, name):
    """Files and bytes of both generations, and the bytes of files that are new or changed in the second."""
    place = folder(profile, name)
    first, second = read_manifest(place, 1), read_manifest(place, 2)
    old = {v[3] for v in first.values()}
    regular = [v for v in first.values() if v[3] and v[0] != "l"]
    return {"files": len(regular), "bytes": sum(v[1] for v in regular),
            "touched_bytes": sum({v[3]: v[1] for v in second.values() if v[3] and v[3] not in old}.values())}
