//! The origin of a snapshot: the computer and the folder, as the device says.
//!
//! Two folders under one name would read as one folder whose files all were deleted, so the appliance compares the
//! origin of a push with the newest origin of the source. A computer's name is a weak sign: networks hand out other
//! domains, and a computer without a network calls itself `localhost`. Not here: refusing a push (`store`), asking the
//! system (`client`).

use super::name::is_hidden;
use serde::{Deserialize, Serialize};

/// Bytes of computer and path of an origin together, and of the paths of all `ContentHash`es of a snapshot together: a path
/// that Linux can open has 4096. Each stays in the ledger for ever.
pub const ORIGIN_BYTES_MAX: usize = 4096;

/// The computer and the folder of a snapshot, as the device says.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Origin {
    /// Name of the computer, as `wire::escape_name` writes it.
    pub computer: String,
    /// Absolute path of the pushed folder on the computer, as `wire::escape_name` writes it.
    pub path: String,
}

impl Origin {
    /// Whether both name the same folder of the same computer, as far as anybody can tell.
    pub fn is_same_folder(&self, other: &Self) -> bool {
        let (one, another) = (own_name(&self.computer), own_name(&other.computer));
        let is_same_computer = match (one, another) {
            (Some(one), Some(another)) => one.to_lowercase() == another.to_lowercase(),
            _ => true,
        };
        is_same_computer && self.path == other.path
    }

    /// `PATH on COMPUTER`, safe to print: a device may claim any text.
    pub fn in_words(&self) -> String {
        let safe = |text: &str| -> String {
            text.chars().map(|c| if is_hidden(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
        };
        match own_name(&self.computer) {
            Some(_) => format!("{} on {}", safe(&self.path), safe(&self.computer)),
            None => safe(&self.path),
        }
    }
}

/// The computer's name without its domain; none where the computer has no name of its own.
fn own_name(computer: &str) -> Option<&str> {
    let name = computer.split('.').next().unwrap_or_default();
    (!name.is_empty() && !name.eq_ignore_ascii_case("localhost")).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(computer: &str, path: &str) -> Origin {
        Origin { computer: computer.to_owned(), path: path.to_owned() }
    }

    #[test]
    fn another_network_makes_no_other_computer_and_another_path_another_folder() {
        let known = origin("Ada-PC", "/home/ada/src");
        for same in ["ada-pc", "ada-pc.fritz.box", "ADA-PC.local", "localhost", "localhost.localdomain", ""] {
            assert!(known.is_same_folder(&origin(same, "/home/ada/src")), "{same}");
            assert!(origin(same, "/home/ada/src").is_same_folder(&known), "{same}");
            assert!(!known.is_same_folder(&origin(same, "/home/ada/SRC")), "{same}");
        }
        assert!(!known.is_same_folder(&origin("bob-pc", "/home/ada/src")));
        assert!(!known.is_same_folder(&origin("ada", "/home/ada/src")));
    }

    #[test]
    fn a_claimed_origin_drives_no_terminal() {
        let told = origin("pc\u{1b}[2J", "/a\u{202e}b\n").in_words();
        assert_eq!(told, "/a\u{fffd}b\u{fffd} on pc\u{fffd}[2J");
        assert_eq!(origin("localhost", "/a").in_words(), "/a");
    }
}
