//! Small text files of the agent's own, beside the vault: read under a cap, and replaced as a whole.

use rustix::fs::OFlags;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The text of a regular file, of at most `bytes_max` bytes; opening a planted FIFO would wait for ever.
pub(super) fn read_small(path: &Path, bytes_max: u64) -> io::Result<String> {
    let flags = OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let file = fs::OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a regular file"));
    }
    let mut text = String::new();
    file.take(bytes_max).read_to_string(&mut text)?;
    Ok(text)
}

/// Puts a new file in the place of any former file: half a file would be no file. Only this account may read it.
pub(super) fn replace_small(path: &Path, text: &str) -> io::Result<()> {
    let part = path.with_extension("part");
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&part)?
        .write_all(text.as_bytes())?;
    fs::rename(&part, path)
}

/// The same for what must be there after a power cut or a pulled disk.
pub(super) fn replace_durably(path: &Path, text: &str) -> io::Result<()> {
    replace_small(path, text)?;
    fs::File::open(path)?.sync_all()?;
    path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}

/// Puts a file that nobody can use beside its place, as `NAME.bad`.
pub(super) fn set_aside(path: &Path) -> io::Result<()> {
    fs::rename(path, path.with_extension("bad"))
}
