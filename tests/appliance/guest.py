"""The guest: Debian's kernel and one small archive that holds the whole system, made in a second.

A kernel unpacks the archive into memory and starts `init` from it, so there is no image to build and no disk of the
system to be ruined by a power cut: only the data disks count. Modules go in with the ones that they need, in the order
in which they load. Not here: where the packages come from (`debian`), what the guest does (`init`).
"""
import lzma
import re
import stat
from pathlib import Path

from debian import unpacked
from trouble import Trouble

# Network, disks, sockets for USB disks, and the line to the test.
MODULES = ["virtio_pci", "virtio_net", "virtio_blk", "virtio_console", "xhci_pci", "usb_storage", "sd_mod",
           "crc32c_generic", "ext4"]
LIBRARIES = ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "libdl.so.2", "libpthread.so.0", "librt.so.1"]
LOADER = "ld-linux-aarch64.so.1"
HERE = Path(__file__).resolve().parent


class Guest:
    """A kernel, and what every system with this agent is made of."""

    def __init__(self, agent):
        root, version = unpacked()
        self.kernel = root / "boot" / f"vmlinuz-{version}"
        self.files = {"init": (HERE / "init").read_bytes(), "bin/larderd": Path(agent).read_bytes(),
                      "bin/busybox": found(root, "busybox"), f"lib/{LOADER}": found(root, LOADER)}
        self.files |= {f"lib/{name}": found(root, name) for name in LIBRARIES}
        # Below lib or usr/lib, as the release has it.
        order = load_order(next(path for path in root.rglob(version) if path.parent.name == "modules"))
        self.files |= {f"modules/{name}.ko": code for name, code in order}
        self.files["modules/order"] = "".join(f"{name}\n" for name, _ in order).encode()

    def write_system(self, into, settings):
        """Writes the archive that a box with these settings lives from."""
        Path(into).write_bytes(archive({**self.files, "etc/larder.toml": settings.encode()}))


def found(root, name):
    """The contents of the file of this name, wherever the release puts it."""
    files = [path for path in root.rglob(name) if path.is_file()]
    if not files:
        raise Trouble(f"{name} is in none of the guest's packages; remove {root} and try again")
    # Packages also have small files of the same name, such as hooks.
    return max(files, key=lambda path: path.stat().st_size).read_bytes()


def load_order(folder):
    """Name and code of each module that is needed, those first that others build on."""
    def plain(name):
        return name.replace("-", "_")

    paths = {plain(path.name.split(".")[0]): path for path in folder.rglob("*.ko*")}
    order = {}

    def load(name):
        if name in order or name not in paths:
            # What is no module is in the kernel itself; a kernel that lacks it fails to mount or answer.
            return
        raw = paths[name].read_bytes()
        code = lzma.decompress(raw) if paths[name].suffix == ".xz" else raw
        needs = re.search(rb"\0depends=([^\0]*)\0", code)
        for other in needs.group(1).decode().split(",") if needs else []:
            load(plain(other))
        order[name] = code

    for name in MODULES:
        load(name)
    return list(order.items())


def archive(files):
    """A cpio archive ("newc") with these files, all of them programs, and the folders that they lie in."""
    folders = {str(parent) for name in files for parent in Path(name).parents} - {"."}
    entries = [(name, stat.S_IFDIR | 0o755, b"") for name in sorted(folders)]
    entries += [(name, stat.S_IFREG | 0o755, content) for name, content in files.items()]
    entries.append(("TRAILER!!!", 0, b""))
    out = bytearray()
    for number, (name, mode, content) in enumerate(entries, 1):
        fields = [number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0]
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        out += bytes(-len(out) % 4) + content
        out += bytes(-len(out) % 4)
    return bytes(out)
