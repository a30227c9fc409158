//! Keys of computers: letting them in, listing and ending them. Only on the box itself, over the local socket.

use super::asking::ask;
use super::disks::name_those_without;
use super::output::{hint, say};
use super::which::{Which, settings_of};
use super::words::Trouble;
use crate::edge::http::control::{Key, Revoked};
use crate::edge::http::pairing::{OpenedWindow, WindowWish};
use crate::phrase::moment_in;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use larder_format::ledger::{Role, SEEN_DEVICES_MAX, Sees, is_plain_name};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::ExitCode;

/// What was typed, as one wish.
pub(crate) fn wish(device: String, role: Role, typed: Option<&str>) -> Result<WindowWish, Trouble> {
    require_name(&device)?;
    let sees = typed.map_or_else(|| Ok(Sees::usual(role)), |typed| what_it_sees(&device, role, typed))?;
    Ok(WindowWish { device, role, sees })
}

fn what_it_sees(device: &str, role: Role, typed: &str) -> Result<Sees, Trouble> {
    let sees = if typed == "all" {
        Sees::Everything
    } else {
        let names = typed.split(',').map(str::trim).filter(|name| *name != device);
        let mut names: Vec<_> = names.map(str::to_owned).collect();
        names.sort_unstable();
        names.dedup();
        names.iter().try_for_each(|name| require_name(name))?;
        Sees::Devices(names)
    };
    let wrong = |what: String, remedy: &str| Err(Trouble::new(2, what, remedy, ""));
    match &sees {
        _ if role == Role::Push => wrong(
            "A key of the role push sees no backups, so --sees has nothing to add to it.".to_owned(),
            "Leave --role away: the computer then adds backups, and sees its own and those named after --sees.",
        ),
        Sees::Devices(_) if role == Role::Admin => wrong(
            "A key of the role admin sees the backups of every computer, not only of some.".to_owned(),
            "Leave --role away: the computer then adds backups, and sees its own and those named after --sees.",
        ),
        Sees::Devices(names) if names.len() > SEEN_DEVICES_MAX => wrong(
            format!("These are {} computers, and a key can name {SEEN_DEVICES_MAX}.", names.len()),
            "Name fewer, or say `--sees all`.",
        ),
        _ => Ok(sees),
    }
}

/// Opens a window in which a computer may pair, and shows its code.
pub(crate) fn pair(which: &Which, wish: WindowWish, json: bool) -> Result<ExitCode, Trouble> {
    let told = rights_words(&wish);
    let device = wish.device.clone();
    let body = serde_json::to_value(wish).expect("plain values encode");
    let opened: OpenedWindow = ask(which, "/v1/control/pair", Some(body))?;
    if json {
        say(serde_json::to_string(&opened).expect("plain values encode"))?;
        return Ok(ExitCode::SUCCESS);
    }
    say(&opened.code)?;
    let (listen, minutes) = (settings_of(which)?.network.listen, opened.open_s.div_ceil(60));
    hint(told);
    for line in window_words(&device, minutes, listen, own_address()) {
        hint(line);
    }
    Ok(ExitCode::SUCCESS)
}

/// What the computer will be able to do, for whoever is about to type the code.
fn rights_words(WindowWish { device, role, sees }: &WindowWish) -> String {
    let seen = match sees {
        Sees::Nothing => String::new(),
        Sees::Devices(names) if names.is_empty() => "its own backups and nobody else's".to_owned(),
        Sees::Devices(names) => format!("its own backups and those of {}", listed(names)),
        Sees::Everything => "the backups of every computer".to_owned(),
    };
    match role {
        Role::Push => format!("{device} will add backups, and see nothing of the past."),
        Role::User => format!("{device} will add backups, and list and restore {seen}."),
        Role::Read => format!("{device} will list and restore {seen}, and add nothing."),
        Role::Admin => {
            format!("{device} will add backups, list and restore {seen}, and keep backups for longer.")
        }
    }
}

/// `a`, `a and b`, `a, b and c`.
fn listed(names: &[String]) -> String {
    match names {
        [before @ .., last] if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        _ => names.concat(),
    }
}

