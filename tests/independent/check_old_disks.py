#!/usr/bin/env python3
"""Restores every snapshot of every old disk with `larder_read.py` and compares it with what was once pushed.

What was pushed lies beside each disk as `expected.json`, written from the folder itself at the moment of each push. Exit
code 0 only if everything is equal: names, content, modes, times, links, holes, attributes. Owners are not compared:
who runs this is seldom root. Paths and targets are written like `larder ls` shows them: bytes that are not UTF-8 and
control characters as `\\xNN`, a backslash as `\\\\`.
"""
import json, os, stat, subprocess, sys, tempfile
from pathlib import Path
from blake3 import blake3

HERE = Path(__file__).resolve().parent
KINDS = {stat.S_IFDIR: "directory", stat.S_IFLNK: "symlink", stat.S_IFREG: "file", stat.S_IFIFO: "fifo"}

def shown(name):
    text = ""
    for c in name.decode("utf-8", "surrogateescape"):
        if "\udc80" <= c <= "\udcff":
            text += f"\\x{ord(c) - 0xdc00:02x}"
        elif ord(c) < 32 or 127 <= ord(c) < 160:
            text += "".join(f"\\x{byte:02x}" for byte in c.encode())
        else:
            text += "\\\\" if c == "\\" else c
    return text

def entry_at(path, relative, first_names):
    status = os.lstat(path)
    kind = KINDS.get(stat.S_IFMT(status.st_mode), "other")
    entry = {"path": shown(relative), "kind": kind, "modified": [*divmod(status.st_mtime_ns, 10**9)]}
    if kind == "symlink":
        entry["target"] = shown(os.readlink(path))
    else:
        entry["mode"] = f"{stat.S_IMODE(status.st_mode):04o}"
    if kind == "file":
        data = Path(os.fsdecode(path)).read_bytes()
        entry |= {"size": len(data), "blake3": blake3(data).hexdigest()}
        if status.st_blocks * 512 < len(data):
            entry["sparse"] = True
        if status.st_nlink > 1:
            entry["one_file_with"] = first_names.setdefault(status.st_ino, shown(relative))
    if names := os.listxattr(path, follow_symlinks=False):
        entry["xattrs"] = {name: os.getxattr(path, name, follow_symlinks=False).hex() for name in names}
    return entry

def folder_at(top):
    found, first_names = {}, {}
    for root, folders, files in os.walk(top):
        folders.sort()
        for name in ([b""] if root == top else []) + folders + sorted(files):
            path = os.path.join(root, name) if name else root
            entry = entry_at(path, os.path.relpath(path, top) if name else b"", first_names)
            found[entry["path"]] = entry
    return found

def differences(disk, snapshot):
    with tempfile.TemporaryDirectory() as to:
        command = [sys.executable, HERE / "larder_read.py", disk, "--to", to, "--snapshot", str(snapshot["snapshot"])]
        done = subprocess.run(command, capture_output=True, text=True)
        found = folder_at(os.fsencode(to))
    wanted = {entry["path"]: entry for entry in snapshot["entries"]}
    if done.returncode != 0:
        yield f"exit code {done.returncode}: {done.stderr}"
    for path in sorted(wanted.keys() | found.keys()):
        if wanted.get(path) != found.get(path):
            yield f"{path}:\n    pushed   {wanted.get(path)}\n    restored {found.get(path)}"

def main():
    disks = sorted(HERE.parent.glob("old_disks/*/expected.json"))
    wrong = 0 if disks else 1
    for expected in disks:
        for snapshot in json.loads(expected.read_text("utf-8")):
            found = list(differences(expected.parent, snapshot))
            name = f"{expected.parent.name}, {snapshot['source']}, snapshot {snapshot['snapshot']}"
            print(f"{name}: {len(snapshot['entries'])} names, {len(found)} differences", *found, sep="\n  ")
            wrong += len(found)
    sys.exit(1 if wrong else 0)

if __name__ == "__main__":
    main()
