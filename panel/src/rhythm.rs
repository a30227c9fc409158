//! Rhythms: the language of the lamp, as lists of times.
//!
//! Every state is told apart by rhythm alone, because one lamp without colour must suffice and because red and green
//! are the pair most often confused. Neither dark nor steady light ever means "fine": a dead process can leave both
//! behind, so health is shown by a sign of life.
//!
//! Not here: playing a rhythm (`lamp`), a rhythm on a dimming lamp (`brightness`), and the winner among several states
//! (`agent::decide`).

/// Shortest time from one flash to the next. Faster light can trigger seizures (the usual limit is three flashes a
/// second; two leave room for a late timer).
pub const FLASH_MS_MIN: u16 = 500;

/// The pulses of every code, the longest in full: a code of N uses the last N pairs, so each code ends in the same
/// pause.
const PULSES_MS: [u16; 2 * Code::MAX as usize] = {
    let mut pulses = [250; 2 * Code::MAX as usize];
    pulses[2 * Code::MAX as usize - 1] = 2_000;
    pulses
};

/// The number of pulses of a request to the owner. One and two pulses stay free: a single pulse is the sign of life
/// upside down, two are the pairing window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(u8);

impl Code {
    /// Fewest pulses of a code.
    pub const MIN: u8 = 3;
    /// Most pulses a person still counts without losing track.
    pub const MAX: u8 = 10;

    /// The code with this many pulses; none outside 3 to 10.
    pub const fn new(pulses: u8) -> Option<Code> {
        if pulses >= Code::MIN && pulses <= Code::MAX { Some(Code(pulses)) } else { None }
    }

    /// How many pulses the lamp shows.
    pub const fn pulses(self) -> u8 {
        self.0
    }
}

/// The pulses of the digit with the most of them; a digit of N uses the last N pairs, as a code does.
const DIGIT_MS: [u16; 2 * Digit::MAX as usize] = {
    let mut pulses = [250; 2 * Digit::MAX as usize];
    pulses[2 * Digit::MAX as usize - 1] = 1_600;
    pulses
};

/// A digit that a lamp says by as many pulses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digit(u8);

impl Digit {
    /// Most pulses: a person who writes down eight numbers counts up to six in passing, as on a die.
    pub const MAX: u8 = 6;

    /// The digit with this many pulses; none outside 1 to 6.
    pub const fn new(pulses: u8) -> Option<Digit> {
        if pulses >= 1 && pulses <= Digit::MAX { Some(Digit(pulses)) } else { None }
    }
}

/// States shown by the lamp. The worst state wins; the order here is that of `docs/owner/lamps.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rhythm {
    /// Files are at risk: even and fast, while the risk lasts.
    Alarm,
    /// A request waits for the owner: count the pulses.
    NeedsYou(Code),
    /// A new device may be paired now: two pulses, again and again.
    Pairing,
    /// A code to pair with follows, digit by digit: one long light.
    CodeStart,
    /// One digit of that code, said once.
    CodeDigit(Digit),
    /// The box has understood the button: one short flash. The player goes dark before it, so it is seen on a lit lamp too.
    Heard,
    /// "This box is the one you are talking to": long, short, long.
    Identify,
    /// The disk may be pulled: three long lights, then dark.
    MayUnplug,
    /// Receiving, scrubbing or giving back: breathes, or slow and even where the lamp cannot dim.
    Busy,
    /// Waiting for a disk or the clock: very slow and even.
    Starting,
    /// Nothing is new, but something that the owner has seen is not mended, or there is no backup yet: dark, with one short
    /// light as a sign of life. Never says that a restore would succeed.
    Quiet,
    /// You could restore right now: light, with a short dip as a sign of life.
    Ready,
    /// The agent is not running. Never means "fine".
    Off,
}

