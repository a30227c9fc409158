//! Single values: from the text in the file to a type, or to a correction.
//!
//! Every reader here returns `Err` with the rest of the sentence "instead ...", so a new setting gets a helpful message
//! by choosing its type. Not here: the type of each setting (`settings`), whether two settings agree.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use toml::de::DeValue;

use crate::places::{ButtonPlace, LampPlace};
use crate::spans::{Keep, Span};
use crate::syntax::truth_in;

/// Text to write instead.
type Instead = String;

/// A host, by name or number, and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    /// Name or IP address, without brackets.
    pub host: String,
    /// TCP port, never 0.
    pub port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            return write!(f, "[{}]:{}", self.host, self.port);
        }
        write!(f, "{}:{}", self.host, self.port)
    }
}

pub(crate) fn text<'v>(value: &'v DeValue<'_>, example: &str) -> Result<&'v str, Instead> {
    value.as_str().ok_or_else(|| format!("write text in quotes, such as {example}"))
}

pub(crate) fn yes_or_no(value: &DeValue<'_>) -> Result<bool, Instead> {
    let meant = || match value.as_str().and_then(truth_in) {
        Some(truth) => format!("write {truth}, without quotes"),
        None => "write true or false, without quotes".to_owned(),
    };
    value.as_bool().ok_or_else(meant)
}

/// A whole number from `least` to `most`.
pub(crate) fn count(value: &DeValue<'_>, least: u32, most: u32) -> Result<u32, Instead> {
    let number = value.as_integer().and_then(|n| u32::from_str_radix(n.as_str(), n.radix()).ok());
    let fits = number.filter(|n| (least..=most).contains(n));
    fits.ok_or_else(|| format!("write a whole number from {least} to {most}, without quotes"))
}

