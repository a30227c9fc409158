//! The word to say once, after the first backup: that it can go by itself.

use super::output::Output;
use crate::{push::named_folder, schedule::ScheduledPushes};
use std::{
    io::{self, IsTerminal},
    path::PathBuf,
};

/// Offers a schedule to a person at a terminal, unless one of the folders has one.
pub(super) fn offer_schedule(folders: &[PathBuf], output: &mut Output) -> io::Result<()> {
    if output.is_quiet() || !io::stdout().is_terminal() {
        return Ok(());
    }
    let is_scheduled = |folder: &PathBuf| match (ScheduledPushes::of_account(), named_folder(folder)) {
        (Ok(scheduled), Ok(folder)) => scheduled.has_folder(&folder),
        _ => true,
    };
    if folders.iter().any(is_scheduled) {
        return Ok(());
    }
    let folders: Vec<String> = folders.iter().map(|folder| as_word(&folder.display().to_string())).collect();
    output.line(format!("To do this by itself: larder schedule {}", folders.join(" ")))
}

/// A path as a word of a command line.
fn as_word(path: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+@%:,~".contains(c);
    if path.chars().all(is_plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offered_command_can_be_pasted() {
        assert_eq!(as_word("/home/ada/Photos"), "/home/ada/Photos");
        assert_eq!(as_word("My Photos"), "'My Photos'");
        assert_eq!(as_word("Ada's $HOME"), r"'Ada'\''s $HOME'");
    }
}
