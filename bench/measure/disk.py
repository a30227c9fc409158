"""The work disk: a new, empty ext4 in a file for every peer and corpus, so that all of them start alike.

Without it the later ones would pay for freeing and overwriting what the earlier ones left. Direct I/O keeps the file's
own pages out of the page cache, or every byte would be cached twice.

Not here: what lies on it (`cell.py`).
"""
import os
import subprocess
import time
from pathlib import Path

from measure.link import command
from places import ROOT

IMAGE, MOUNT, DEVICE = ROOT / "run.img", ROOT / "run", ROOT / "run.dev"
IMAGE_BYTES = 16 << 30


def fresh_disk():
    """Returns a folder on it."""
    drop_disk()
    MOUNT.mkdir(exist_ok=True)
    if not IMAGE.exists():
        IMAGE.touch()
        os.truncate(IMAGE, IMAGE_BYTES)
    # No discard: giving the blocks back takes seconds and would run on into the measurement.
    command("mkfs.ext4", "-q", "-F", "-m", "0", "-i", "32768", "-E",
            "nodiscard,lazy_itable_init=1,lazy_journal_init=1", str(IMAGE))
    device = command("losetup", "--find", "--show", "--direct-io=on", str(IMAGE)).strip()
    DEVICE.write_text(device)
    command("mount", "-o", "noatime,noinit_itable", device, str(MOUNT))
    return MOUNT / "w"


def drop_disk():
    """Unmounts and detaches, also what an interrupted run left."""
    if not DEVICE.exists():
        return
    for _ in range(50):
        if not os.path.ismount(MOUNT) or subprocess.run(["umount", MOUNT], capture_output=True).returncode == 0:
            break
        time.sleep(0.2)
    subprocess.run(["losetup", "-d", DEVICE.read_text()], capture_output=True)
    DEVICE.unlink()


def drop_caches():
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("3")


def stored_bytes(folder, but=None):
    """Allocated blocks of everything under `folder`, without files whose names end in `but`; hard links once."""
    seen, allocated = set(), 0
    for base, dirs, names in os.walk(folder):
        for name in dirs + [name for name in names if not but or not name.endswith(but)]:
            st = os.lstat(os.path.join(base, name))
            if (st.st_dev, st.st_ino) not in seen:
                seen.add((st.st_dev, st.st_ino))
                allocated += st.st_blocks * 512
    return allocated