const SIZE_UNITS: [(&str, u64); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// Bytes, written as `64 MiB`, from `least` to `most` bytes.
pub(crate) fn size(value: &DeValue<'_>, least: u64, most: u64) -> Result<u64, Instead> {
    let range = || format!("write a size from {} to {}", size_words(least), size_words(most));
    let example =
        || format!("write a whole number and KiB, MiB, GiB or TiB, such as \"{}\"", size_words(least));
    // A suggestion must not be refused in turn.
    let fits =
        |number: u64, unit: u64| number.checked_mul(unit).filter(|bytes| (least..=most).contains(bytes));
    if let Some(number) = value.as_integer() {
        let is_size = number.as_str().parse().is_ok_and(|number| fits(number, 1 << 20).is_some());
        let size = if is_size { format!("{} MiB", number.as_str()) } else { size_words(least) };
        return Err(format!("write the unit too, such as \"{size}\" (with the quotes)"));
    }
    let written = text(value, "\"64 MiB\"")?.trim();
    let digits = written.find(|c: char| !c.is_ascii_digit()).unwrap_or(written.len());
    let (number, unit) = (&written[..digits], written[digits..].trim());
    let number: u64 = number.parse().map_err(|_| example())?;
    let Some((_, bytes)) = SIZE_UNITS.iter().find(|(name, _)| *name == unit) else {
        // MB and M are near enough to guess; people write "512 mb" first.
        let first = unit.chars().next().map(|c| c.to_ascii_uppercase());
        let meant = SIZE_UNITS.iter().find(|(name, _)| name.chars().next() == first);
        return Err(meant.map_or_else(example, |(name, bytes)| match fits(number, *bytes) {
            Some(_) => format!("write \"{number} {name}\""),
            None => format!("{}, such as \"{}\"", range(), size_words(least)),
        }));
    };
    fits(number, *bytes).ok_or_else(range)
}

/// `64 MiB`, for whole multiples of a unit; otherwise bytes.
pub(crate) fn size_words(bytes: u64) -> String {
    let unit = SIZE_UNITS.iter().rev().find(|(_, unit)| bytes >= *unit && bytes.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{bytes} bytes"), |(name, unit)| format!("{} {name}", bytes / unit))
}

/// A nonzero span of time.
pub(crate) fn span(value: &DeValue<'_>) -> Result<Span, Instead> {
    let example = "write a whole number and minutes, hours, days, weeks, months or years, such as \"2 days\"";
    spelled(value, Span::parse, |span| span.duration().is_zero(), example)
}

/// How long to keep a snapshot.
pub(crate) fn keep(value: &DeValue<'_>) -> Result<Keep, Instead> {
    let example =
        "write a whole number and hours, days, weeks, months or years, such as \"30 days\", or \"for ever\"";
    spelled(value, Keep::parse, |keep| keep.duration().is_some_and(|d| d.is_zero()), example)
}

fn spelled<T>(
    value: &DeValue<'_>,
    parse: fn(&str) -> Result<T, Option<String>>,
    is_zero: fn(&T) -> bool,
    example: &str,
) -> Result<T, Instead> {
    // A suggestion must not be refused in turn.
    let fits = |meant: &str| parse(meant).is_ok_and(|spelled| !is_zero(&spelled));
    if let Some(number) = value.as_integer() {
        let days = format!("{} days", number.as_str());
        let days = if fits(&days) { &days } else { "30 days" };
        return Err(format!("write the unit too, such as \"{days}\" (with the quotes)"));
    }
    match parse(text(value, "\"30 days\"")?) {
        Ok(spelled) if !is_zero(&spelled) => Ok(spelled),
        Err(Some(meant)) if fits(meant.trim_matches('"')) => Err(format!("write {meant}")),
        _ => Err(example.to_owned()),
    }
}

/// An address of this machine to listen on; advice takes the port of `default`.
pub(crate) fn listen(value: &DeValue<'_>, default: SocketAddr) -> Result<SocketAddr, Instead> {
    let example = format!("\"{default}\"");
    let written = text(value, &example)?;
    if let Ok(address) = written.parse::<SocketAddr>().map_err(drop)
        && address.port() != 0
    {
        return Ok(address);
    }
    if let Ok(host) = written.parse() {
        return Err(format!("write the port too: \"{}\"", SocketAddr::new(host, default.port())));
    }
    let guess = match written.parse::<u16>() {
        Ok(port) if port > 0 => format!("\"127.0.0.1:{port}\""),
        _ if written.starts_with("localhost:") => {
            format!("\"{}\"", written.replacen("localhost", "127.0.0.1", 1))
        }
        _ => format!("an IP address of this machine and a port, such as {example}"),
    };
    Err(format!("write {guess}"))
}

/// How a connection to a broker begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BrokerScheme {
    /// In the clear.
    Tcp,
    /// Encrypted: `mqtts://`.
    Tls,
}

impl BrokerScheme {
    fn prefix(self) -> &'static str {
        match self {
            Self::Tcp => "",
            Self::Tls => "mqtts://",
        }
    }

    /// The port that brokers have for it.
    fn port(self) -> u16 {
        match self {
            Self::Tcp => 1883,
            Self::Tls => 8883,
        }
    }
}

/// A broker: `HOST:PORT`, or `mqtts://HOST:PORT` for an encrypted connection.
pub(crate) fn broker(value: &DeValue<'_>) -> Result<(BrokerScheme, Address), Instead> {
    let example = "\"192.168.1.10:1883\" or \"mqtts://192.168.1.10:8883\"";
    let written = text(value, example)?;
    let (scheme, rest) = match written.split_once("://") {
        Some(("mqtts", rest)) => (BrokerScheme::Tls, rest),
        Some(("ssl" | "tls" | "mqtt+ssl", rest)) => return Err(respelled(BrokerScheme::Tls, rest, example)),
        Some((_, rest)) => return Err(respelled(BrokerScheme::Tcp, rest, example)),
        None => (BrokerScheme::Tcp, written),
    };
    host_and_port(rest).map(|address| (scheme, address)).ok_or_else(|| respelled(scheme, rest, example))
}

/// Advice for what follows a scheme; never with a password in it, and never refused in turn.
fn respelled(scheme: BrokerScheme, rest: &str, example: &str) -> Instead {
    if let Some((_, place)) = rest.rsplit_once('@') {
        let place = respelled(scheme, place, example);
        return format!("{place}, and the user as username");
    }
    let rest = rest.split('/').next().unwrap_or_default();
    match host_and_port(rest) {
        Some(address) => format!("write \"{}{address}\"", scheme.prefix()),
        None if is_host(rest) => format!("write \"{}{rest}:{}\"", scheme.prefix(), scheme.port()),
        None => format!("write a host and a port, such as {example}"),
    }
}

