"""What a peer is told: where the files are, where to store, where its server is. One for each peer and corpus.

Not here: anything that is measured.
"""
import os
import subprocess

from places import RUNX, TCPCAT, TOOLS

PORT = 8765
PASSWORD = "correct horse"


class Site:
    """
    src     the folder to back up             repo    the server's folder, empty at first
    state   the client's own folder, HOME     work    the folder that holds both, for odds and ends
    host, port, password                      env     the client's environment; `server_start` may add to it
    made    names of the backups so far       tools   where setup put the peers
    tcpcat  stands in for ssh: `tcpcat HOST PORT` joins stdin and stdout to the server
    """

    def __init__(self, work, src, host, client_ns):
        self.work, self.src, self.host, self.port, self.password = work, src, host, PORT, PASSWORD
        self.repo, self.state, self.out_dir = work / "repo", work / "state", work / "out"
        self.errors = work / "client.err"
        self.client = ["-n", client_ns]
        self.tools, self.tcpcat, self.made = TOOLS, TCPCAT, []
        self.env = {"HOME": str(self.state), "XDG_CACHE_HOME": str(self.state / "cache"),
                    "XDG_CONFIG_HOME": str(self.state / "config"), "XDG_STATE_HOME": str(self.state / "state")}
        for folder in (self.repo, self.state, self.out_dir):
            folder.mkdir(parents=True)

    def out(self, argv, env=None, cwd=None):
        """Runs a command at the client's end, unmeasured; what it wrote."""
        return output([RUNX, "exec", *self.client, "--", *argv], {**self.env, **(env or {})}, cwd)


def output(argv, env=None, cwd=None):
    ran = subprocess.run(list(map(str, argv)), cwd=cwd, capture_output=True, env={**os.environ, **(env or {})})
    if ran.returncode:
        raise RuntimeError(f"{argv[0]} ended with {ran.returncode}: {ran.stderr.decode(errors='replace')[-800:]}")
    return ran.stdout.decode()
