"""One peer on one corpus, from an empty disk to the last phase, with a look at what came back.

The order is that of a real year: first backup, nothing changed, the files of some weeks later, then looking, restoring,
checking and letting go. A phase that a peer lacks is left out; one that fails is kept as failed, and the next is tried.

Not here: one phase's clocks (`phase.py`), the order of peers and rounds (`bench/run`).
"""
import json
import os
import shutil
import time

from corpora import generations
from measure.box import Box
from measure.disk import drop_disk, fresh_disk, stored_bytes
from measure.link import Link
from measure.phase import measure
from measure.server import Server
from measure.site import Site

PHASES = ["backup", "nochange", "backup2", "list", "restore", "restore_one", "check", "prune"]
ONE_FILE_BYTES_MAX = 150_000


class Cell:
    def __init__(self, peer, name, profile, corpus, phases):
        self.peer, self.corpus = peer, corpus
        self.place = generations.folder(profile, corpus)
        self.phases = [p for p in PHASES if p in phases and (p not in OPTIONAL or hasattr(peer, OPTIONAL[p]))]
        self.result = {"peer": name, "corpus": corpus, "phases": {}, "when": time.strftime("%Y-%m-%d %H:%M")}

    def run(self, link_kind, small_box):
        generations.switch(self.place, 1)
        self.server, self.box = None, Box(small_box)
        work, self.link = fresh_disk(), Link(link_kind)
        self.site = Site(work, self.place / "live", self.link.host, self.link.client_ns)
        try:
            self.server = Server(self.site, self.peer.server_start(self.site), self.link, self.box)
            for command in self.peer.init(self.site):
                self.site.out(command["argv"], command.get("env"), command.get("cwd"))
            for phase in self.phases:
                PHASE_STEPS[phase](self)
        except Exception as error:
            self.result["error"] = f"{type(error).__name__}: {error}"[:1000]
            print(f"  failed: {self.result['error']}", flush=True)
            for phase in self.phases:
                self.result["phases"].setdefault(phase, {"rc": "not reached"})
        finally:
            self.close()
        return self.result

    def close(self):
        if self.server:
            self.server.stop()
        self.result["relay"] = self.link.relay_counts()
        self.link.close()
        # The last process of a connection may still be on its way out of the cgroup.
        time.sleep(0.2)
        self.result["cgroup"] = self.box.close()
        generations.switch(self.place, 1)
        drop_disk()

    def step(self, phase, commands):
        row = measure(self.site, self.server, self.link, commands)
        self.result["phases"][phase] = row
        print(f"{self.result['peer']:10} {self.corpus:8} {phase:12}{row['wall']:8.2f} s"
              f"  client {row['client_cpu']:6.2f} s {row['client_rss_kb'] >> 10:4} MiB"
              f"  server {row['server_cpu']:6.2f} s {row['server_rss_kb'] >> 10:4} MiB"
              f"  wire {row['wire_bytes'] / 1e6:7.1f} MB  others {row['other_cores']:.1f} cores"
              + ("" if row["rc"] == 0 else f"  FAILED: {row['rc']}"), flush=True)
        return row

    def backup(self, phase, name):
        start = getattr(self.peer, "nochange", self.peer.backup) if phase == "nochange" else self.peer.backup
        row = self.step(phase, start(self.site, name))
        if row["rc"] != 0:
            raise RuntimeError(f"{phase} failed: {row.get('error', '')}")
        if start is self.peer.backup:
            self.site.made.append(name)
        row["stored_bytes"] = stored_bytes(self.site.repo, getattr(self.peer, "REDUNDANCY", None))

    def first(self):
        generations.settle(self.place)
        self.backup("backup", "first")

    def nochange(self):
        self.backup("nochange", "same")

    def second(self):
        generations.switch(self.place, 2)
        self.backup("backup2", "second")
        self.snapshots = self.peer.snapshots(self.site)

    def listing(self):
        self.step("list", {**self.peer.listing(self.site, self.snapshots[-1]), "stdout": self.site.work / "listing"})

    def restore(self):
        target = self.site.out_dir / "all"
        target.mkdir()
        row = self.step("restore", self.peer.restore(self.site, self.snapshots[-1], target))
        root = getattr(self.peer, "restored_root", lambda site, folder: folder)(self.site, target)
        row["differ"] = differences(generations.read_manifest(self.place, 2), generations.manifest(root))
        shutil.rmtree(target)

    def restore_one(self):
        """A small file as it was in the first generation, one that has changed or gone since if there is one."""
        known, plan = generations.read_manifest(self.place, 1), json.loads((self.place / "plan.json").read_text())
        sizes = {name: v[1] for name, v in known.items() if v[3] and v[0] != "l"}
        if len(sizes) < 2:
            return
        past = [name for kind, name, *_ in plan
                if kind in ("replace", "delete") and sizes.get(name, ONE_FILE_BYTES_MAX) < ONE_FILE_BYTES_MAX]
        one = past[0] if past else min(sizes, key=lambda name: (sizes[name], name))
        target = self.site.out_dir / "one"
        target.mkdir()
        row = self.step("restore_one", self.peer.restore(self.site, self.snapshots[0], target, one))
        got = [v[3] for n, v in generations.manifest(target).items() if os.path.basename(n) == os.path.basename(one)]
        row["differ"] = {} if got == [known[one][3]] else {"content": 1}
        shutil.rmtree(target)

    def check(self):
        self.step("check", self.peer.check(self.site, self.snapshots[-1]))

    def prune(self):
        row = self.step("prune", self.peer.prune(self.site, self.snapshots[:-1]))
        row["stored_bytes"] = stored_bytes(self.site.repo, getattr(self.peer, "REDUNDANCY", None))


PHASE_STEPS = dict(zip(PHASES, (Cell.first, Cell.nochange, Cell.second, Cell.listing, Cell.restore, Cell.restore_one,
                                Cell.check, Cell.prune)))
# A peer without the function goes without the phase.
OPTIONAL = {"list": "listing", "check": "check", "prune": "prune"}


def differences(want, got):
    """How many paths differ in what; {} if none does."""
    same = [name for name in want if name in got]
    counts = {
        "content": sum(1 for n in want if n not in got or got[n][3] != want[n][3] or got[n][1] != want[n][1]),
        "extra": sum(1 for name in got if name not in want),
        "mode": sum(1 for name in same if got[name][0] != want[name][0]),
        "mtime": sum(1 for name in same if want[name][3] and got[name][2] != want[name][2]),
    }
    return {what: count for what, count in counts.items() if count}