fn host_and_port(written: &str) -> Option<Address> {
    let (host, port) = written.rsplit_once(':')?;
    let port = port.parse().ok().filter(|port| *port != 0)?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = match bare {
        Some(host) => host.parse::<std::net::Ipv6Addr>().ok().map(|_| host),
        None => Some(host).filter(|host| is_host(host)),
    }?;
    Some(Address { host: host.to_owned(), port })
}

/// Digits of a SHA-1, which old instructions show.
const SHA1_DIGITS: usize = 40;

/// A SHA-256 as `openssl x509 -fingerprint -sha256` shows it: 64 hexadecimal digits, with colons or without.
pub(crate) fn fingerprint(value: &DeValue<'_>) -> Result<[u8; 32], Instead> {
    let how = "write the 64 digits that this shows at the broker: openssl x509 -noout -fingerprint -sha256 -in CERTIFICATE";
    let written = value.as_str().ok_or_else(|| format!("{how}; in quotes"))?;
    // Copied with what stands before it: `sha256 Fingerprint=AB:CD:...`.
    let digits = written.rsplit('=').next().unwrap_or_default();
    let digits: Vec<char> = digits.chars().filter(|c| !matches!(c, ':' | ' ')).collect();
    if digits.len() == SHA1_DIGITS && digits.iter().all(char::is_ascii_hexdigit) {
        return Err(format!("{how} (this is a SHA-1, which can be forged)"));
    }
    let mut bytes = [0; 32];
    if digits.len() != 2 * bytes.len() {
        return Err(how.to_owned());
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let pair = pair.iter().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok()));
        let pair: Option<Vec<u8>> = pair.collect();
        let Some([high, low]) = pair.as_deref() else { return Err(how.to_owned()) };
        *byte = high << 4 | low;
    }
    Ok(bytes)
}

fn is_host(host: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    !host.is_empty() && host.len() <= 253 && host.bytes().all(allowed) && !host.starts_with(['-', '.'])
}

/// A nonempty folder or file path.
pub(crate) fn path(value: &DeValue<'_>, example: &str) -> Result<PathBuf, Instead> {
    let written = text(value, example)?;
    if written.starts_with("~/") {
        return Err("write the whole path: \"~\" means another folder for a service than for you".to_owned());
    }
    let fits = !written.trim().is_empty() && !written.contains('\0');
    if fits { Ok(PathBuf::from(written)) } else { Err(format!("write a path, such as {example}")) }
}

/// A list of paths, at least one.
pub(crate) fn paths(value: &DeValue<'_>, example: &str) -> Result<Vec<PathBuf>, Instead> {
    let list = paths_or_none(value, example)?;
    if list.is_empty() { Err(paths_instead(example)) } else { Ok(list) }
}

fn paths_instead(example: &str) -> Instead {
    format!("write a list of folders in square brackets, such as {example}")
}

/// A list of paths; may be empty.
pub(crate) fn paths_or_none(value: &DeValue<'_>, example: &str) -> Result<Vec<PathBuf>, Instead> {
    let list = value.as_array().ok_or_else(|| paths_instead(example))?;
    list.iter().map(|one| path(one.get_ref(), "\"/srv/larder/disk1\"")).collect()
}

/// A list of texts; may be empty.
pub(crate) fn texts(value: &DeValue<'_>) -> Result<Vec<String>, Instead> {
    let instead = || "write a list of texts in square brackets, such as [\"one\", \"two\"]".to_owned();
    let list = value.as_array().ok_or_else(instead)?;
    list.iter().map(|one| one.get_ref().as_str().map(str::to_owned).ok_or_else(instead)).collect()
}

