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
        let mut home = Self { folder, agent: None, port: free_port(), settings: lines.to_owned() };
        home.use_disks(&["disk"]);
        home.start();
        home.pair("laptop", "admin");
        home
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
        let disks: Vec<_> = names.iter().map(|name| format!("\"{}\"", self.path(name).display())).collect();
        let settings = format!(
            "[network]\nlisten = \"127.0.0.1:{}\"\n[vault]\ndisks = [{}]\nallow_root_filesystem = true\n{}",
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
        let log =
            fs::OpenOptions::new().create(true).append(true).open(self.path("agent.log")).expect("a log");
        let child = Command::new(program("larderd"))
            .args(["run", "--config"])
            .arg(self.path("larder.toml"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("larderd starts");
        self.agent = Some(child);
        let since = Instant::now();
        while self.get("/v1/health").is_none() {
            let ended = self.agent.as_mut().and_then(|agent| agent.try_wait().ok().flatten());
            assert!(
                ended.is_none() && since.elapsed() < ALIVE_WITHIN,
                "the agent is not alive:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
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

    /// A command of `larderd` on this home's settings.
    pub fn larderd(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program("larderd"));
        command.args(args).arg("--config").arg(self.path("larder.toml"));
        command
    }

    /// A command of `larder` on this home's computer.
    pub fn larder(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program("larder"));
        command.args(args).stdin(Stdio::null());
        for (variable, name) in
            [("XDG_CONFIG_HOME", "config"), ("XDG_CACHE_HOME", "cache"), ("XDG_STATE_HOME", "state")]
        {
            command.env(variable, self.path(name));
        }
        command
    }

    /// Pairs the computer under this name and role.
    ///
    /// # Panics
    /// When it does not succeed.
    pub fn pair(&self, device: &str, role: &str) {
        let made =
            self.larderd(&["token", "--device", device, "--role", role]).output().expect("larderd runs");
        assert!(made.status.success(), "{}", text(&made));
        let mut pairing = self.larder(&["pair", &format!("http://127.0.0.1:{}", self.port)]);
        let mut child = pairing.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("larder runs");
        child.stdin.take().expect("a pipe").write_all(&made.stdout).expect("the key is taken");
        let output = child.wait_with_output().expect("larder ends");
        assert!(output.status.success(), "{}", text(&output));
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
