//! Which part of a code a lamp says at a moment. Not here: the parts (`larder_panel`), whether a code is said (`panel`).

use larder_panel::{BlinkedCode, Rhythm};

/// A code in the middle of being said.
#[derive(Default)]
pub(super) struct CodePlayer {
    code: Option<BlinkedCode>,
    /// Parts that have begun.
    begun: usize,
    part_ends_ms: u64,
}

/// What a lamp says of a code at a moment.
pub(super) struct CodeMoment {
    pub(super) rhythm: Rhythm,
    /// It begins at this moment.
    pub(super) begins: bool,
    pub(super) ends_ms: u64,
}

impl CodePlayer {
    /// Says this code from now on, or none.
    pub(super) fn set(&mut self, code: Option<BlinkedCode>) {
        if code != self.code {
            *self = Self { code, ..Self::default() };
        }
    }

    /// Whatever came between made a digit unreadable: said again from its start.
    pub(super) fn begin_anew(&mut self) {
        (self.begun, self.part_ends_ms) = (0, 0);
    }

    /// What is said now; nothing without a code.
    pub(super) fn at(&mut self, now_ms: u64) -> Option<CodeMoment> {
        let code = self.code?;
        let begins = self.begun == 0 || self.part_ends_ms <= now_ms;
        let rhythm = code.part(if begins { self.begun } else { self.begun - 1 });
        if begins {
            // The last spell of a part is dark for longer than any timer is late.
            let length_ms: u64 = rhythm.beat_ms().iter().map(|ms| u64::from(*ms)).sum();
            (self.begun, self.part_ends_ms) = (self.begun + 1, now_ms.saturating_add(length_ms));
        }
        Some(CodeMoment { rhythm, begins, ends_ms: self.part_ends_ms })
    }
}
