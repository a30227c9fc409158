//! The lamp of this very box: finds, opens and plays it.
//!
//! Backups run without a lamp, so no call here can fail: a lamp that cannot be opened is reported once, in words, and
//! the agent goes on dark. Lamps may also vanish (an overlay is unloaded, a right is taken away), and are tried
//! again.
//!
//! The kernel's patterns are not used although they would cost no wake-ups: a pattern goes on after the death of this
//! process, and the message "you could restore right now" would then be a lie.
//!
//! Not here: reading the button (`button`), the choice of the rhythm (`decide`), rhythms (`larder-panel`), the lamps of each board
//! (`larder-firmware-config`).

mod any_lamp;
mod code_player;
mod led;
mod line;
mod terminal;

use std::fmt;
use std::path::Path;

use larder_firmware_config::{Board, ButtonPlace, LampPlace, PanelSettings};
use larder_panel::{BlinkedCode, Rhythm};

use self::any_lamp::AnyLamp;
use self::code_player::CodePlayer;
use self::led::Led;
use self::line::GpioLine;
use self::terminal::Terminal;
use super::gpio::find_line;

/// A change of mind within this time is not shown: work that starts and ends many times a second would flicker.
const DWELL_MS: u64 = 500;
/// A failed lamp is tried again after this long.
const RETRY_MS: u64 = 10_000;
/// How long the caller may sleep when no lamp has a change to play.
const IDLE_MS: u64 = 60_000;

/// Dark before the flash that answers the button: otherwise nobody would see it on a lit lamp.
const BEFORE_ANSWER_MS: u64 = 400;
/// The flash, and dark again for as long.
const ANSWER_MS: u64 = 500;

/// Every lamp of the box, and which button it has.
pub(crate) struct Panel {
    lights: Vec<Light>,
    trouble: Option<String>,
    wanted: Rhythm,
    shown: Rhythm,
    may_change_ms: u64,
    answer_ends_ms: u64,
    code: CodePlayer,
    button: Option<WiredButton>,
}

/// A button and the level that means pressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WiredButton {
    pub(crate) place: ButtonPlace,
    /// Whether a GPIO line is low while the button is pressed.
    pub(crate) active_low: bool,
}

/// One lamp and the part it plays.
struct Light {
    lamp: Box<dyn AnyLamp>,
    role: LightRole,
    place: String,
    failed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LightRole {
    /// Tells the whole message alone.
    Status,
    /// Shines only in trouble.
    Fault,
}

impl Panel {
    /// Opens the lamps named by the owner, or the board's lamps; `compatible` as in the device tree, most specific
    /// first. Never fails: a lamp that cannot be opened is trouble, not an error.
    pub(crate) fn open(settings: &PanelSettings, compatible: &[String]) -> Panel {
        Panel::open_below(Path::new("/"), settings, compatible)
    }

    fn open_below(root: &Path, settings: &PanelSettings, compatible: &[String]) -> Panel {
        let compatible: Vec<&str> = compatible.iter().map(String::as_str).collect();
        let named = settings.board.as_deref().and_then(Board::named);
        let board = named.unwrap_or_else(|| Board::recognise(&compatible));
        let (status, active_low) = match &settings.lamp {
            Some(lamp) => (std::slice::from_ref(lamp), settings.active_low),
            None => (board.status.as_slice(), board.active_low),
        };
        let mut panel = Panel::dark();
        panel.add(LightRole::Status, root, status, active_low);
        // A lamp named by the owner says the whole message alone; the box's own red lamp would only puzzle.
        if settings.lamp.is_none() {
            panel.add(LightRole::Fault, root, &board.fault, board.active_low);
        }
        let (button, active_low) = match &settings.button {
            Some(button) => (Some(button), settings.button_active_low),
            None => (board.button.as_ref(), board.button_active_low),
        };
        let button = button.filter(|place| **place != ButtonPlace::None).cloned();
        panel.button = button.map(|place| WiredButton { place, active_low });
        let places: Vec<&str> = panel.lights.iter().map(|light| light.place.as_str()).collect();
        tracing::info!(board = board.name, lamps = places.join(" "), "panel");
        panel
    }

