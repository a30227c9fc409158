//! Boards as data: the lamps, buttons and displays of one kind of hardware, and how to recognise the board.
//!
//! A new board is a new file in `boards/` and needs no code. The files are part of the binary, since an appliance with
//! a worn-out system card should still find its lamp. An unreadable file here is caught by the tests, and is skipped at
//! run time: a lamp is not worth a backup.
//!
//! Built-in lamps are driven unasked. Lines of a bare header are not, unless the owner names the board or the line: the
//! wiring is unknown, and an output meeting a pressed button is a short.
//!
//! Not here: reading the device tree, opening lines (`agent::edge`).

use std::sync::LazyLock;

use crate::mistake::Mistake;
use crate::places::{ButtonPlace, LampPlace};
use crate::reader::Reader;
use crate::syntax::Readable;
use crate::values;

/// Every file of `boards/`, `generic` first.
const FILES: &[(&str, &str)] = &[
    ("generic", include_str!("../boards/generic.toml")),
    ("cm3588-nas", include_str!("../boards/cm3588-nas.toml")),
    ("helios4", include_str!("../boards/helios4.toml")),
    ("helios64", include_str!("../boards/helios64.toml")),
    ("odroid-hc2", include_str!("../boards/odroid-hc2.toml")),
    ("odroid-hc4", include_str!("../boards/odroid-hc4.toml")),
    ("orange-pi-5", include_str!("../boards/orange-pi-5.toml")),
    ("qnap-ts219", include_str!("../boards/qnap-ts219.toml")),
    ("raspberry-pi-3", include_str!("../boards/raspberry-pi-3.toml")),
    ("raspberry-pi-4", include_str!("../boards/raspberry-pi-4.toml")),
    ("raspberry-pi-5", include_str!("../boards/raspberry-pi-5.toml")),
    ("raspberry-pi-header", include_str!("../boards/raspberry-pi-header.toml")),
    ("raspberry-pi-penta", include_str!("../boards/raspberry-pi-penta.toml")),
    ("readynas-104", include_str!("../boards/readynas-104.toml")),
];

static BOARDS: LazyLock<Vec<Board>> =
    LazyLock::new(|| FILES.iter().filter_map(|(_, text)| Board::from_toml(text).ok()).collect());
static GENERIC: LazyLock<Board> = LazyLock::new(Board::default);

/// The wiring of one kind of hardware.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Board {
    /// Word in the settings; also the name of the file.
    pub name: String,
    /// Name used by people.
    pub title: String,
    /// Entries of the device tree's `compatible` for this board. Empty: only chosen by name.
    pub compatible: Vec<String>,
    /// The main status lamp: the first of these places present on the running system.
    pub status: Vec<LampPlace>,
    /// A second lamp, lit only for a fault. Likewise the first place present; may be empty.
    pub fault: Vec<LampPlace>,
    /// Whether GPIO lamps of this board shine at low level. LEDs of the kernel know their own polarity.
    pub active_low: bool,
    /// The backup button, if any.
    pub button: Option<ButtonPlace>,
    /// Whether a GPIO button reads low when pressed.
    pub button_active_low: bool,
    /// A small display, if any.
    pub display: Option<Display>,
    /// Notes for an owner or a packager.
    pub notes: String,
    /// Source of these facts.
    pub source: String,
}

/// A small display on an I2C bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Display {
    /// Kind of controller, such as `ssd1306`.
    pub kind: String,
    /// Device file of the bus, such as `/dev/i2c-1`.
    pub bus: String,
    /// Address on the bus.
    pub address: u32,
    /// Dots from left to right.
    pub width: u32,
    /// Dots from top to bottom.
    pub height: u32,
}

impl Board {
    /// The board described by the device tree; `compatible` is most specific first, as the kernel gives the list. For
    /// unknown hardware the generic board, without a lamp.
    pub fn recognise(compatible: &[&str]) -> &'static Board {
        let known = |entry: &&str| BOARDS.iter().find(|board| board.compatible.iter().any(|c| c == entry));
        compatible.iter().find_map(known).unwrap_or_else(Board::generic)
    }

    /// The board of this name.
    pub fn named(name: &str) -> Option<&'static Board> {
        BOARDS.iter().find(|board| board.name == name)
    }

    /// Every known board.
    pub fn all() -> &'static [Board] {
        &BOARDS
    }

    /// The board without lamp and button. Every function works there.
    pub fn generic() -> &'static Board {
        Board::named("generic").unwrap_or(&GENERIC)
    }

    /// Reads the text of a board file.
    ///
    /// # Errors
    ///
    /// Every mistake in the text, in the order of the lines.
    pub fn from_toml(text: &str) -> Result<Board, Vec<Mistake>> {
        let readable = Readable::new(text);
        let reader = &mut Reader::new(&readable);
        let board = Board {
            name: reader.require("board", "name", values::slug),
            title: reader.require("board", "title", values::name),
            compatible: reader.read("board", "compatible", Vec::new(), values::texts),
            notes: reader.read("board", "notes", String::new(), prose),
            source: reader.require("board", "source", prose),
            status: reader.read("lamps", "status", Vec::new(), values::lamps),
            fault: reader.read("lamps", "fault", Vec::new(), values::lamps),
            active_low: reader.read("lamps", "active_low", false, values::yes_or_no),
            button: reader.read_if_written("button", "at", values::button),
            button_active_low: reader.read("button", "active_low", false, values::yes_or_no),
            display: display(reader),
        };
        let mistakes = reader.finish();
        if mistakes.is_empty() { Ok(board) } else { Err(mistakes) }
    }
}

