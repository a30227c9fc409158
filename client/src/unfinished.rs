//! Names of unfinished files of a restore. A push leaves files with such names out.

/// Beginning of the names; two numbers follow.
const PREFIX: &str = ".larder-restore-";

/// The name of the file number `number` of this process.
pub(crate) fn name(process: u32, number: u64) -> String {
    format!("{PREFIX}{process}-{number}")
}

/// Whether a broken-off restore left a file of this name. Only exact matches count: an owner's
/// `.larder-restore-notes` belongs in the backup.
pub(crate) fn is_unfinished(name: &[u8]) -> bool {
    let is_number = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let mut numbers = name.strip_prefix(PREFIX.as_bytes()).unwrap_or_default().split(|byte| *byte == b'-');
    numbers.next().is_some_and(is_number) && numbers.next().is_some_and(is_number) && numbers.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_halves_are_left_out() {
        assert!(is_unfinished(b".larder-restore-4711-0"));
        for kept in
            ["", ".larder-restore-", ".larder-restore-4711", ".larder-restore-a-1", ".larder-restore-1-2-3"]
        {
            assert!(!is_unfinished(kept.as_bytes()), "{kept}");
        }
        assert!(!is_unfinished(b".larder-restore-1-2.txt"));
    }
}
