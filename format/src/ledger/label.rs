//! Labels: the words by which an owner calls a snapshot that stays.
//!
//! A label is also a WHEN (`SOURCE@before the move`), so no label may read like a moment: WHEN must mean one thing. Not
//! here: how long a label keeps a snapshot (`store`).

use super::name::{composed, is_hidden};
use crate::when::{WHEN_BYTES_MAX, When};

/// Bytes of a label; a longer label could not be typed as a WHEN.
pub const LABEL_BYTES_MAX: usize = WHEN_BYTES_MAX;

/// `text` as a label: composed, one space between words. `None` for a text that is empty, too long, has characters that
/// nobody sees, has a quote, or reads like a moment.
pub fn label(text: &str) -> Option<String> {
    let label = composed(&text.split_whitespace().collect::<Vec<_>>().join(" "));
    let is_sound = !label.is_empty()
        && label.len() <= LABEL_BYTES_MAX
        // A quote ends a quoted WHEN.
        && !label.chars().any(|c| c == '"' || is_hidden(c))
        && !When::is_form(&label);
    is_sound.then_some(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_label_is_any_visible_text_that_is_no_moment() {
        for (typed, read) in [
            ("before the move", "before the move"),
            ("  before \t the  move ", "before the move"),
            ("Ümzug: Küche/Bad", "Ümzug: Küche/Bad"),
            ("Bo\u{308}se", "B\u{f6}se"),
            ("v2", "v2"),
        ] {
            assert_eq!(label(typed).as_deref(), Some(read), "{typed}");
        }
        let long = "a".repeat(LABEL_BYTES_MAX + 1);
        for bad in [
            "",
            " ",
            "12",
            "-1",
            "latest",
            "Newest",
            "yesterday",
            "last tuesday",
            "2 weeks ago",
            "1h",
            "2026-03-31",
            "2026-03-31 10:00",
            "a \"b\"",
            "a\u{202e}b",
            "a\u{7}b",
            &long,
        ] {
            assert_eq!(label(bad), None, "{bad:?}");
        }
    }

    proptest! {
        /// What was read once reads the same again: a label can be typed back.
        #[test]
        fn a_label_stays_itself(text in ".{0,40}") {
            if let Some(read) = label(&text) {
                prop_assert_eq!(label(&read), Some(read));
            }
        }
    }
}
