//! Names of devices and sources.
//!
//! A source is called as the owner calls the folder, in any writing of the world, so names that look alike must be one
//! name and names that differ must stay two (docs/why/017-source-names.md). A device's name stays plain. Not here: topics
//! of a dashboard (`agent::edge::mqtt`), the name of a folder (`client`).

use unicode_normalization::{UnicodeNormalization, is_nfc};

/// Bytes of the second half of a source's name: the longest name of a folder.
pub const NAME_BYTES_MAX: usize = 255;
/// Ends the tags of a flag of a part of a country.
const TAGS_END: char = '\u{e007f}';
/// Letters of a plain name.
const PLAIN_LETTERS_MAX: usize = 64;

/// Whether `text` names a source: `DEVICE/NAME`, a plain name and a folder's name.
pub fn is_source_name(text: &str) -> bool {
    text.split_once('/').is_some_and(|(device, name)| is_plain_name(device) && is_folder_name(name))
}

/// Whether `text` can name a device: 1 to 64 letters, digits, `-`, `_` or `.` of ASCII, not starting with a dot, so the
/// name is safe in a path, a topic and a shell.
pub fn is_plain_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !text.is_empty() && text.len() <= PLAIN_LETTERS_MAX && !text.starts_with('.') && text.chars().all(plain)
}

/// Whether `text` can be the second half of a source's name: 1 to 255 bytes of visible text in Unicode's composed form
/// (NFC), without `/` and without white space at the ends, neither `.` nor `..`.
pub fn is_folder_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= NAME_BYTES_MAX
        && !matches!(text, "." | "..")
        && text.trim().len() == text.len()
        && !text.chars().any(|c| c == '/' || is_hidden(c))
        && is_nfc(text)
}

/// Whether each character of `text` changes what is seen, as in a name that comes in: a soft hyphen or an empty letter
/// makes a second name that looks like the first. Joiners may stand between characters outside ASCII, variation selectors
/// behind what is no letter, and tags behind a black flag, as in emoji and in scripts that join; there the text alone
/// does not say whether one changes anything. Names in the ledger are not asked: an older snapshot is read on.
pub fn is_visible(text: &str) -> bool {
    let is_joiner = |c: char| matches!(c, '\u{200c}' | '\u{200d}');
    let is_selector = |c: char| matches!(c, '\u{fe00}'..='\u{fe0f}');
    let is_tag = |c: char| matches!(c, '\u{e0020}'..=TAGS_END);
    let joins = |c: char| !c.is_ascii() && !c.is_whitespace() && !is_joiner(c);
    let selects = |c: char| !c.is_alphabetic() && !c.is_whitespace() && !is_joiner(c) && !is_selector(c);
    let mut before = None;
    let mut is_flag = false;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        is_flag = c == '\u{1f3f4}' || is_flag && is_tag(c) && before != Some(TAGS_END);
        let changes_something = if is_joiner(c) {
            before.is_some_and(joins) && rest.peek().copied().is_some_and(joins)
        } else if is_selector(c) {
            before.is_some_and(selects)
        } else {
            is_flag || !is_empty_letter(c)
        };
        if !changes_something {
            return false;
        }
        before = Some(c);
    }
    true
}

/// Whether nothing is drawn for a character: Unicode's Default_Ignorable_Code_Point, and the blank pattern of Braille.
fn is_empty_letter(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    ) || is_hidden(c)
}

/// `text` in Unicode's composed form. One computer writes `é` as one character and another as two; the owner sees a
/// single name.
pub fn composed(text: &str) -> String {
    if is_nfc(text) { text.to_owned() } else { text.nfc().collect() }
}

/// Whether a character is not seen, or turns the writing round: two names that differ only here look the same.
pub(super) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
        )
}

/// `name` as a person types it where a snapshot or a path may follow: `@`, `:` and `\` with a backslash before, and all of
/// it in quotes where a shell would tear it.
pub fn typed(name: &str, rest: &str) -> String {
    let mut word = String::with_capacity(name.len() + rest.len() + 2);
    for c in name.chars() {
        if matches!(c, '@' | ':' | '\\') {
            word.push('\\');
        }
        word.push(c);
    }
    word.push_str(rest);
    let is_safe = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '@' | ':');
    if word.chars().all(is_safe) { word } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_device_has_a_plain_name_and_a_source_any_visible_one() {
        for good in [
            "laptop/photos-2024.old",
            "a/My Files",
            "a/Böse",
            "a/ä",
            "a/写真",
            "a/صور",
            "a/.config",
            "a/a@b:c#+\\",
            "a/👩‍👩‍👧",
            "a/...",
        ] {
            assert!(is_source_name(good), "{good}");
        }
        let long = format!("a/{}", "ä".repeat(128));
        for bad in [
            "laptop",
            "/x",
            "a/",
            "a/b/c",
            "../x",
            "a/.",
            "a/..",
            "ä/b",
            "a b/c",
            "a/b ",
            "a/ b",
            "a/b\n",
            "a/b\u{202e}c",
            "a/b\u{200b}",
            "a/\u{feff}b",
            "a/a\u{308}",
            &long,
        ] {
            assert!(!is_source_name(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_new_name_has_no_character_that_nobody_sees() {
        for good in
            ["My Files", "写真", "👩‍👩‍👧", "☀️ 2024", "1️⃣", "می\u{200c}خواهم", "🏴\u{e0067}\u{e0062}\u{e007f}"]
        {
            assert!(is_visible(good), "{good}");
        }
        for bad in [
            "pho\u{ad}tos",
            "a\u{3164}",
            "\u{2800}",
            "a\u{34f}b",
            "a\u{fe0f}",
            "a\u{200d}b",
            "写\u{200c}",
            "a\u{e0041}",
            "🏴\u{e007f}\u{e0067}",
            "a🏴b\u{e0067}",
            "☀\u{fe0f}\u{fe0f}",
            "می\u{200c}\u{200c}خواهم",
            "\u{1160}",
        ] {
            assert!(!is_visible(bad), "{bad:?}");
            assert!(is_folder_name(&composed(bad)), "{bad:?} of an older snapshot is read");
        }
    }

    #[test]
    fn one_name_in_two_forms_is_one_name() {
        let (one, two) = ("Bo\u{308}se", "B\u{f6}se");
        assert_ne!(one, two);
        assert_eq!(composed(one), composed(two));
        assert!(is_folder_name(&composed(one)) && !is_folder_name(one));
    }

    #[test]
    fn a_name_is_typed_so_that_shell_and_place_understand_it() {
        let check = |name: &str, expect: &str| assert_eq!(typed(name, "@12"), expect, "{name}");
        check("laptop/photos", "laptop/photos@12");
        check("laptop/Böse", "laptop/Böse@12");
        check("laptop/My Files", "'laptop/My Files@12'");
        check("laptop/a@b", r"'laptop/a\@b@12'");
        check("laptop/it's", r"'laptop/it'\''s@12'");
    }

    proptest! {
        #[test]
        fn a_composed_name_stays_as_it_is(text: String) {
            let once = composed(&text);
            prop_assert_eq!(composed(&once), once);
        }

        #[test]
        fn any_text_is_judged_without_panic(text: String) {
            let _ = is_source_name(&text);
            prop_assert!(!is_plain_name(&text) || is_folder_name(&text));
        }
    }
}