    /// A panel without any lamp.
    pub(crate) fn dark() -> Panel {
        Panel {
            lights: Vec::new(),
            trouble: None,
            wanted: Rhythm::Off,
            shown: Rhythm::Off,
            may_change_ms: 0,
            answer_ends_ms: 0,
            code: CodePlayer::default(),
            button: None,
        }
    }

    /// Adds a lamp made of words on standard error, if a person is there to read.
    pub(crate) fn with_terminal(mut self) -> Panel {
        if let Some(terminal) = Terminal::on_stderr() {
            self.lights.push(Light::new(Box::new(terminal), LightRole::Status, "terminal".to_owned()));
        }
        self
    }

    /// Unusable lamps, in the owner's words.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.clone()
    }

    /// The lamps' message from now on; shown by the next tick.
    pub(crate) fn show(&mut self, rhythm: Rhythm) {
        self.wanted = rhythm;
    }

    /// While a computer may be paired, the lamps say this code; begun by the next tick.
    pub(crate) fn show_code(&mut self, code: Option<BlinkedCode>) {
        self.code.set(code);
    }

    /// The button named by the owner, or the board's.
    pub(crate) fn button(&self) -> Option<WiredButton> {
        self.button.clone()
    }

    /// Answers the button with one short flash, whatever else is shown; begun by the next tick.
    pub(crate) fn answer(&mut self, now_ms: u64) {
        // Pressed again during the flash, the box has heard all the same; a flash that began anew would never end.
        if self.answer_ends_ms <= now_ms {
            self.answer_ends_ms = now_ms.saturating_add(BEFORE_ANSWER_MS + ANSWER_MS);
            self.code.begin_anew();
        }
    }

    /// Plays up to `now_ms` and returns when to call again, always later than `now_ms`. To be called after `show`
    /// too.
    pub(crate) fn next_tick(&mut self, now_ms: u64) -> u64 {
        let mut next_ms = now_ms.saturating_add(IDLE_MS);
        if now_ms < self.answer_ends_ms {
            return self.play_answer(now_ms);
        }
        if self.wanted != self.shown {
            if self.may_change_ms <= now_ms {
                (self.shown, self.may_change_ms) = (self.wanted, now_ms.saturating_add(DWELL_MS));
            } else {
                next_ms = self.may_change_ms;
            }
        }
        let said = if self.shown == Rhythm::Pairing { self.code.at(now_ms) } else { None };
        if said.is_none() {
            // Hidden by something worse, a digit would go on in its middle.
            self.code.begin_anew();
        }
        let rhythm = said.as_ref().map_or(self.shown, |said| said.rhythm);
        for light in &mut self.lights {
            if said.as_ref().is_some_and(|said| said.begins) {
                // A lamp goes on with what it is shown again: without this, a digit after its like would stay dark.
                light.play(Rhythm::Off, now_ms);
            }
            next_ms = next_ms.min(light.play(rhythm, now_ms));
        }
        next_ms = next_ms.min(said.map_or(u64::MAX, |said| said.ends_ms));
        next_ms.max(now_ms.saturating_add(1))
    }

    fn play_answer(&mut self, now_ms: u64) -> u64 {
        let flash_ms = self.answer_ends_ms - ANSWER_MS;
        let (rhythm, part_ends_ms) =
            if now_ms < flash_ms { (Rhythm::Off, flash_ms) } else { (Rhythm::Heard, self.answer_ends_ms) };
        let next = self.lights.iter_mut().map(|light| light.play(rhythm, now_ms)).min();
        next.unwrap_or(part_ends_ms).min(part_ends_ms).max(now_ms.saturating_add(1))
    }

    /// Puts every lamp out: the last act of a process, and the whole of `larderd lamp-off`.
    pub(crate) fn off(&mut self) {
        (self.wanted, self.shown) = (Rhythm::Off, Rhythm::Off);
        for light in &mut self.lights {
            let put_out = light.lamp.put_out();
            light.note(put_out.err());
        }
    }

    /// Takes the first place that can be opened.
    fn add(&mut self, role: LightRole, root: &Path, places: &[LampPlace], active_low: bool) {
        let mut refusals = Vec::new();
        for place in places {
            match open_lamp(root, place, active_low) {
                Ok(None) => return,
                Ok(Some(lamp)) => {
                    self.lights.push(Light::new(lamp, role, place.to_string()));
                    return;
                }
                Err(cause) => refusals.push(format!("{place}: {cause}")),
            }
        }
        // A missing second lamp costs nothing: the first lamp tells the whole message.
        if role == LightRole::Status && !refusals.is_empty() {
            let trouble = "The lamp cannot be used. Your backups are not affected; only the lamp stays dark.";
            tracing::warn!(details = refusals.join("; "), "{trouble}");
            self.trouble = Some(format!("{trouble} details: {}", refusals.join("; ")));
        }
    }
}