fn require_name(device: &str) -> Result<(), Trouble> {
    if is_plain_name(device) {
        return Ok(());
    }
    let what = format!("\"{device}\" cannot be a computer's name.");
    let remedy = format!(
        "Use only a to z, A to Z, 0 to 9, `-`, `_` and `.`, at most 64 of them and no dot in front, such as {}.",
        plain_name_like(device)
    );
    Err(Trouble::new(2, what, remedy, ""))
}

/// What to do with a code, on a box that listens at `listen` and has the address `own` in its network.
fn window_words(device: &str, minutes: u64, listen: SocketAddr, own: Option<IpAddr>) -> Vec<String> {
    let at = |address: &str| {
        format!("Within {minutes} minutes, on {device}, run `larder pair {address}` and type this code.")
    };
    let mut of_network = listen;
    if let Some(own) = own.filter(|_| listen.ip().is_unspecified()) {
        of_network.set_ip(own);
    }
    if of_network.ip().is_unspecified() {
        return vec![at("ADDRESS")];
    }
    let mut lines = vec![at(&of_network.to_string())];
    if listen.ip().is_loopback() {
        lines.push(
            "The appliance answers programs on this box only. For other computers take the line `listen` out of [network] in \
             its settings, and restart it."
                .to_owned(),
        );
    }
    lines
}

/// The address of this box in its network, by the way that a packet to somewhere else would take; none is sent.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // An address for documents (RFC 5737): nobody has it.
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_unspecified())
}

/// An allowed name, as near as can be to the typed name.
fn plain_name_like(typed: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    let words: Vec<_> = typed.split(|c| !plain(c)).filter(|word| !word.is_empty()).collect();
    let name: String = words.join("-").trim_start_matches('.').chars().take(64).collect();
    if is_plain_name(&name) { name } else { "laptop".to_owned() }
}

