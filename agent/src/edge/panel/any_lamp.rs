//! The abilities of every kind of lamp. Not here: rhythms (`larder-panel`), the choice of the lamp (`panel`).

use larder_panel::Rhythm;

/// A lamp of any kind.
pub(super) trait AnyLamp: Send {
    /// As `larder_panel::Lamp::show`.
    fn show(&mut self, rhythm: Rhythm, now_ms: u64);
    /// As `larder_panel::Lamp::tick`; the error is the cause in the system's words.
    fn tick(&mut self, now_ms: u64) -> Result<u64, String>;
    /// Dark at once.
    fn put_out(&mut self) -> Result<(), String>;
}
