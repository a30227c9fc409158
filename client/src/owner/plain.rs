//! Text that cannot drive a terminal.
//!
//! Names of files, owners and sources, and every word of an appliance, were written by somebody else. A control
//! character among them could repaint the screen or fake a line of ours, and a mark of direction could turn a name
//! around. Such characters are shown as `\xNN`, byte by byte, in the way of `wire::escape_name`; JSON has its own
//! `\uNNNN` for them, so that programs still read the same text. Not here: where lines go (`output`, `screen`).

use larder_format::ledger::is_visible;
use serde_json::ser::{Formatter, PrettyFormatter};
use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, Write},
};

/// Whether a character acts on the terminal or on the direction of writing, or ends a line.
fn is_acting(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text as one line without any acting character.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains(is_acting) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        push_shown(&mut shown, c, is_acting(c));
    }
    Cow::Owned(shown)
}

/// The text with each character that is not seen as `\xNN`, byte by byte: a name with one looks like a name without fault.
/// Joiners and selectors are shown so too, since the text alone does not say which of them is at fault.
pub(super) fn with_unseen(text: &str) -> String {
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        let stands_alone = is_visible(c.encode_utf8(&mut [0; 4]));
        push_shown(&mut shown, c, is_acting(c) || !stands_alone);
    }
    shown
}

fn push_shown(shown: &mut String, c: char, as_bytes: bool) {
    if as_bytes {
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            write!(shown, "\\x{byte:02x}").expect("a string takes everything");
        }
    } else {
        shown.push(c);
    }
}

/// A part of a JSON string with every acting character as `\uNNNN`.
fn write_plain<W: ?Sized + Write>(out: &mut W, fragment: &str) -> io::Result<()> {
    let mut rest = fragment;
    while let Some(at) = rest.find(is_acting) {
        out.write_all(&rest.as_bytes()[..at])?;
        let mut after = rest[at..].chars();
        let acting = after.next().map(u32::from).unwrap_or_default();
        // All acting characters are below U+10000, so that one escape is enough.
        write!(out, "\\u{acting:04x}")?;
        rest = after.as_str();
    }
    out.write_all(rest.as_bytes())
}

/// JSON on one line, with every acting character as `\uNNNN`.
pub(super) struct PlainJsonLine;

impl Formatter for PlainJsonLine {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        write_plain(out, fragment)
    }
}

/// Pretty JSON with every acting character as `\uNNNN`.
#[derive(Default)]
pub(super) struct PlainJson(PrettyFormatter<'static>);

impl Formatter for PlainJson {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        write_plain(out, fragment)
    }

    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_array(out)
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array(out)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(out, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array_value(out)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object(out)
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object(out)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(out, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object_value(out)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object_value(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Serialize;

    /// A title, a cleared screen, a line end, a lone CSI of C1, a mark that turns text around, an isolate.
    const HOSTILE: &str = "\x1b]0;x\x07\x1b[2J a\nb\u{9b}31m\u{202e}txt.exe\u{2066}\u{61c}\r\u{7f}";

    #[test]
    fn what_acts_is_shown_as_bytes() {
        let shown = plain(HOSTILE);
        assert!(!shown.contains(is_acting), "{shown:?}");
        assert!(shown.contains("\\x1b[2J a\\x0ab\\xc2\\x9b31m\\xe2\\x80\\xaetxt.exe"), "{shown}");
        assert_eq!(
            with_unseen("pho\u{ad}tos \u{3164}é👩\u{200d}👧\u{202e}"),
            "pho\\xc2\\xadtos \\xe3\\x85\\xa4é👩\\xe2\\x80\\x8d👧\\xe2\\x80\\xae"
        );
        for fine in ["größe 🥫 \\x1b", "日本語", "a\u{301}", ""] {
            assert!(matches!(plain(fine), Cow::Borrowed(same) if same == fine), "{fine}");
        }
    }

    #[test]
    fn json_says_the_same_and_acts_on_nothing() {
        let value = serde_json::json!({ "a": [HOSTILE, 1, null, {}, []], HOSTILE: { "größe": "\"\\" } });
        let mut out = Vec::new();
        let mut serializer = serde_json::Serializer::with_formatter(&mut out, PlainJson::default());
        value.serialize(&mut serializer).expect("written");
        let text = String::from_utf8(out).expect("text");
        assert!(!text.replace('\n', "").contains(is_acting), "{text:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("JSON"), value);
        assert!(text.contains("größe"), "{text}");
    }
}