fn display(reader: &mut Reader<'_>) -> Option<Display> {
    const DOTS_MAX: u32 = 1_024;
    let kind = reader.read_if_written("display", "kind", values::slug);
    let bus = reader.read_if_written("display", "bus", prose);
    let address = reader.read_if_written("display", "address", |value| values::count(value, 0x03, 0x77));
    let width = reader.read_if_written("display", "width", |value| values::count(value, 1, DOTS_MAX));
    let height = reader.read_if_written("display", "height", |value| values::count(value, 1, DOTS_MAX));
    let display =
        (|| Some(Display { kind: kind?, bus: bus?, address: address?, width: width?, height: height? }))();
    if display.is_none() {
        let keys = ["kind", "bus", "address", "width", "height"].map(|key| ("display", key));
        let found = "only a part of a display".to_owned();
        reader.contradiction(&keys, found, "write kind, bus, address, width and height".to_owned());
    }
    display
}

fn prose(value: &toml::de::DeValue<'_>) -> Result<String, String> {
    values::text(value, "\"...\"").map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_board_file_is_forgotten_and_each_can_be_read() {
        let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/boards")).unwrap();
        let on_disk: BTreeSet<String> = folder
            .map(|entry| entry.unwrap().file_name().into_string().unwrap().replace(".toml", ""))
            .collect();
        let built_in: BTreeSet<String> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(on_disk, built_in);
        for (name, text) in FILES {
            let board = Board::from_toml(text).unwrap_or_else(|mistakes| panic!("{name}: {mistakes:?}"));
            assert_eq!(board.name, *name);
            assert!(!board.source.is_empty(), "{name} says where its records come from");
        }
        assert_eq!(Board::all().len(), FILES.len());
    }

    #[test]
    fn no_two_boards_claim_the_same_hardware() {
        let mut claims = BTreeSet::new();
        for board in Board::all() {
            for entry in &board.compatible {
                assert!(claims.insert(entry), "{entry} is claimed twice");
                assert!(entry.contains(','), "{entry}: a compatible entry is VENDOR,BOARD");
            }
        }
    }

    #[test]
    fn a_box_that_recognises_itself_is_never_driven_on_a_bare_header() {
        for board in Board::all().iter().filter(|board| !board.compatible.is_empty()) {
            assert!(
                !board.status.iter().chain(&board.fault).any(|lamp| lamp.gpio().is_some()),
                "{}",
                board.name
            );
        }
    }

    #[test]
    fn the_most_specific_entry_decides() {
        let check = |given: &[&str], expect| assert_eq!(Board::recognise(given).name, expect, "{given:?}");
        check(&["raspberrypi,4-model-b", "brcm,bcm2711"], "raspberry-pi-4");
        check(&["raspberrypi,5-model-b", "brcm,bcm2712"], "raspberry-pi-5");
        check(&["raspberrypi,3-model-b-plus", "brcm,bcm2837"], "raspberry-pi-3");
        check(&["hardkernel,odroid-hc4", "amlogic,sm1"], "odroid-hc4");
        check(&["hardkernel,odroid-hc1", "samsung,exynos5800", "samsung,exynos5"], "odroid-hc2");
        check(&["kobol,helios4", "marvell,armada388", "marvell,armada385", "marvell,armada380"], "helios4");
        check(&["kobol,helios64", "rockchip,rk3399"], "helios64");
        check(&["friendlyarm,cm3588-nas", "friendlyarm,cm3588", "rockchip,rk3588"], "cm3588-nas");
        check(&["xunlong,orangepi-5", "rockchip,rk3588s"], "orange-pi-5");
        check(&["netgear,readynas-104", "marvell,armada370", "marvell,armada-370-xp"], "readynas-104");
        check(&["qnap,ts219", "marvell,kirkwood"], "qnap-ts219");
        check(&["linux,dummy-virt"], "generic");
        check(&[], "generic");
    }

    #[test]
    fn a_board_file_is_held_to_the_same_strictness_as_the_settings() {
        let text = "[board]\nname = \"x\"\n[lamps]\nstatus = [\"gpio:gpiochip4:17\"]\nstatsu = []\n[display]\nkind = \"ssd1306\"\n";
        let mistakes = Board::from_toml(text).unwrap_err();
        let lines: Vec<(usize, &str)> = mistakes.iter().map(|m| (m.line, m.key.as_str())).collect();
        let expected = [
            (1, "board.source"),
            (1, "board.title"),
            (4, "lamps.status"),
            (5, "lamps.statsu"),
            (7, "display.kind"),
        ];
        assert_eq!(lines, expected);
    }
}
