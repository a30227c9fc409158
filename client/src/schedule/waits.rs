//! What a push that nobody started by hand waits for: the mains, and a connection that does not cost by volume.

use super::{MeteredLine, is_metered};
use crate::{platform::is_on_battery, programs::Programs};
use std::time::Duration;

/// An answer is believed for so long: to ask takes a program each time.
pub(crate) const BELIEVED: Duration = Duration::from_secs(10);

/// What a push waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitsFor {
    Mains,
    /// A connection that does not cost by volume.
    FreeLine,
}

impl WaitsFor {
    /// As a result in a table.
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::Mains => "waits for the mains",
            Self::FreeLine => "waits: this connection costs by volume",
        }
    }
}

/// The owner's wishes, and what was found last.
pub(crate) struct PowerAndLine<'a> {
    programs: &'a dyn Programs,
    on_battery: bool,
    on_metered: bool,
    found: Option<(Duration, Option<WaitsFor>)>,
}

impl<'a> PowerAndLine<'a> {
    pub(crate) fn new(programs: &'a dyn Programs, on_battery: bool, on_metered: bool) -> Self {
        Self { programs, on_battery, on_metered, found: None }
    }

    /// What a push has to wait for at `now`, counted from some fixed moment.
    pub(crate) fn look(&mut self, now: Duration) -> Option<WaitsFor> {
        if let Some((_, found)) = self.found.filter(|(at, _)| now < *at + BELIEVED) {
            return found;
        }
        let found = if !self.on_battery && is_on_battery() {
            Some(WaitsFor::Mains)
        } else if !self.on_metered && is_metered(self.programs) == MeteredLine::Yes {
            Some(WaitsFor::FreeLine)
        } else {
            None
        };
        self.found = Some((now, found));
        found
    }
}
