//! A home: the real agent and the real client, each with folders of its own, talking over loopback.
//!
//! The programs come from the folder that `LARDER_BIN_DIR` names (`tests/run` sets it). Every process that a home
//! starts is ended by its id when the home goes.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Time for an agent to come alive, also on a machine that emulates another one.
const ALIVE_WITHIN: Duration = Duration::from_secs(60);

/// Where the programs are.
///
/// # Panics
/// With the remedy when they have not been built.
pub fn program(name: &str) -> PathBuf {
    let folder = std::env::var_os("LARDER_BIN_DIR").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/release"));
    let path = folder.join(name);
    assert!(path.exists(), "{} is not there: run the tests with `tests/run`", path.display());
    path
}

/// Puts a program that everybody may run at `path`. Another process writes it: what a test beside this one starts in the
/// meantime would inherit the open file, and a file that anybody has open for writing cannot be run ("text file busy").
///
/// # Panics
/// When it cannot be written.
pub fn put_program(path: &Path, bytes: &[u8]) {
    let mut install = Command::new("install");
    let install = install.args(["-m", "755", "/dev/stdin"]).arg(path).stdin(Stdio::piped());
    let mut install = install.spawn().expect("install runs");
    install.stdin.take().expect("a pipe").write_all(bytes).expect("install reads");
    assert!(install.wait().expect("install ends").success(), "{} is not written", path.display());
}

/// Largest memory of a process since it started, in bytes; 0 once it has ended. The kernel adds up counts of several
/// processors and may tell a page or two less than it told before.
///
/// # Panics
/// When the system does not tell.
pub fn memory_peak_of(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let told = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    told.map_or(0, |told| told.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024)
}

/// A port that nobody uses.
///
/// # Panics
/// When loopback has none left.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// One appliance and one computer.
pub struct Home {
    folder: tempfile::TempDir,
    agent: Option<Child>,
    /// Where the agent listens.
    pub port: u16,
    /// More lines for the settings.
    settings: String,
    /// What stands before each command of `larderd`: how it gets into the mounts or the network of this home.
    prefix: Vec<String>,
    /// More lines for the section `network`, where the agent listens on a network of its own.
    network: Option<String>,
    /// Variables that the agent is started with.
    variables: Vec<(String, String)>,
}

impl Home {
    /// A new appliance, running, and a computer called `laptop` that is paired with it.
    ///
    /// # Panics
    /// When either does not come alive.
    pub fn new() -> Self {
        Self::with_settings("[mqtt]\nenabled = false\n")
    }

    /// Like `new`, with these lines added to the settings.
    ///
    /// # Panics
    /// As `new`.
    pub fn with_settings(lines: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("larder-home-").tempdir().expect("a folder");
        let mut home = Self::at_rest(folder, lines);
        home.use_disks(&["disk"]);
        home.start();
        home.pair("laptop", "admin");
        home
    }

    fn at_rest(folder: tempfile::TempDir, lines: &str) -> Self {
        let (settings, prefix, variables) = (lines.to_owned(), Vec::new(), Vec::new());
        Self { folder, agent: None, port: free_port(), settings, prefix, network: None, variables }
    }

    /// An appliance on disks that are mounted in a namespace of its own; not started yet.
    ///
    /// # Panics
    /// When it cannot be set up.
    pub fn with_mounts(lines: &str) -> (Self, crate::mounts::Mounts) {
        let folder = tempfile::Builder::new().prefix("larder-home-").tempdir().expect("a folder");
        let mounts = crate::mounts::Mounts::new(folder.path());
        let mut home = Self::at_rest(folder, lines);
        home.prefix = mounts.prefix();
        (home, mounts)
    }

    /// An appliance that runs on a host of a network of its own and has paired with nobody; `network` has more lines for
    /// that section of the settings. Programs outside of that network do not reach it.
    ///
    /// # Panics
    /// When it does not come alive.
    pub fn on_network(host: Vec<String>, network: &str, lines: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("larder-home-").tempdir().expect("a folder");
        let mut home = Self::at_rest(folder, &format!("[mqtt]\nenabled = false\n{lines}"));
        (home.prefix, home.network) = (host, Some(network.to_owned()));
        home.use_disks(&["disk"]);
        home.start();
        home
    }

    /// From the next start on the agent has these variables.
    pub fn set_variables(&mut self, variables: &[(&str, String)]) {
        self.variables = variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    }

    fn larderd_command(&self) -> Command {
        let program = program("larderd");
        match self.prefix.split_first() {
            None => Command::new(program),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
        }
    }

    /// A path in this home's own folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder of the vault on the disk.
    pub fn disk(&self) -> PathBuf {
        self.path("disk/larder")
    }

