//! The abilities of every kind of contact, and waiting for a file. Not here: gestures (`larder-panel`).

use std::fs::File;
use std::io;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// The shortest rest between two looks. A contact that flutters without end costs two hundred looks a second and no more;
/// a level has to stand still for longer than this to count.
const REST: Duration = Duration::from_millis(5);

/// A contact of any kind.
pub(super) trait AnyContact {
    /// Rests until the contact may have changed, for at most so long. The error is the cause in the system's words.
    fn rest(&mut self, at_most_ms: u64) -> Result<(), String>;
    /// Whether the button is pressed at this moment.
    fn is_pressed(&mut self) -> Result<bool, String>;
}

/// Waits until there is something to read, and returns whether there is.
pub(super) fn wait_for(file: &File, at_most_ms: u64) -> Result<bool, String> {
    thread::park_timeout(REST);
    is_readable(file, at_most_ms)
}

/// The same without the rest before.
pub(super) fn is_readable(file: &File, at_most_ms: u64) -> Result<bool, String> {
    let at_most = Timespec::try_from(Duration::from_millis(at_most_ms)).map_err(|e| e.to_string())?;
    let mut asked = [PollFd::new(file, PollFlags::IN)];
    match poll(&mut asked, Some(&at_most)) {
        Ok(0) | Err(Errno::INTR) => Ok(false),
        Ok(_) if asked[0].revents().contains(PollFlags::IN) => Ok(true),
        Ok(_) => Err("it is gone".to_owned()),
        Err(error) => Err(io::Error::from(error).to_string()),
    }
}

/// Rests where there is nothing to wait for.
pub(super) fn rest(at_most_ms: u64) {
    thread::park_timeout(Duration::from_millis(at_most_ms).max(REST));
}