impl fmt::Debug for Panel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places: Vec<&str> = self.lights.iter().map(|light| light.place.as_str()).collect();
        f.debug_struct("Panel").field("lights", &places).field("shown", &self.shown).finish_non_exhaustive()
    }
}

impl Light {
    fn new(lamp: Box<dyn AnyLamp>, role: LightRole, place: String) -> Light {
        Light { lamp, role, place, failed: false }
    }

    fn play(&mut self, rhythm: Rhythm, now_ms: u64) -> u64 {
        let wrong = matches!(rhythm, Rhythm::Alarm | Rhythm::NeedsYou(_));
        self.lamp.show(if wrong || self.role == LightRole::Status { rhythm } else { Rhythm::Off }, now_ms);
        let ticked = self.lamp.tick(now_ms);
        self.note(ticked.as_ref().err().cloned());
        ticked.unwrap_or_else(|_| now_ms.saturating_add(RETRY_MS))
    }

    /// Reports a failed lamp once, and its return once.
    fn note(&mut self, failure: Option<String>) {
        match failure {
            Some(cause) if !self.failed => {
                tracing::warn!(
                    place = self.place,
                    cause,
                    "the lamp stopped answering; backups are not affected"
                );
                self.failed = true;
            }
            None if self.failed => {
                tracing::info!(place = self.place, "the lamp answers again");
                self.failed = false;
            }
            _ => {}
        }
    }
}

/// The board's name in the device tree, most specific first; empty on a machine without a device tree.
pub(crate) fn compatible() -> Vec<String> {
    // Not by way of /proc/device-tree: the service sees only processes in /proc.
    let text = std::fs::read("/sys/firmware/devicetree/base/compatible").unwrap_or_default();
    let entries = text.split(|byte| *byte == 0).filter(|entry| !entry.is_empty());
    entries.map(|entry| String::from_utf8_lossy(entry).into_owned()).collect()
}

