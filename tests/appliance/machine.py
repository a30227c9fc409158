"""The emulated box: a qemu process that is started, unplugged and plugged, and whose power can be cut at any moment.

The processor is emulated, not virtualised, so that the very program runs that ships for ARM and no right to the
machine's own virtualisation is needed. Cutting the power is killing qemu by its id: whatever the guest's kernel had in
memory is gone, and then each disk loses what it was never told to keep. Not here: how a disk loses it (`disk`), what is
done to the box and when (`lives`).
"""
import json
import socket
import subprocess
import time
from pathlib import Path

from trouble import Trouble

MEMORY_MIB = 384
# Long enough for a busy machine; a boot takes some seconds.
ANSWERS_WITHIN_S = 30
AGENT_PORT = 8477


class Machine:
    """One box. `disks` are plugged in at each start: a disk, and "virtio" or "usb"."""

    def __init__(self, folder, kernel, system, port):
        self.folder, self.kernel, self.system, self.port = Path(folder), kernel, system, port
        self.disks = []
        self.process = self.line = self.monitor = None
        self.boots = 0

    def start(self):
        """Switches the box on; returns at once."""
        self.boots += 1
        for name in ("monitor", "line"):
            (self.folder / name).unlink(missing_ok=True)
        with open(self.folder / "qemu.log", "ab") as log:
            self.process = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.monitor = Monitor(self._connected("monitor"))
        self.line = None

    def _command(self):
        words = [
            # Without this, a test that is itself killed would leave the box running. It goes by the thread that starts
            # qemu, so that one must outlive it.
            "setpriv", "--pdeathsig", "KILL", "--",
            "qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a72", "-accel", "tcg,thread=multi", "-smp", "2",
            "-m", str(MEMORY_MIB), "-nodefaults", "-display", "none",
            "-kernel", str(self.kernel), "-initrd", str(self.system), "-append", "console=ttyAMA0 quiet panic=-1",
            "-serial", f"file:{self.console(self.boots)}",
            "-qmp", f"unix:{self.folder}/monitor,server=on,wait=off",
            "-device", "virtio-serial-pci", "-chardev", f"socket,id=line,path={self.folder}/line,server=on,wait=off",
            "-device", "virtserialport,chardev=line,name=test",
            # From this machine to the agent and nowhere else.
            "-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{self.port}-10.0.2.15:{AGENT_PORT}",
            "-device", "virtio-net-pci,netdev=net,romfile=", "-device", "qemu-xhci,id=usb",
        ]
        for disk, kind in self.disks:
            words += ["-blockdev", json.dumps(storage(disk)), "-device", json.dumps(device(disk, kind))]
        return words

    def console(self, boot):
        """What the guest wrote since its n-th start."""
        return self.folder / f"console-{boot}.log"

    def _connected(self, name):
        since = time.monotonic()
        while True:
            line = socket.socket(socket.AF_UNIX)
            line.settimeout(ANSWERS_WITHIN_S)
            try:
                line.connect(str(self.folder / name))
                return line
            except OSError as error:
                line.close()
                if self.process.poll() is not None or time.monotonic() - since > ANSWERS_WITHIN_S:
                    log = (self.folder / "qemu.log").read_text(errors="replace")
                    raise Trouble(f"qemu does not start: {log[-500:]}") from error
            time.sleep(0.02)

    def inside(self, command):
        """Runs a command in the guest's shell; returns what it printed. For preparing only, never for repairing."""
        if not self.line:
            self.line = self._connected("line").makefile("rwb", 0)
        self.line.write(command.encode() + b"\n")
        printed = []
        while not (text := self.line.readline().decode(errors="replace")).startswith("ended "):
            if not text:
                raise Trouble(f"the guest ended while it ran: {command}")
            printed.append(text)
        if text != "ended 0\n":
            raise Trouble(f"in the guest: {command}: {''.join(printed)}")
        return "".join(printed)

    def cut_power(self, dice):
        """The plug is pulled, now. Returns what became of each disk's unflushed writes."""
        self.process.kill()
        self.process.wait()
        self.line = self.monitor = None
        return {disk.name: disk.lose_power(dice) for disk, _ in self.disks}

    def stop(self):
        """Ends the emulation, for good."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def unplug(self, disk, dice):
        """Pulls a USB disk out of the running box; it loses its power, too."""
        self.monitor.ask("device_del", {"id": disk.name}, until="DEVICE_DELETED")
        lost = disk.lose_power(dice)
        self.monitor.ask("blockdev-del", {"node-name": storage(disk)["node-name"]})
        return lost

    def plug(self, disk):
        """Puts it back."""
        self.monitor.ask("blockdev-add", storage(disk))
        self.monitor.ask("device_add", device(disk, "usb"))


class Monitor:
    """qemu's own control line (QMP)."""

    def __init__(self, line):
        self.line = line.makefile("rwb", 0)
        self._next()
        self.ask("qmp_capabilities", {})

    def _next(self):
        text = self.line.readline()
        if not text:
            raise Trouble("qemu ended by itself")
        return json.loads(text)

    def ask(self, command, arguments, until=None):
        """Gives a command and waits for its answer, and for an event where one tells of the end."""
        self.line.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        waits = {"return", until} - {None}
        while waits:
            message = self._next()
            if "error" in message:
                raise Trouble(f"qemu refuses {command}: {message['error']}")
            waits -= {"return" if "return" in message else message.get("event")}


def storage(disk):
    """A disk as qemu reaches it."""
    return {"driver": "nbd", "node-name": f"disk-{disk.name}", "server": {"type": "unix", "path": disk.socket_path}}


def device(disk, kind):
    """A disk as the guest sees it."""
    drive = {"id": disk.name, "drive": f"disk-{disk.name}"}
    if kind == "virtio":
        return {"driver": "virtio-blk-pci", **drive}
    # Linux takes a USB disk for one without a write cache and sends it no flush. So this one has none: it keeps each
    # write before it answers, as a stick does. One that has a cache all the same is a liar, and there is such a disk.
    return {"driver": "usb-storage", "bus": "usb.0", "write-cache": "off", **drive}
