//! What does harm to the real agent from outside: a shim that makes single calls fail, and damage to files.
//!
//! The shim is C, because that is what can stand between a program and the C library; it is compiled by whoever needs
//! it and is no part of what ships.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles a file of the harness into `folder`.
///
/// # Panics
/// Without a C compiler, which building zstd needs anyway.
pub fn compiled(name: &str, folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("harness").join(name);
    let made = folder.join(name.trim_end_matches(".c"));
    let mut compiler = Command::new("cc");
    compiler.args(["-O1", "-Wall", "-Werror"]).arg("-o").arg(&made).arg(source);
    if name != "shutdown.c" {
        compiler.args(["-shared", "-fPIC"]);
    }
    let output = compiler.output().expect("a C compiler");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    made
}

/// One call that fails.
#[derive(Debug, Clone, Copy)]
pub struct Injected {
    /// `write`, `fsync`, `syncfs`, `rename`, `open` or `read`.
    pub call: &'static str,
    /// `EIO`, `ENOSPC` or `SHORT`.
    pub error: &'static str,
    /// The first one that fails, from 1.
    pub at: u64,
    /// So many fail from there on.
    pub times: u64,
}

impl Injected {
    /// What the program must be started with; `log` tells afterwards whether it happened.
    pub fn variables(&self, shim: &Path, under: &Path, log: &Path) -> [(&'static str, String); 7] {
        let show = |path: &Path| path.display().to_string();
        [
            ("LD_PRELOAD", show(shim)),
            ("LARDER_SHIM_UNDER", show(under)),
            ("LARDER_SHIM_LOG", show(log)),
            ("LARDER_SHIM_CALL", self.call.to_owned()),
            ("LARDER_SHIM_ERROR", self.error.to_owned()),
            ("LARDER_SHIM_AT", self.at.to_string()),
            ("LARDER_SHIM_TIMES", self.times.to_string()),
        ]
    }
}

/// Every file below a folder, sorted.
///
/// # Panics
/// When it cannot be listed.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

/// The ways in which a file is spoiled.
pub const HARMS: u64 = 4;

/// Spoils a file in place: cut off, bits flipped, gone, or noise in its stead. `number` chooses how and where.
///
/// # Panics
/// When the file cannot be spoiled.
pub fn spoil(path: &Path, number: u64, noise: &[u8]) {
    let bytes = fs::read(path).unwrap_or_default();
    let at = usize::try_from(number / HARMS).unwrap_or(0) % bytes.len().max(1);
    // What is published is read-only, which does not keep a failing disk from it.
    let _ = fs::remove_file(path);
    let harmed = match number % HARMS {
        0 => bytes[..at.min(bytes.len())].to_vec(),
        1 => {
            let mut bytes = bytes;
            for byte in bytes.iter_mut().skip(at).take(16) {
                *byte ^= 0x55;
            }
            bytes
        }
        2 => return,
        _ => noise.to_vec(),
    };
    fs::write(path, harmed).expect("spoiled");
}
