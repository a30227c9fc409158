//! The names in a folder, sorted by their bytes, in as little memory as possible.
//!
//! A folder of a million files costs the bytes of the names and 8 bytes for each name: no allocation for a name. Not
//! here: asking the system for the names (`OpenFolder`).

/// Names of a folder, sorted, without `.` and `..`.
#[derive(Debug, Clone, Default)]
pub(crate) struct NameList {
    /// The names back to back.
    bytes: Vec<u8>,
    spans: Vec<NameSpan>,
}

#[derive(Debug, Clone, Copy)]
struct NameSpan {
    start: u32,
    len: u16,
    hint: KindHint,
}

/// The kind of an entry as far as the folder itself tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KindHint {
    Folder,
    Other,
    /// Some filesystems do not tell.
    Unknown,
}

impl NameSpan {
    fn of(self, bytes: &[u8]) -> &[u8] {
        let start = self.start as usize;
        &bytes[start..start + usize::from(self.len)]
    }
}

impl NameList {
    /// Adds a name; nothing where the listing is full, at 4 GiB of names or at a name of 64 KiB: more than any
    /// filesystem holds in a folder.
    pub(crate) fn add(&mut self, name: &[u8], hint: KindHint) -> Option<()> {
        let start = u32::try_from(self.bytes.len()).ok()?;
        let len = u16::try_from(name.len()).ok()?;
        self.bytes.extend_from_slice(name);
        self.spans.push(NameSpan { start, len, hint });
        Some(())
    }

    /// Sorts the added names; to be called before any question.
    pub(crate) fn sort(&mut self) {
        let bytes = &self.bytes;
        self.spans.sort_unstable_by(|a, b| a.of(bytes).cmp(b.of(bytes)));
        // A folder that changes during the listing may show a name twice; a node must not.
        self.spans.dedup_by(|a, b| a.of(bytes) == b.of(bytes));
    }

    pub(crate) fn len(&self) -> usize {
        self.spans.len()
    }

    pub(crate) fn name(&self, position: usize) -> &[u8] {
        self.spans[position].of(&self.bytes)
    }

    pub(crate) fn hint(&self, position: usize) -> KindHint {
        self.spans[position].hint
    }

    pub(crate) fn set_hint(&mut self, position: usize, hint: KindHint) {
        self.spans[position].hint = hint;
    }

    /// Keeps only the names that `keep` accepts.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&[u8], KindHint) -> bool) {
        let bytes = &self.bytes;
        self.spans.retain(|span| keep(span.of(bytes), span.hint));
    }

    pub(crate) fn contains(&self, name: &[u8]) -> bool {
        self.position(name).is_some()
    }

    /// Position of `name`, if it is among the names.
    pub(crate) fn position(&self, name: &[u8]) -> Option<usize> {
        self.spans.binary_search_by(|span| span.of(&self.bytes).cmp(name)).ok()
    }
}
