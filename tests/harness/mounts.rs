//! Real filesystems on loop devices, mounted where nobody else sees them, that can be pulled and put back.
//!
//! Needs root and the kernel's loop devices; `Mounts::missing` says what is not there. Everything is taken down when
//! it goes. Pulling is: the filesystem is stopped without its journal, so that what was not synced is lost and every
//! call on it fails; then it is unmounted and its device let go of.

use crate::fault_injection::compiled;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The reserve is 128 MiB and a pack wants 64 more; files on it are sparse.
const DISK_MIB: u64 = 420;

/// A namespace with disks in it.
pub struct Mounts {
    holder: Child,
    folder: PathBuf,
    shutdown: PathBuf,
    /// Loop devices of the disks that are plugged in.
    devices: BTreeMap<String, String>,
}

impl Mounts {
    /// Why disks cannot be mounted here; nothing if they can.
    pub fn missing() -> Option<String> {
        if !rustix::process::geteuid().is_root() {
            return Some("not root".to_owned());
        }
        let probe = Command::new("unshare").args(["-m", "losetup", "-f"]).output();
        match probe {
            Ok(output) if output.status.success() => None,
            Ok(output) => Some(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => Some(error.to_string()),
        }
    }

    /// An empty namespace; `folder` takes the disks' files.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn new(folder: &Path) -> Self {
        let mut holder = Command::new("unshare");
        // `cat` ends with the pipe, should this process be killed.
        let holder = holder.args(["-m", "--propagation", "private", "sh", "-c", "echo; exec cat"]);
        let mut holder =
            holder.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a namespace of its own");
        let mut ready = [0];
        let out = holder.stdout.as_mut().expect("a pipe");
        std::io::Read::read_exact(out, &mut ready).expect("the namespace is there");
        let shutdown = compiled("shutdown.c", folder);
        Self { holder, folder: folder.to_owned(), shutdown, devices: BTreeMap::new() }
    }

    /// How a command gets in there.
    pub fn prefix(&self) -> Vec<String> {
        ["nsenter", "-m", "-t", &self.holder.id().to_string(), "--"].map(str::to_owned).to_vec()
    }

    fn run(&self, words: &[&str]) -> String {
        let prefix = self.prefix();
        let output = Command::new(&prefix[0]).args(&prefix[1..]).args(words).output().expect("it runs");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn at(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Makes an empty disk; it is not plugged in yet.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn make(&self, disk: &str) {
        let image = self.at(&format!("{disk}.img"));
        let file = std::fs::File::create(&image).expect("a file");
        file.set_len(DISK_MIB << 20).expect("room");
        self.run(&["mkfs.ext4", "-q", "-E", "lazy_itable_init=1", &image]);
    }

    /// Plugs a disk in and mounts it at `place`.
    ///
    /// # Panics
    /// When it cannot be mounted.
    pub fn plug(&mut self, disk: &str, place: &str) {
        let device = self.run(&["losetup", "-f", "--show", &self.at(&format!("{disk}.img"))]);
        std::fs::create_dir_all(self.folder.join(place)).expect("a folder");
        self.devices.insert(disk.to_owned(), device.clone());
        self.run(&["mount", &device, &self.at(place)]);
    }

    /// Pulls the disk that is mounted at `place`, without a word.
    ///
    /// # Panics
    /// When it cannot be pulled.
    pub fn yank(&mut self, disk: &str, place: &str) {
        self.run(&[&self.shutdown.display().to_string(), &self.at(place)]);
        self.unplug(disk, &["umount", "-l", &self.at(place)]);
    }

    /// Unmounts as an owner does; fails while somebody uses the disk.
    ///
    /// # Panics
    /// When the disk is in use.
    pub fn unmount(&mut self, disk: &str, place: &str) {
        self.unplug(disk, &["umount", &self.at(place)]);
    }

    fn unplug(&mut self, disk: &str, how: &[&str]) {
        self.run(how);
        if let Some(device) = self.devices.remove(disk) {
            // Its last user may close it a moment later; then the device goes by itself.
            let _ = Command::new("losetup").args(["-d", &device]).output();
        }
    }

    /// Runs a command inside.
    ///
    /// # Panics
    /// When it fails.
    pub fn inside(&self, words: &[&str]) -> String {
        self.run(words)
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
        for device in self.devices.values() {
            let _ = Command::new("losetup").args(["-d", device]).output();
        }
    }
}
