"""A computer of the home: a folder that changes all the time, and the real client that pushes it.

Of each push that the client confirmed (exit code 0, so there is a receipt) the folder's description is kept, to hold
what comes back against it. A push that was not confirmed promises nothing. Not here: what happens to the box meanwhile.
"""
import hashlib
import json
import os
import stat
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

# Most pushes are small and take less than a second on the emulated box, so that several fit between two cuts; now and
# then one is large, so that a cut meets one that has sent a part.
FILES = 24
CHANGED_AT_ONCE = 8
FILE_BYTES_MAX = 250_000
LARGE_FILE_BYTES = 6_000_000
LARGE_FILE = 0.15
# A push or restore of a few megabytes; the client itself is patient for a minute.
ENDS_WITHIN_S = 180
# Exit codes of the client.
FINE, NOT_REACHABLE = 0, 4


@dataclass(frozen=True)
class Confirmed:
    """A push that must never be lost."""

    snapshot: int
    description: dict
    degraded: bool


@dataclass
class Computer:
    """The client with folders of its own. `failures` are pushes whose end a power cut does not explain."""

    place: Path
    client: Path
    dice: object
    confirmed: list = field(default_factory=list)
    failures: list = field(default_factory=list)
    unconfirmed: int = 0

    def __post_init__(self):
        self.folder = self.place / "docs"
        (self.folder / "deep").mkdir(parents=True)
        self.change(FILES)
        os.symlink("deep", self.folder / "link")
        self.process, self.told = None, ""

    # ---- the folder

    def change(self, files=0):
        """Writes some files anew, or so many, and removes one."""
        if self.dice.random() < LARGE_FILE:
            (self.folder / "large").write_bytes(self.dice.randbytes(LARGE_FILE_BYTES))
        for _ in range(files or self.dice.randint(1, CHANGED_AT_ONCE)):
            path = self.folder / self.dice.choice(["", "deep"]) / f"file{self.dice.randrange(FILES)}"
            content = self.dice.randbytes(self.dice.randrange(FILE_BYTES_MAX))
            # Half of it compresses, as files do.
            path.write_bytes(content + content[:1000].hex().encode() * self.dice.randrange(50))
        there = sorted(path for path in self.folder.rglob("file*"))
        self.dice.choice(there).unlink()

    # ---- the client

    def larder(self, *words, **more):
        """Starts a command of the client."""
        names = {"XDG_CONFIG_HOME": "config", "XDG_CACHE_HOME": "cache", "XDG_STATE_HOME": "state"}
        own = {variable: str(self.place / name) for variable, name in names.items()}
        return subprocess.Popen([str(self.client), *words], env={**os.environ, **own}, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)

    def run(self, *words, given=None):
        """Runs a command; returns its exit code, what it printed and what it told."""
        process = self.larder(*words, stdin=subprocess.PIPE if given else subprocess.DEVNULL)
        return ended(process, given)

    def status(self):
        """The box's own report; nothing when there is no answer."""
        code, printed, _ = self.run("status", "--json")
        return json.loads(printed) if code == FINE else None

    def push(self):
        """Pushes the folder as it is; true if it was confirmed."""
        description = describe(self.folder)
        self.process = self.larder("push", str(self.folder), "--source", "docs", "--json", stdin=subprocess.DEVNULL)
        code, printed, told = ended(self.process)
        if code == FINE:
            receipt = json.loads(printed)["pushes"][0]["receipt"]
            if any(receipt["snapshot"] == before.snapshot for before in self.confirmed):
                self.failures.append(f"snapshot {receipt['snapshot']} was confirmed twice: the first one is lost")
            self.confirmed.append(Confirmed(receipt["snapshot"], description, bool(receipt["degraded"])))
            return True
        self.unconfirmed += 1
        self.told = printed + told
        if code != NOT_REACHABLE:
            self.failures.append(f"a push ended with {code}: {printed}{told}")
        return False

    def is_pushing(self):
        """Whether a push is running at this moment."""
        return self.process is not None and self.process.poll() is None

    def comes_back(self, confirmed):
        """Nothing if the box gives back what was confirmed; otherwise what is wrong."""
        to = self.place / f"back-{confirmed.snapshot}"
        code, printed, told = self.run("restore", f"laptop/docs@{confirmed.snapshot}", "--to", str(to))
        return compared(code, printed + told, to, confirmed)


class Load:
    """Pushes one after another until told to stop. The push that runs then goes on to its end."""

    def __init__(self, computer):
        self.computer = computer
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            while not self.stopping.is_set():
                self.computer.change()
                if not self.computer.push():
                    return
        except Exception as error:  # In a thread nobody would hear of it, and a box without load proves nothing.
            self.computer.failures.append(f"the load ended: {error!r}")

    def stop(self):
        """No further push after this one."""
        self.stopping.set()

    def wait(self):
        """Until the last push ended."""
        self.stop()
        self.thread.join()


def ended(process, given=None):
    """Exit code of a command, what it printed and what it told; one that hangs is ended, and that is no success."""
    try:
        printed, told = process.communicate(given, timeout=ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        printed, told = process.communicate()
        told += f"(ended after {ENDS_WITHIN_S} s)"
    return process.returncode, printed, told


def compared(code, told, folder, confirmed):
    """Nothing if a folder that was brought back is as it was; otherwise what is wrong. Removes it when it is."""
    if code != FINE:
        return f"snapshot {confirmed.snapshot}: exit code {code}: {told.strip()[-600:]}"
    back = describe(folder)
    wrong = sorted(name for name in back.keys() | confirmed.description.keys()
                   if back.get(name) != confirmed.description.get(name))
    if wrong:
        return f"snapshot {confirmed.snapshot}: {len(wrong)} files differ: {', '.join(wrong[:5])}"
    subprocess.run(["rm", "-rf", str(folder)], check=True)
    return None


def describe(folder):
    """What is in a folder, by relative path: kind and permissions, time of change, and contents."""
    found = {}
    for path in sorted(folder.rglob("*")):
        meta = path.lstat()
        if stat.S_ISLNK(meta.st_mode):
            content = os.readlink(path)
        elif stat.S_ISREG(meta.st_mode):
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            content = ""
        found[str(path.relative_to(folder))] = (meta.st_mode, meta.st_mtime_ns, content)
    return found
