//! What is new in a snapshot, and what was sent for it now.
//!
//! Two figures: a watch has sent nearly all of it ahead, a push that broke off a part, and another computer may have the same
//! files. With the second figure alone, six new pictures would be told as 1.4 kB.

use super::output::{counted, size};
use crate::{ChangedFiles, TransferProgress};
use serde_json::{Value, json};

/// `New or changed: 6 files, 1.2 MB; new to the appliance: 1.4 kB, sent now: 1.1 kB`.
pub(super) fn new_in_words(changed: Option<ChangedFiles>, progress: &TransferProgress) -> String {
    let sent = format!(
        "ew to the appliance: {}, sent now: {}",
        size(progress.new_bytes()),
        size(progress.sent_bytes())
    );
    match changed {
        Some(ChangedFiles { files: 0, .. }) => format!("No file is new or changed; n{sent}"),
        Some(ChangedFiles { files, bytes }) => {
            format!("New or changed: {}, {}; n{sent}", counted(files, "file", "files"), size(bytes))
        }
        None => format!("N{sent}"),
    }
}

/// The same for programs; null where it is not known.
pub(super) fn changed_json(changed: Option<ChangedFiles>) -> Value {
    changed.map_or(Value::Null, |ChangedFiles { files, bytes }| json!({ "files": files, "bytes": bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_new_and_what_was_sent_are_two_figures() {
        let progress = TransferProgress::default();
        progress.add_new_bytes(1400);
        progress.add_sent_bytes(1100);
        let told = |files| new_in_words(Some(ChangedFiles { files, bytes: files * 200_000 }), &progress);
        assert_eq!(
            told(6),
            "New or changed: 6 files, 1.2 MB; new to the appliance: 1.4 kB, sent now: 1.1 kB"
        );
        assert_eq!(told(0), "No file is new or changed; new to the appliance: 1.4 kB, sent now: 1.1 kB");
        assert_eq!(new_in_words(None, &progress), "New to the appliance: 1.4 kB, sent now: 1.1 kB");
    }
}