/// A name for people; at most 63 bytes, the longest announced on a network.
pub(crate) fn name(value: &DeValue<'_>) -> Result<String, Instead> {
    let written = text(value, "\"Larder\"")?;
    let fits = !written.trim().is_empty() && written.len() <= 63 && !written.contains(char::is_control);
    if fits { Ok(written.to_owned()) } else { Err("write a name of 1 to 63 letters, on one line".to_owned()) }
}

/// One word for topics: small letters, digits, `-` and `_`.
pub(crate) fn slug(value: &DeValue<'_>) -> Result<String, Instead> {
    let written = text(value, "\"larder\"")?;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    if !written.is_empty() && written.len() <= 64 && written.chars().all(fits) {
        return Ok(written.to_owned());
    }
    let lower = written.trim().to_lowercase();
    let meant: String = lower.chars().map(|c| if fits(c) { c } else { '_' }).take(64).collect();
    let guess = if meant.is_empty() { String::new() } else { format!(", such as \"{meant}\"") };
    Err(format!("write one word of small letters, digits, - and _{guess}"))
}

/// The front part of an MQTT topic.
pub(crate) fn topic(value: &DeValue<'_>) -> Result<String, Instead> {
    let written = text(value, "\"homeassistant\"")?;
    let bad = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '+' | '#' | '$');
    let fits = !written.is_empty() && written.len() <= 128 && !written.contains(bad);
    let slashes = written.starts_with('/') || written.ends_with('/') || written.contains("//");
    if fits && !slashes {
        return Ok(written.to_owned());
    }
    Err("write a topic without blanks, + and #, and without a slash at either end, such as \"homeassistant\""
        .to_owned())
}

/// One of several words.
pub(crate) fn choice<T: Copy>(value: &DeValue<'_>, choices: &[(&str, T)]) -> Result<T, Instead> {
    let words: Vec<String> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
    let written = value.as_str().map(str::to_lowercase);
    let chosen = choices.iter().find(|(word, _)| value.as_str() == Some(word));
    if let Some((_, chosen)) = chosen {
        return Ok(*chosen);
    }
    let near = written.and_then(|w| nearest(&w, choices.iter().map(|(word, _)| *word)).map(str::to_owned));
    Err(near.map_or_else(|| format!("write one of {}", words.join(", ")), |near| format!("write \"{near}\"")))
}

/// Where a lamp is.
pub(crate) fn lamp(value: &DeValue<'_>) -> Result<LampPlace, Instead> {
    let forms = "\"gpio:LINE-NAME\", \"gpio:CHIP-LABEL:NUMBER\", \"led:NAME\" or \"none\"";
    let written = text(value, "\"gpio:GPIO17\"")?;
    chip_by_label(written)?;
    LampPlace::parse(written).ok_or_else(|| format!("write {forms}"))
}

fn chip_by_label(written: &str) -> Result<(), Instead> {
    let instead = "name the chip by its label, as gpiodetect shows it in square brackets; its number changes";
    if written.starts_with("gpio:gpiochip") { Err(instead.to_owned()) } else { Ok(()) }
}

/// Places of a lamp; the first place present is taken.
pub(crate) fn lamps(value: &DeValue<'_>) -> Result<Vec<LampPlace>, Instead> {
    let list = value.as_array().ok_or_else(|| "write a list of places, such as [\"led:ACT\"]".to_owned())?;
    list.iter().map(|one| lamp(one.get_ref())).collect()
}

/// Where a button is.
pub(crate) fn button(value: &DeValue<'_>) -> Result<ButtonPlace, Instead> {
    let written = text(value, "\"key:133\"")?;
    chip_by_label(written)?;
    let forms =
        || "write \"gpio:LINE-NAME\", \"gpio:CHIP-LABEL:NUMBER\", \"key:CODE\" or \"none\"".to_owned();
    ButtonPlace::parse(written).ok_or_else(forms)
}

/// The word nearest to `written`, if any is near enough to be meant.
pub(crate) fn nearest<'w>(written: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let written = written.to_lowercase().replace('-', "_");
    let near = |word: &str| strsim::jaro_winkler(&written, word);
    let best = words.map(|word| (word, near(word))).max_by(|a, b| a.1.total_cmp(&b.1));
    best.filter(|(_, likeness)| *likeness >= 0.8).map(|(word, _)| word)
}