fn open_lamp(root: &Path, place: &LampPlace, active_low: bool) -> Result<Option<Box<dyn AnyLamp>>, String> {
    Ok(match place {
        LampPlace::None => None,
        LampPlace::Led(name) => Some(Box::new(Led::open(&root.join("sys/class/leds").join(name))?)),
        LampPlace::Gpio(line) => Some(Box::new(GpioLine::open(&find_line(line)?, active_low)?)),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::*;
    use larder_firmware_config::GpioPlace;
    use larder_panel::Digit;

    /// A folder that looks like the kernel's LED class, with these LEDs and their strongest light.
    fn box_with(leds: &[(&str, u32)]) -> TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, max) in leds {
            let led = led_of(&root, name);
            fs::create_dir_all(&led).unwrap();
            fs::write(led.join("max_brightness"), format!("{max}\n")).unwrap();
            fs::write(led.join("brightness"), "0\n").unwrap();
            fs::write(led.join("trigger"), "none [mmc0] heartbeat\n").unwrap();
        }
        root
    }

    fn led_of(root: &TempDir, name: &str) -> PathBuf {
        root.path().join("sys/class/leds").join(name)
    }

    fn light_of(root: &TempDir, name: &str) -> u32 {
        fs::read_to_string(led_of(root, name).join("brightness")).unwrap().trim().parse().unwrap()
    }

    fn open(root: &TempDir, settings: &PanelSettings, compatible: &str) -> Panel {
        Panel::open_below(root.path(), settings, &[compatible.to_owned()])
    }

    fn led(name: &str) -> PanelSettings {
        PanelSettings { lamp: Some(LampPlace::Led(name.to_owned())), ..PanelSettings::default() }
    }

    #[test]
    fn a_computer_without_lamps_has_no_trouble() {
        let mut panel = open(&box_with(&[]), &PanelSettings::default(), "linux,dummy-virt");
        assert_eq!(panel.trouble(), None);
        panel.show(Rhythm::Alarm);
        assert_eq!(panel.next_tick(5), 5 + IDLE_MS);
        panel.off();
    }

    #[test]
    fn a_lamp_that_is_not_there_is_told_in_words_and_stops_nothing() {
        let mut panel = open(&box_with(&[]), &led("ACT"), "");
        let trouble = panel.trouble().unwrap();
        assert!(trouble.starts_with("The lamp cannot be used. Your backups are not affected"), "{trouble}");
        assert!(trouble.contains("details: led:ACT: "), "{trouble}");
        panel.show(Rhythm::Ready);
        assert!(panel.next_tick(0) > 0);
        let line = PanelSettings {
            lamp: Some(LampPlace::Gpio(GpioPlace::Named("NO-SUCH-LINE".to_owned()))),
            ..led("")
        };
        assert!(open(&box_with(&[]), &line, "").trouble().unwrap().contains("NO-SUCH-LINE"));
    }

    #[test]
    fn a_board_finds_its_lamp_under_either_name() {
        let root = box_with(&[("led0", 1), ("led1", 1)]);
        let mut panel = open(&root, &PanelSettings::default(), "raspberrypi,4-model-b");
        assert_eq!(panel.trouble(), None);
        assert_eq!(fs::read_to_string(led_of(&root, "led0").join("trigger")).unwrap().trim(), "none");
        panel.show(Rhythm::Ready);
        assert_eq!(panel.next_tick(0), 4_880);
        assert_eq!((light_of(&root, "led0"), light_of(&root, "led1")), (1, 0));
        panel.show(Rhythm::Alarm);
        assert_eq!(panel.next_tick(1_000), 1_250);
        assert_eq!(
            (light_of(&root, "led0"), light_of(&root, "led1")),
            (1, 1),
            "trouble lights the red one too"
        );
        panel.off();
        assert_eq!((light_of(&root, "led0"), light_of(&root, "led1")), (0, 0));
    }

    #[test]
    fn work_breathes_where_the_lamp_can_dim_and_blinks_where_it_cannot() {
        let root = box_with(&[("dims", 255), ("hard", 1)]);
        let (mut dims, mut hard) = (open(&root, &led("dims"), ""), open(&root, &led("hard"), ""));
        let (mut seen, mut now_ms) = (Vec::new(), 0);
        while now_ms < 3_000 {
            dims.show(Rhythm::Busy);
            now_ms = dims.next_tick(now_ms);
            seen.push(light_of(&root, "dims"));
        }
        assert_eq!(seen.iter().max(), Some(&255));
        assert!(seen.iter().filter(|light| (1..255).contains(*light)).count() > 20, "{seen:?}");
        hard.show(Rhythm::Busy);
        assert_eq!(hard.next_tick(0), 1_000);
        assert_eq!(light_of(&root, "hard"), 1);
    }

    #[test]
    fn work_that_starts_and_ends_quickly_does_not_flicker() {
        let root = box_with(&[("ACT", 1)]);
        let mut panel = open(&root, &led("ACT"), "");
        let mut flashes_ms: Vec<u64> = Vec::new();
        let mut dark = true;
        for now_ms in (0..30_000).step_by(20) {
            panel.show(if (now_ms / 60) % 2 == 0 { Rhythm::Busy } else { Rhythm::Ready });
            panel.next_tick(now_ms);
            let light = light_of(&root, "ACT") > 0;
            if light && dark {
                flashes_ms.push(now_ms);
            }
            dark = !light;
        }
        assert!(flashes_ms.windows(2).all(|pair| pair[1] - pair[0] >= 500), "{flashes_ms:?}");
    }

    #[test]
    fn the_button_is_answered_by_one_short_flash_on_a_lit_lamp_and_on_a_dark_one() {
        for rhythm in [Rhythm::Ready, Rhythm::Off] {
            let root = box_with(&[("ACT", 1)]);
            let mut panel = open(&root, &led("ACT"), "");
            panel.show(rhythm);
            panel.next_tick(0);
            let before = light_of(&root, "ACT");
            panel.answer(1_000);
            let (mut now_ms, mut seen) = (1_000, Vec::new());
            while now_ms < 2_400 {
                let next_ms = panel.next_tick(now_ms);
                let light = light_of(&root, "ACT");
                if seen.last().is_none_or(|(_, last)| *last != light) {
                    seen.push((now_ms, light));
                }
                // Pressed by somebody nervous: heard once.
                if now_ms < 1_500 {
                    panel.answer(now_ms);
                }
                now_ms = next_ms;
            }
            let mut expect = vec![(1_000, 0), (1_400, 1), (1_500, 0)];
            expect.extend((before == 1).then_some((1_900, 1)));
            assert_eq!(seen, expect, "{rhythm:?}");
        }
    }

    /// Reads a code off a lamp as a person would: flashes are counted until it is dark for a second.
    #[test]
    fn a_code_is_read_off_the_lamp_while_a_computer_may_be_paired() {
        let root = box_with(&[("ACT", 1)]);
        let mut panel = open(&root, &led("ACT"), "raspberrypi,4-model-b");
        let digits = [3, 3, 1, 6, 6, 2, 5, 4];
        panel.show(Rhythm::Pairing);
        panel.show_code(Some(BlinkedCode::new(digits.map(|digit| Digit::new(digit).unwrap()))));
        let (mut now_ms, mut was_lit, mut changed_ms) = (0, false, 0);
        let (mut seen, mut flashes) = (Vec::new(), 0);
        let mut tick = |panel: &mut Panel, until_ms: u64| {
            while now_ms < until_ms {
                let next_ms = panel.next_tick(now_ms);
                let is_lit = light_of(&root, "ACT") > 0;
                if is_lit != was_lit {
                    let spell_ms = now_ms - changed_ms;
                    match (was_lit, spell_ms) {
                        (true, 1_000..) => {
                            seen.push(0);
                            flashes = 0;
                        }
                        (true, _) => flashes += 1,
                        (false, 1_000..) if flashes > 0 => seen.push(std::mem::take(&mut flashes)),
                        _ => {}
                    }
                    (was_lit, changed_ms) = (is_lit, now_ms);
                }
                now_ms = next_ms.min(until_ms);
            }
        };
        tick(&mut panel, 80_000);
        // In the middle of a digit somebody presses the button: the code is said from its start.
        panel.answer(80_000);
        tick(&mut panel, 111_000);
        let whole: Vec<u8> = [0].into_iter().chain(digits).collect();
        assert!(seen.starts_with(&[&whole[..], &whole[..]].concat()), "{seen:?}");
        assert!(seen.ends_with(&whole), "{seen:?}");
        // An alarm hides it, and afterwards it begins anew; without a window nothing is said.
        panel.show(Rhythm::Alarm);
        panel.next_tick(121_000);
        panel.show(Rhythm::Ready);
        panel.next_tick(122_000);
        assert_eq!(light_of(&root, "ACT"), 1, "as ever");
    }

    #[test]
    fn the_owner_names_a_button_or_none_and_else_the_board_has_its_own() {
        let button = |text: Option<&str>, board: &str| {
            let button = text.and_then(ButtonPlace::parse);
            let settings = PanelSettings { button, ..PanelSettings::default() };
            open(&box_with(&[]), &settings, board).button()
        };
        let key = Some(WiredButton { place: ButtonPlace::Key(133), active_low: false });
        assert_eq!(button(None, "qnap,ts219"), key);
        assert_eq!(button(Some("none"), "qnap,ts219"), None);
        assert_eq!(button(None, "linux,dummy-virt"), None);
        let line = ButtonPlace::Gpio(GpioPlace::Named("GPIO27".to_owned()));
        assert_eq!(button(Some("gpio:GPIO27"), ""), Some(WiredButton { place: line, active_low: true }));
    }

    #[test]
    fn a_lamp_that_fails_is_tried_again() {
        struct Flaky(u32);
        impl AnyLamp for Flaky {
            fn show(&mut self, _: Rhythm, _: u64) {}
            fn tick(&mut self, now_ms: u64) -> Result<u64, String> {
                self.0 += 1;
                if self.0 == 1 { Err("gone".to_owned()) } else { Ok(now_ms + 7) }
            }
            fn put_out(&mut self) -> Result<(), String> {
                Ok(())
            }
        }
        let mut panel = Panel::dark();
        panel.lights.push(Light::new(Box::new(Flaky(0)), LightRole::Status, "flaky".to_owned()));
        assert_eq!(panel.next_tick(100), 100 + RETRY_MS);
        assert_eq!(panel.next_tick(100 + RETRY_MS), 107 + RETRY_MS);
    }
}