pub(crate) fn list(which: &Which, json: bool) -> Result<ExitCode, Trouble> {
    let keys: Vec<Key> = ask(which, "/v1/control/keys", None)?;
    if json {
        say(serde_json::to_string(&keys).expect("plain values encode"))?;
    } else if keys.is_empty() {
        say("No computer has a key yet. `larderd pair --device NAME` lets one in.")?;
    } else {
        print_keys(&keys)?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn revoke(
    which: &Which,
    device: &str,
    key: Option<&str>,
    json: bool,
) -> Result<ExitCode, Trouble> {
    let revoked = Revoked { device: device.to_owned(), key: key.map(str::to_owned) };
    let body = serde_json::to_value(revoked).expect("plain values encode");
    let ended: Vec<Key> = ask(which, "/v1/control/revoke", Some(body))?;
    if json {
        say(serde_json::to_string(&ended).expect("plain values encode"))?;
    } else {
        print_keys(&ended)?;
        say(format_args!("These keys open nothing any more. What {device} backed up is kept as before."))?;
    }
    name_those_without(which, json, "let the keys in again")?;
    Ok(ExitCode::SUCCESS)
}

fn print_keys(keys: &[Key]) -> Result<(), Trouble> {
    table(keys, &TimeZone::system()).into_iter().try_for_each(say)
}

/// A line for each key, with what tells two keys of one computer apart.
fn table(keys: &[Key], zone: &TimeZone) -> Vec<String> {
    let width = keys.iter().map(|key| key.device.len()).max().unwrap_or(0).max(6);
    let moment =
        |time: Option<Timestamp>| time.map_or_else(|| "not known".to_owned(), |time| moment_in(time, zone));
    let seen = |sees: &Option<Sees>| sees.as_ref().map_or_else(|| "not known".to_owned(), Sees::words);
    let seen_width = keys.iter().map(|key| seen(&key.sees).len()).max().unwrap_or(0).max(4);
    let made_width = keys.iter().map(|key| moment(key.made).chars().count()).max().unwrap_or(0).max(4);
    let line = |Key { device, role, sees, key, made, last_used }: &Key| {
        let (role, sees, made) = (role.word(), seen(sees), moment(*made));
        let last_used = moment(*last_used);
        format!("{device:width$}  {role:5}  {sees:seen_width$}  {key:8}  {made:made_width$}  {last_used}")
    };
    let head = format!(
        "{:width$}  ROLE   {:seen_width$}  KEY       {:made_width$}  LAST USED",
        "DEVICE", "SEES", "MADE"
    );
    std::iter::once(head).chain(keys.iter().map(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_to_pair_with_is_told() {
        let own: IpAddr = "192.168.1.20".parse().unwrap();
        let told = |listen: &str, own| window_words("laptop", 2, listen.parse().unwrap(), own).join("\n");
        assert!(told("0.0.0.0:8477", Some(own)).contains("`larder pair 192.168.1.20:8477`"));
        assert!(told("0.0.0.0:8477", None).contains("`larder pair ADDRESS`"));
        assert!(told("192.168.7.7:99", Some(own)).contains("`larder pair 192.168.7.7:99`"));
        let alone = told("127.0.0.1:8477", Some(own));
        assert!(alone.contains("larder pair 127.0.0.1:8477") && alone.contains("this box only"), "{alone}");
    }

    #[test]
    fn a_name_that_is_suggested_is_allowed() {
        let check = |typed: &str, expect: &str| assert_eq!(plain_name_like(typed), expect, "{typed}");
        check("my laptop", "my-laptop");
        check("Ada's PC (old)", "Ada-s-PC-old");
        check(".hidden", "hidden");
        check("a/b", "a-b");
        for hopeless in ["", "   ", "äöü", "..."] {
            check(hopeless, "laptop");
        }
        assert!(is_plain_name(&plain_name_like(&"long name ".repeat(20))));
    }

    /// After a theft two keys have one name, and only one of them may go.
    #[test]
    fn two_keys_of_one_computer_are_told_apart() {
        let key = |key: &str, used: Option<i64>| Key {
            device: "laptop".to_owned(),
            role: Role::User,
            sees: Some(Sees::Devices(vec!["old".to_owned()])),
            key: key.to_owned(),
            made: Timestamp::from_second(1_790_000_000).ok(),
            last_used: used.and_then(|used| Timestamp::from_second(used).ok()),
        };
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let told = table(&[key("0011aabb", Some(1_790_086_400)), key("2233ccdd", None)], &berlin);
        let made = "2026-09-21 16:13 (Europe/Berlin)";
        assert_eq!(told[0], format!("DEVICE  ROLE   SEES         KEY       {:32}  LAST USED", "MADE"));
        let used = "2026-09-22 16:13 (Europe/Berlin)";
        assert_eq!(told[1], format!("laptop  user   itself, old  0011aabb  {made}  {used}"));
        assert_eq!(told[2], format!("laptop  user   itself, old  2233ccdd  {made}  not known"));
    }

    #[test]
    fn what_a_computer_is_to_see_is_read_from_what_was_typed() {
        let sees = |role, typed| wish("new".to_owned(), role, typed).map(|wish| wish.sees);
        let devices = |names: &[&str]| Sees::Devices(names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(sees(Role::User, None).unwrap(), devices(&[]));
        assert_eq!(sees(Role::User, Some("old, phone,old,new")).unwrap(), devices(&["old", "phone"]));
        assert_eq!(sees(Role::Read, Some("all")).unwrap(), Sees::Everything);
        assert_eq!(sees(Role::Admin, Some("all")).unwrap(), Sees::Everything);
        assert_eq!(sees(Role::Push, None).unwrap(), Sees::Nothing);
        let many = (0..=SEEN_DEVICES_MAX).map(|n| format!("d{n}")).collect::<Vec<_>>().join(",");
        for (role, typed) in [
            (Role::Push, "old"),
            (Role::Push, "all"),
            (Role::Admin, "old"),
            (Role::User, "o/ld"),
            (Role::User, ""),
            (Role::User, &many),
        ] {
            assert!(sees(role, Some(typed)).is_err(), "{role:?} {typed}");
        }
    }

    #[test]
    fn the_rights_of_a_computer_are_told_before_the_code_is_typed() {
        let told = |role, typed| rights_words(&wish("new".to_owned(), role, typed).expect("a wish"));
        let check = |role, typed, expect: &str| assert_eq!(told(role, typed), format!("new will {expect}."));
        check(Role::Push, None, "add backups, and see nothing of the past");
        check(Role::User, None, "add backups, and list and restore its own backups and nobody else's");
        let of_three = "add backups, and list and restore its own backups and those of a, b and c";
        check(Role::User, Some("c,a,b"), of_three);
        check(Role::Read, Some("all"), "list and restore the backups of every computer, and add nothing");
    }
}