impl Rhythm {
    /// Every rhythm, worst first; for cards, tests and completions.
    pub const ALL: [Rhythm; 25] = [
        Rhythm::Alarm,
        Rhythm::NeedsYou(Code(3)),
        Rhythm::NeedsYou(Code(4)),
        Rhythm::NeedsYou(Code(5)),
        Rhythm::NeedsYou(Code(6)),
        Rhythm::NeedsYou(Code(7)),
        Rhythm::NeedsYou(Code(8)),
        Rhythm::NeedsYou(Code(9)),
        Rhythm::NeedsYou(Code(10)),
        Rhythm::Heard,
        Rhythm::Pairing,
        Rhythm::CodeStart,
        Rhythm::CodeDigit(Digit(1)),
        Rhythm::CodeDigit(Digit(2)),
        Rhythm::CodeDigit(Digit(3)),
        Rhythm::CodeDigit(Digit(4)),
        Rhythm::CodeDigit(Digit(5)),
        Rhythm::CodeDigit(Digit(6)),
        Rhythm::Identify,
        Rhythm::MayUnplug,
        Rhythm::Busy,
        Rhythm::Starting,
        Rhythm::Quiet,
        Rhythm::Ready,
        Rhythm::Off,
    ];

    /// The rhythm for a condition's number. A number without a code becomes the alarm: an unknown condition must not be
    /// counted as a known condition.
    pub const fn needs_you(code: u8) -> Rhythm {
        match Code::new(code) {
            Some(code) => Rhythm::NeedsYou(code),
            None => Rhythm::Alarm,
        }
    }