    /// From the next start on the vault lies in these folders.
    ///
    /// # Panics
    /// When the settings cannot be written.
    pub fn use_disks(&self, names: &[&str]) {
        // Disks that are mounted must be; folders are the disks of all other homes.
        let folders_will_do = self.prefix.is_empty() || self.network.is_some();
        let (listen, network) = match &self.network {
            Some(lines) => ("[::]", &**lines),
            None => ("127.0.0.1", ""),
        };
        let disks: Vec<_> = names.iter().map(|name| format!("\"{}\"", self.path(name).display())).collect();
        let settings = format!(
            "[network]\nlisten = \"{listen}:{}\"\n{network}\n[vault]\ndisks = [{}]\nallow_root_filesystem = {folders_will_do}\n{}",
            self.port,
            disks.join(", "),
            self.settings
        );
        fs::write(self.path("larder.toml"), settings).expect("settings");
    }

    /// Starts the agent and waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    pub fn start(&mut self) {
        assert!(self.try_start(), "the agent is not alive:\n{}", self.log());
    }

    /// Starts the agent and waits until it answers or ends; false if it ended.
    ///
    /// # Panics
    /// When it does neither.
    pub fn try_start(&mut self) -> bool {
        let log =
            fs::OpenOptions::new().create(true).append(true).open(self.path("agent.log")).expect("a log");
        let child = self
            .larderd_command()
            .envs(self.variables.iter().cloned())
            .args(["run", "--config"])
            .arg(self.path("larder.toml"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("larderd starts");
        self.agent = Some(child);
        let since = Instant::now();
        while !self.is_alive() {
            if self.agent.as_mut().is_some_and(|agent| agent.try_wait().is_ok_and(|ended| ended.is_some())) {
                self.agent = None;
                return false;
            }
            assert!(since.elapsed() < ALIVE_WITHIN, "the agent is not alive:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }

    fn is_alive(&self) -> bool {
        match self.network {
            // The local socket is a file.
            Some(_) => self.larderd(&["keys"]).output().is_ok_and(|listed| listed.status.success()),
            None => self.get("/v1/health").is_some(),
        }
    }

    /// Number of the newest snapshot of `laptop/NAME`.
    ///
    /// # Panics
    /// When there is none.
    pub fn newest(&self, name: &str) -> u64 {
        let snapshots = self.json(&["snapshots", &format!("laptop/{name}")]);
        let newest =
            snapshots.as_array().and_then(|all| all.last()).and_then(|last| last["snapshot"].as_u64());
        newest.expect("a snapshot")
    }

    /// What the agent wrote down.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("agent.log")).unwrap_or_default()
    }

    /// The body of an answer that needs no key; nothing if there is no answer.
    pub fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream
            .write_all(format!("GET {path} HTTP/1.1\r\nHost: larder\r\nConnection: close\r\n\r\n").as_bytes())
            .ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text.split_once("\r\n\r\n")?.1.to_owned())
    }

    /// Kills the agent without warning, as a crash would.
    pub fn kill_agent(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            let _ = agent.kill();
            let _ = agent.wait();
        }
    }

    /// Asks the agent to end and waits for it; returns its exit code.
    ///
    /// # Panics
    /// When none is running.
    pub fn stop_agent(&mut self) -> Option<i32> {
        let mut agent = self.agent.take().expect("an agent runs");
        let pid = rustix::process::Pid::from_child(&agent);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("the agent is told");
        agent.wait().expect("it ends").code()
    }

    /// Process number of the agent.
    ///
    /// # Panics
    /// When none is running.
    pub fn agent_pid(&self) -> u32 {
        self.agent.as_ref().expect("an agent runs").id()
    }

    /// Largest memory of the agent since it started, in bytes.
    ///
    /// # Panics
    /// When none is running.
    pub fn memory_peak(&self) -> u64 {
        memory_peak_of(self.agent_pid())
    }

    /// A command of `larderd` on this home's settings.
    pub fn larderd(&self, args: &[&str]) -> Command {
        let mut command = self.larderd_command();
        command.args(args).arg("--config").arg(self.path("larder.toml"));
        command
    }

    /// A command of `larder` on this home's computer.
    pub fn larder(&self, args: &[&str]) -> Command {
        self.larder_on("", args)
    }

    /// The same for a test that presses Ctrl-C: a shell's background hands down that nobody listens to it.
    pub fn larder_heeding_ctrl_c(&self, args: &[&str]) -> Command {
        let larder = self.larder(args);
        let mut command = Command::new("env");
        command.arg("--default-signal=INT").arg(larder.get_program()).args(larder.get_args());
        for (variable, value) in larder.get_envs() {
            command.env(variable, value.expect("none is taken away"));
        }
        command.stdin(Stdio::null());
        command
    }

    /// The same on another computer, which keeps its pairing and its cache in folders of its own.
    pub fn larder_on(&self, computer: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program("larder"));
        command.args(args).stdin(Stdio::null());
        for (variable, name) in
            [("XDG_CONFIG_HOME", "config"), ("XDG_CACHE_HOME", "cache"), ("XDG_STATE_HOME", "state")]
        {
            command.env(variable, self.path(computer).join(name));
        }
        command
    }

    /// Pairs the computer under this name and role.
    ///
    /// # Panics
    /// When it does not succeed.
    pub fn pair(&self, device: &str, role: &str) {
        self.pair_on("", device, role);
    }

    /// The same for another computer, as in `larder_on`.
    ///
    /// # Panics
    /// When it does not succeed.
    pub fn pair_on(&self, computer: &str, device: &str, role: &str) {
        self.pair_with(computer, &["--device", device, "--role", role]);
    }

    /// The same with whatever `larderd pair` is to be told.
    ///
    /// # Panics
    /// When it does not succeed.
    pub fn pair_with(&self, computer: &str, wish: &[&str]) {
        let made = self.larderd(&[&["pair"], wish].concat()).output().expect("larderd runs");
        assert!(made.status.success(), "{}", text(&made));
        let paired = self.pair_by(computer, &format!("127.0.0.1:{}", self.port), &made.stdout);
        assert!(paired.status.success(), "{}", text(&paired));
    }

    /// What becomes of `larder pair` with this code, on a computer as in `larder_on`.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pair_by(&self, computer: &str, address: &str, code: &[u8]) -> Output {
        let mut pairing = self.larder_on(computer, &["pair", "--replace", address]);
        pairing.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pairing.spawn().expect("larder runs");
        child.stdin.take().expect("a pipe").write_all(code).expect("the code is taken");
        child.wait_with_output().expect("larder ends")
    }

    /// Runs a command of `larder` that must succeed; returns what it printed.
    ///
    /// # Panics
    /// When it does not.
    pub fn ok(&self, args: &[&str]) -> String {
        let output = self.larder(args).output().expect("larder runs");
        assert!(output.status.success(), "larder {args:?}: {}\nagent: {}", text(&output), self.log());
        String::from_utf8(output.stdout).expect("text")
    }

    /// The same as JSON.
    ///
    /// # Panics
    /// When it does not succeed or prints something else.
    pub fn json(&self, args: &[&str]) -> serde_json::Value {
        let printed = self.ok(&[args, &["--json"]].concat());
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{args:?}: {error}: {printed}"))
    }

    /// Waits until the status is so, and returns it.
    ///
    /// # Panics
    /// With `what` and the last status when it is not so within this time.
    pub fn status_until(
        &self,
        within: Duration,
        what: &str,
        is_so: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        let since = Instant::now();
        loop {
            let status = self.json(&["status"]);
            if is_so(&status) {
                return status;
            }
            assert!(since.elapsed() < within, "{what}: {status:#}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Pushes a folder as `laptop/NAME`; returns the number of the snapshot.
    ///
    /// # Panics
    /// When it does not succeed.
    pub fn push(&self, folder: &Path, name: &str) -> u64 {
        let pushed = self.json(&["push", &folder.display().to_string(), "--source", name]);
        find_number(&pushed, "snapshot").unwrap_or_else(|| panic!("no snapshot number in {pushed}"))
    }

    /// Restores a whole snapshot into a new folder and returns that.
    ///
    /// # Panics
    /// When it does not succeed.
    pub fn restore(&self, name: &str, snapshot: u64) -> PathBuf {
        let to = self.path(&format!("restored-{name}-{snapshot}"));
        let _ = fs::remove_dir_all(&to);
        self.ok(&["restore", &format!("laptop/{name}@{snapshot}"), "--to", &to.display().to_string()]);
        to
    }
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.kill_agent();
    }
}

/// Everything that a command printed.
pub fn text(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("exit {:?}\n{out}\n{err}", output.status.code())
}

/// The first number under this key, however deep.
pub fn find_number(value: &serde_json::Value, key: &str) -> Option<u64> {
    match value {
        serde_json::Value::Object(map) => map
            .get(key)
            .and_then(serde_json::Value::as_u64)
            .or_else(|| map.values().find_map(|v| find_number(v, key))),
        serde_json::Value::Array(list) => list.iter().find_map(|value| find_number(value, key)),
        _ => None,
    }
}
