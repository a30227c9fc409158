//! What a person types to find a name: a part of it, or a pattern with `*` and `?`, in any case and any Unicode form.

use larder_format::names::{NamesFilter, folded};
use memchr::memmem::Finder;
use wildmatch::WildMatch;

/// A typed name, ready to be compared with millions.
pub(super) struct Pattern {
    kind: PatternKind,
    /// The longest piece of text that every match has in one name; none if a pattern has no text.
    piece: Option<Box<Finder<'static>>>,
}

/// A pattern with `/` is about whole paths, any other about last names.
enum PatternKind {
    Part(Box<Finder<'static>>),
    /// Up to the last `/`, and behind.
    PathPart {
        whole: Box<Finder<'static>>,
        above: Vec<u8>,
        begin: Vec<u8>,
    },
    Glob(Box<WildMatch>),
    PathGlob(Box<WildMatch>),
}

/// Which names of one folder are meant.
pub(super) enum NameTest<'a> {
    Nothing,
    Everything,
    Begin(&'a [u8]),
    Part(&'a Finder<'static>),
    Glob { glob: &'a WildMatch, above: String },
}

impl Pattern {
    pub(super) fn new(typed: &str) -> Self {
        let typed = String::from_utf8_lossy(&folded(typed.as_bytes())).into_owned();
        let part = |text: &str| Box::new(Finder::new(text.as_bytes()).into_owned());
        let is_glob = typed.contains(['*', '?']);
        let kind = match typed.rfind('/') {
            Some(_) if is_glob => PatternKind::PathGlob(Box::new(WildMatch::new(&typed))),
            None if is_glob => PatternKind::Glob(Box::new(WildMatch::new(&typed))),
            None => PatternKind::Part(part(&typed)),
            Some(at) => PatternKind::PathPart {
                whole: part(&typed),
                above: typed.as_bytes()[..=at].to_vec(),
                begin: typed.as_bytes()[at + 1..].to_vec(),
            },
        };
        let breaks: &[char] = if is_glob { &['/', '*', '?'] } else { &['/'] };
        let piece = typed.split(breaks).max_by_key(|piece| piece.len()).filter(|piece| !piece.is_empty());
        Self { kind, piece: piece.map(part) }
    }

    /// False only if no name and no folder in these folded texts is meant.
    pub(super) fn may_be_in(&self, texts: &[u8]) -> bool {
        self.piece.as_ref().is_none_or(|piece| piece.find(texts).is_some())
    }

    /// False only if no name and no folder of the filter's block is meant.
    pub(super) fn may_have(&self, filter: &NamesFilter<'_>) -> bool {
        self.piece.as_ref().is_none_or(|piece| filter.may_have_text(piece.needle()))
    }

    /// The test for the names of a folder, whose path is folded.
    pub(super) fn in_folder(&self, folder: &[u8]) -> NameTest<'_> {
        match &self.kind {
            PatternKind::Part(part) => NameTest::Part(part),
            PatternKind::Glob(glob) => NameTest::Glob { glob, above: String::new() },
            PatternKind::PathPart { .. } | PatternKind::PathGlob(_) => {
                let mut above = folder.to_vec();
                if !folder.is_empty() {
                    above.push(b'/');
                }
                self.below(above)
            }
        }
    }

    /// The test for the names behind a path that ends with `/` or is empty.
    fn below(&self, path: Vec<u8>) -> NameTest<'_> {
        match &self.kind {
            PatternKind::PathPart { whole, .. } if whole.find(&path).is_some() => NameTest::Everything,
            PatternKind::PathPart { above, begin, .. } if path.ends_with(above) => NameTest::Begin(begin),
            PatternKind::PathGlob(glob) => {
                // Folded texts are texts.
                String::from_utf8(path).map_or(NameTest::Nothing, |above| NameTest::Glob { glob, above })
            }
            _ => NameTest::Nothing,
        }
    }
}

impl NameTest<'_> {
    /// Whether a folded name is meant.
    pub(super) fn is_meant(&mut self, name: &[u8]) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Begin(begin) => name.starts_with(begin),
            Self::Part(part) => part.find(name).is_some(),
            Self::Glob { glob, above } => std::str::from_utf8(name).is_ok_and(|name| {
                let len = above.len();
                above.push_str(name);
                let is_meant = glob.matches(above);
                above.truncate(len);
                is_meant
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_meant(typed: &str, path: &[u8]) -> bool {
        let pattern = Pattern::new(typed);
        let at = path.iter().rposition(|byte| *byte == b'/');
        let (folder, name) = at.map_or((&path[..0], path), |at| (&path[..at], &path[at + 1..]));
        let (folder, name) = (folded(folder), folded(name));
        let is_meant = pattern.in_folder(&folder).is_meant(&name);
        let both = [&*folder, b"\0", &*name].concat();
        assert!(!is_meant || pattern.may_be_in(&both), "{typed} is stepped over");
        is_meant
    }

    #[test]
    fn names_are_found_as_people_type_them() {
        let check = |typed: &str, path: &str, expect: bool| {
            assert_eq!(is_meant(typed, path.as_bytes()), expect, "{typed} in {path}");
        };
        check("cat", "2024/My Cat.JPG", true);
        check("CAT", "2024/my cat.jpg", true);
        check("2024", "2024/my cat.jpg", false);
        check("2024/", "2024/my cat.jpg", true);
        check("2024/", "2024", false);
        check("24/my", "2024/my cat.jpg", true);
        check("24/cat", "2024/my cat.jpg", false);
        check("a/b", "x/a/b/c", true);
        check("a/b/c", "x/a/b/c", true);
        check("/b", "a/b", true);
        check("/b", "b", false);
        check("/", "b", false);
        check("/", "a/b", true);
        check("cafe\u{301}", "Menü/CAFÉ.txt", true);
        check("café", "menu/Cafe\u{301}.txt", true);
        check("CAFE\u{301}/M", "café/menu.txt", true);
        check("cafe", "café.txt", false);
        check("cafe", "cafe\u{301}.txt", false);
        check("ÄRGER", "ärger", true);
        check("ΟΔΟΣ", "Οδος 7.txt", true);
        check("*.jpg", "a/b/Cat.JPG", true);
        check("*.jp", "a/b/cat.jpg", false);
        check("c?t.*", "a/b/cat.jpg", true);
        check("c?t.*", "c/cut.d/e", false);
        check("a/*/cat.jpg", "a/b/c/cat.jpg", true);
        check("a/*/Cät.jpg", "A/b/c/cät.jpg", true);
        check("*/?", "a/b", true);
        check("*", "anything", true);
        check("[1]", "report [1].pdf", true);
    }

    #[test]
    fn names_that_are_no_text_are_found_by_what_is() {
        assert!(is_meant("report", b"old/report-\xff\xfe.doc"));
        assert!(is_meant("*.DOC", b"old/report-\xff.doc"));
    }
}