    /// Milliseconds of light, dark, light, dark, ... starting with light; always an even count. Empty: dark.
    pub fn beat_ms(self) -> &'static [u16] {
        match self {
            Rhythm::Alarm => &[250, 250],
            Rhythm::NeedsYou(code) => &PULSES_MS[PULSES_MS.len() - 2 * usize::from(code.0)..],
            Rhythm::Pairing => &[250, 250, 250, 1_500],
            Rhythm::CodeStart => &[1_500, 1_600],
            Rhythm::CodeDigit(digit) => &DIGIT_MS[DIGIT_MS.len() - 2 * usize::from(digit.0)..],
            Rhythm::Heard => &[100, 400],
            Rhythm::Identify => &[1_000, 300, 250, 300, 1_000, 1_500],
            Rhythm::MayUnplug => &[2_700, 300, 2_700, 300, 2_700, 300],
            Rhythm::Busy => &[1_000, 1_000],
            Rhythm::Starting => &[2_000, 2_000],
            Rhythm::Quiet => &[250, 4_750],
            Rhythm::Ready => &[4_880, 120],
            Rhythm::Off => &[],
        }
    }

    /// Whether the beat starts anew at its end. `MayUnplug` is said once: a lamp still signalling after the disk is
    /// gone would seem to mean the next disk. `Heard` answers one gesture, and each part of a code is followed by the next.
    pub fn repeats(self) -> bool {
        let is_once = matches!(self, Rhythm::MayUnplug | Rhythm::Heard | Rhythm::Off);
        !is_once && !matches!(self, Rhythm::CodeStart | Rhythm::CodeDigit(_))
    }

    /// The stable name, as published over MQTT and in `--json`. Names are only ever added.
    pub fn name(self) -> &'static str {
        match self {
            Rhythm::Alarm => "alarm",
            Rhythm::NeedsYou(code) => match code.0 {
                3 => "needs_you_3",
                4 => "needs_you_4",
                5 => "needs_you_5",
                6 => "needs_you_6",
                7 => "needs_you_7",
                8 => "needs_you_8",
                9 => "needs_you_9",
                _ => "needs_you_10",
            },
            Rhythm::Pairing => "pairing",
            Rhythm::CodeStart => "code_start",
            Rhythm::CodeDigit(digit) => match digit.0 {
                1 => "code_digit_1",
                2 => "code_digit_2",
                3 => "code_digit_3",
                4 => "code_digit_4",
                5 => "code_digit_5",
                _ => "code_digit_6",
            },
            Rhythm::Heard => "heard",
            Rhythm::Identify => "identify",
            Rhythm::MayUnplug => "may_unplug",
            Rhythm::Busy => "busy",
            Rhythm::Starting => "starting",
            Rhythm::Quiet => "quiet",
            Rhythm::Ready => "ready",
            Rhythm::Off => "off",
        }
    }

    /// The rhythm with this `name`.
    pub fn from_name(name: &str) -> Option<Rhythm> {
        Rhythm::ALL.into_iter().find(|rhythm| rhythm.name() == name)
    }

    /// Meaning for the owner, in a few words and without a full stop.
    pub fn meaning(self) -> &'static str {
        match self {
            Rhythm::Alarm => "your files are at risk",
            Rhythm::NeedsYou(code) => match code.0 {
                3 => "needs you (3): a backup is overdue",
                4 => "needs you (4): a disk is missing, or there are fewer copies than you asked for",
                5 => "needs you (5): a disk is nearly full",
                6 => "needs you (6): a disk is not healthy",
                7 => "needs you (7): power or clock",
                8 => "needs you (8): network or MQTT broker not reachable",
                9 => "needs you (9): a suspicious change, nothing old will be let go of",
                _ => "needs you (10): no restore has been tried for too long",
            },
            Rhythm::Pairing => "a new device may be paired now",
            Rhythm::CodeStart => "the code to pair with begins",
            Rhythm::CodeDigit(digit) => match digit.0 {
                1 => "a digit of the code to pair with: 1",
                2 => "a digit of the code to pair with: 2",
                3 => "a digit of the code to pair with: 3",
                4 => "a digit of the code to pair with: 4",
                5 => "a digit of the code to pair with: 5",
                _ => "a digit of the code to pair with: 6",
            },
            Rhythm::Heard => "the button was understood",
            Rhythm::Identify => "this is the appliance you asked for",
            Rhythm::MayUnplug => "you may unplug the disk",
            Rhythm::Busy => "working on your files",
            Rhythm::Starting => "starting",
            Rhythm::Quiet => "nothing new, but not everything is backed up and well",
            Rhythm::Ready => "you could restore right now",
            Rhythm::Off => "not running",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_its_rhythm() {
        for rhythm in Rhythm::ALL {
            assert_eq!(Rhythm::from_name(rhythm.name()), Some(rhythm));
        }
        assert_eq!(Rhythm::from_name("needs_you_2"), None);
        assert_eq!(Rhythm::from_name(""), None);
    }

    #[test]
    fn every_rhythm_is_told_apart_without_colour() {
        for (i, one) in Rhythm::ALL.iter().enumerate() {
            for other in &Rhythm::ALL[i + 1..] {
                assert_ne!(one.beat_ms(), other.beat_ms(), "{} looks like {}", one.name(), other.name());
                assert_ne!(one.meaning(), other.meaning());
            }
        }
    }

    #[test]
    fn no_beat_flashes_more_than_twice_a_second() {
        for rhythm in Rhythm::ALL {
            let beat = rhythm.beat_ms();
            assert_eq!(beat.len() % 2, 0, "{}", rhythm.name());
            for flash in beat.chunks(2) {
                assert!(flash[0] + flash[1] >= FLASH_MS_MIN, "{}", rhythm.name());
                assert!(flash[0] > 0 && flash[1] > 0, "{}", rhythm.name());
            }
        }
    }

    #[test]
    fn a_code_is_as_many_pulses_and_one_pause() {
        for pulses in Code::MIN..=Code::MAX {
            let beat = Rhythm::needs_you(pulses).beat_ms();
            assert_eq!(beat.len(), 2 * usize::from(pulses));
            assert_eq!(beat.iter().filter(|ms| **ms == 2_000).count(), 1);
            assert_eq!(beat.last(), Some(&2_000));
        }
    }

    #[test]
    fn an_unknown_code_is_an_alarm_and_not_a_wrong_number() {
        for code in [0, 1, 2, 11, 255] {
            assert_eq!(Rhythm::needs_you(code), Rhythm::Alarm);
        }
    }
}
