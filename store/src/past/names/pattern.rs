//! What a person types to find a name: a part of it, or a pattern with `*` and `?`, in any case and any Unicode form.
//!
//! A Mac writes "é" as two characters, other systems as one, and nobody remembers the case. Both sides are folded alike.

use memchr::memmem::Finder;
use unicode_normalization::UnicodeNormalization;
use wildmatch::WildMatch;

/// A typed name, ready to be compared with millions.
pub(super) struct Pattern {
    kind: PatternKind,
    /// A pattern with `/` is about whole paths, any other about last names.
    is_about_paths: bool,
    scratch: Vec<u8>,
}

enum PatternKind {
    Part(Box<Finder<'static>>),
    Glob(Box<WildMatch>),
}

impl Pattern {
    pub(super) fn new(typed: &str) -> Self {
        let folded = folded(typed);
        let kind = if folded.contains(['*', '?']) {
            PatternKind::Glob(Box::new(WildMatch::new(&folded)))
        } else {
            PatternKind::Part(Box::new(Finder::new(folded.as_bytes()).into_owned()))
        };
        Self { kind, is_about_paths: typed.contains('/'), scratch: Vec::new() }
    }

    /// Whether the path is meant.
    pub(super) fn matches(&mut self, path: &[u8]) -> bool {
        let name =
            if self.is_about_paths { path } else { path.rsplit(|byte| *byte == b'/').next().unwrap_or(path) };
        self.scratch.clear();
        if name.is_ascii() {
            self.scratch.extend(name.iter().map(u8::to_ascii_lowercase));
        } else {
            self.scratch.extend_from_slice(folded(&String::from_utf8_lossy(name)).as_bytes());
        }
        match &self.kind {
            PatternKind::Part(finder) => finder.find(&self.scratch).is_some(),
            PatternKind::Glob(glob) => {
                std::str::from_utf8(&self.scratch).is_ok_and(|name| glob.matches(name))
            }
        }
    }
}

/// Lower case of the composed form, and composed again: some lower cases are two characters.
fn folded(text: &str) -> String {
    let composed: String = text.nfc().collect();
    composed.to_lowercase().nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_as_people_type_them() {
        let check = |typed: &str, path: &str, expect: bool| {
            assert_eq!(Pattern::new(typed).matches(path.as_bytes()), expect, "{typed} in {path}");
        };
        check("cat", "2024/My Cat.JPG", true);
        check("CAT", "2024/my cat.jpg", true);
        check("2024", "2024/my cat.jpg", false);
        check("2024/", "2024/my cat.jpg", true);
        check("cafe\u{301}", "Menü/CAFÉ.txt", true);
        check("café", "menu/Cafe\u{301}.txt", true);
        check("cafe", "café.txt", false);
        check("ÄRGER", "ärger", true);
        check("*.jpg", "a/b/Cat.JPG", true);
        check("*.jp", "a/b/cat.jpg", false);
        check("c?t.*", "a/b/cat.jpg", true);
        check("a/*/cat.jpg", "a/b/c/cat.jpg", true);
        check("*", "anything", true);
        check("[1]", "report [1].pdf", true);
    }

    #[test]
    fn names_that_are_no_text_are_found_by_what_is() {
        assert!(Pattern::new("report").matches(b"old/report-\xff\xfe.doc"));
        assert!(Pattern::new("*.DOC").matches(b"old/report-\xff.doc"));
    }
}
