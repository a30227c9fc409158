//! Settings files as owners write them, and the answers.

use std::collections::BTreeSet;

use crate::{
    BrokerTrust, ButtonPlace, GpioPlace, Keep, LampPlace, Mistake, Settings, Span, Unit, line_of_setting,
    settings_from_toml,
};

const SHIPPED: &str = include_str!("../larder.toml");

/// The settings of a text without mistakes.
fn good(text: &str) -> Settings {
    settings_from_toml(text).unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
}

/// Line and key of each mistake, and whether the advice holds a given text.
fn check(text: &str, expect: &[(usize, &str, &str)]) {
    let mistakes = settings_from_toml(text).expect_err(text);
    let seen: Vec<(usize, &str)> = mistakes.iter().map(|m| (m.line, m.key.as_str())).collect();
    let expected: Vec<(usize, &str)> = expect.iter().map(|(line, key, _)| (*line, *key)).collect();
    assert_eq!(seen, expected, "{text}\n{mistakes:#?}");
    for (mistake, (_, _, advice)) in mistakes.iter().zip(expect) {
        assert!(mistake.instead.contains(advice), "{text}\n{mistake}\nlacks {advice}");
        assert!(!mistake.to_string().contains('\n'), "one mistake, one line: {mistake}");
    }
}

#[test]
fn an_empty_file_is_a_working_appliance() {
    assert_eq!(good(""), Settings::default());
    assert_eq!(good("# nothing\n[vault]\n[mqtt]\n"), Settings::default());
}

#[test]
fn the_shipped_file_shows_every_setting_at_its_default() {
    assert_eq!(good(SHIPPED), Settings::default());
}

/// Lines shipped as comments, since writing these lines changes the meaning of the rest.
const UNWRITTEN: [&str; 2] = ["# disks = [\"larder-data/disk\"]\n", "# allow_root_filesystem = true\n"];

/// An owner naming a disk in the shipped file means disks: the card must not replace an unmounted disk.
#[test]
fn a_disk_named_in_the_shipped_file_must_be_mounted() {
    let named = SHIPPED.replace(UNWRITTEN[0], "disks = [\"/srv/a\"]\n");
    assert_ne!(named, SHIPPED);
    assert!(!good(&named).vault.allow_root_filesystem);
    let written = UNWRITTEN.iter().fold(SHIPPED.to_owned(), |text, line| text.replace(line, &line[2..]));
    assert_eq!(good(&written), Settings::default(), "a commented line that is not the default");
}

#[test]
fn the_shipped_examples_can_be_followed_too() {
    let is_example = |line: &&str| line.strip_prefix("# ").is_some_and(|rest| rest.contains(" = \""));
    let examples: Vec<&str> = SHIPPED.lines().filter(is_example).collect();
    assert_eq!(examples.len(), 10, "{examples:?}");
    // Of these two, only one can be followed.
    for left_out in ["# ca_file", "# fingerprint"] {
        let follow = |line: &str| is_example(&line) && !line.starts_with(left_out);
        let followed: String = SHIPPED
            .lines()
            .map(|line| if follow(line) { line[2..].to_owned() } else { line.to_owned() } + "\n")
            .collect();
        let settings = good(&followed);
        assert_eq!(settings.panel.lamp, Some(LampPlace::Gpio(GpioPlace::Named("GPIO17".to_owned()))));
        assert_eq!(settings.panel.button, Some(ButtonPlace::Gpio(GpioPlace::Named("GPIO27".to_owned()))));
        assert!(
            settings.mqtt.broker.is_some()
                && settings.mqtt.username.is_some()
                && settings.vault.index.is_some()
        );
        let tls = settings.mqtt.tls.expect("the example is encrypted");
        assert!(tls.client.is_some() && tls.trust != BrokerTrust::SystemAuthorities);
    }
}

#[test]
fn the_shipped_file_forgets_no_setting() {
    // A misspelled key is answered with the existing keys; asking with the empty section lists every key.
    let mut explained = BTreeSet::new();
    let mut section = "";
    for line in SHIPPED.lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']');
        } else if let Some((key, _)) = line.trim_start_matches("# ").split_once(" = ") {
            explained.insert(format!("{section}.{key}"));
        }
    }
    for (section, key) in crate::from_toml::keys() {
        assert!(
            explained.contains(&format!("{section}.{key}")),
            "{section}.{key} is not explained in larder.toml"
        );
    }
    assert_eq!(explained.len(), crate::from_toml::keys().len());
}

#[test]
fn every_mistake_is_told_at_once_in_the_order_of_the_file() {
    let text = r#"
[appliance]
nmae = "Box"
[network]
listen = "8477"
upload_memory = 64
[vault]
copies = 3
reserve = "512 MB"
[retention]
everything = "30d"
daily = "1 week"
[mqtt]
password = "hunter2"
broker = "mqtt://10.0.0.2:1883"
node = "My Larder"
spool_events = "many"
[pannel]
board = "auto"
"#;
    check(
        text,
        &[
            (3, "appliance.nmae", "write name"),
            (5, "network.listen", "\"127.0.0.1:8477\""),
            (6, "network.upload_memory", "\"64 MiB\""),
            (8, "vault.copies", "copies = 1"),
            (9, "vault.reserve", "\"512 MiB\""),
            (11, "retention.everything", "\"30 days\""),
            (12, "retention.daily", "\"30 days\" or longer"),
            (14, "mqtt.password", "password_file"),
            (15, "mqtt.broker", "\"10.0.0.2:1883\""),
            (16, "mqtt.node", "\"my_larder\""),
            (17, "mqtt.spool_events", "whole number"),
            (18, "pannel", "[panel]"),
        ],
    );
}

#[test]
fn a_password_is_never_repeated() {
    for text in ["[mqtt]\npassword = \"hunter2\"", "[mqtt]\npassword = hunter2", "[mqtt]\npasswordhunter2"] {
        for mistake in settings_from_toml(text).expect_err(text) {
            assert!(!mistake.to_string().contains("hunter2"), "{mistake}");
        }
    }
}

/// Other programs take user and password in the address.
#[test]
fn a_password_in_an_address_is_never_repeated() {
    for address in [
        "mqtts://larder:hunter2@10.0.0.2:8883",
        "mqtt://larder:hunter2@10.0.0.2:1883",
        "mqtts://larder:hunter2@10.0.0.2",
        "ssl://a:hunter2@b:hunter2@10.0.0.2",
    ] {
        let text = format!("[mqtt]\nbroker = \"{address}\"\n");
        let mistakes = settings_from_toml(&text).expect_err(address);
        assert!(!mistakes[0].to_string().contains("hunter2"), "{}", mistakes[0]);
        assert!(mistakes[0].instead.contains("10.0.0.2:"), "{}", mistakes[0]);
    }
}

#[test]
fn an_encrypted_connection_is_asked_for_where_the_broker_is_named() {
    let tls = |text: &str| good(&format!("[mqtt]\n{text}\n")).mqtt.tls;
    assert_eq!(tls("broker = \"10.0.0.2:1883\""), None);
    let by_system = tls("broker = \"mqtts://broker.example:8883\"").expect("encrypted");
    assert_eq!((by_system.trust, by_system.client), (BrokerTrust::SystemAuthorities, None));
    let named = "broker = \"mqtts://[fd00::2]:8883\"\nca_file = \"/ca\"\ncertificate_file = \"/c\"\nkey_file = \"/k\"";
    let named = tls(named).expect("encrypted");
    assert_eq!(named.trust, BrokerTrust::Authority("/ca".into()));
    let client = named.client.expect("a certificate");
    assert_eq!((client.certificate, client.key), ("/c".into(), "/k".into()));
    for (written, expect) in [
        ("mqtts://10.0.0.2", "\"mqtts://10.0.0.2:8883\""),
        ("mqtts://10.0.0.2:8883/", "\"mqtts://10.0.0.2:8883\""),
        ("ssl://10.0.0.2:8883", "\"mqtts://10.0.0.2:8883\""),
        ("mqtt://10.0.0.2", "\"10.0.0.2:1883\""),
        ("mqtts://", "a host and a port"),
    ] {
        check(&format!("[mqtt]\nbroker = \"{written}\"\n"), &[(2, "mqtt.broker", expect)]);
    }
}

#[test]
fn settings_for_encryption_that_cannot_be_meant_are_asked_about() {
    let encrypted = "[mqtt]\nbroker = \"mqtts://b:8883\"\n";
    check("[mqtt]\nca_file = \"/ca\"\n", &[(2, "mqtt.ca_file", "mqtts://HOST:8883")]);
    let plain = "[mqtt]\nbroker = \"b:1883\"\nkey_file = \"/k\"\n";
    check(plain, &[(3, "mqtt.key_file", "\"mqtts://b:8883\"")]);
    // Which connection is meant is not known; one mistake, not two.
    check("[mqtt]\nbroker = \"b\"\nca_file = \"/ca\"\n", &[(2, "mqtt.broker", "\"b:1883\"")]);
    check(
        &format!("{encrypted}certificate_file = \"/c\"\n"),
        &[(3, "mqtt.certificate_file", "key_file too")],
    );
    check(&format!("{encrypted}key_file = \"/k\"\n"), &[(3, "mqtt.key_file", "certificate_file too")]);
    let both = format!("{encrypted}ca_file = \"/ca\"\nfingerprint = \"{}\"\n", "ab".repeat(32));
    check(&both, &[(4, "mqtt.fingerprint", "keep ca_file")]);
    check(&format!("{encrypted}ca_file = \"~/ca\"\n"), &[(3, "mqtt.ca_file", "whole path")]);
    check(&format!("{encrypted}cafile = \"/ca\"\n"), &[(3, "mqtt.cafile", "write ca_file")]);
    check(
        &format!("{encrypted}certificate = \"/c\"\n"),
        &[(3, "mqtt.certificate", "write certificate_file")],
    );
}

#[test]
fn a_fingerprint_is_read_as_openssl_shows_it() {
    let digits: Vec<String> = (0..32).map(|n: u8| format!("{n:02X}")).collect();
    let (colons, plain) = (digits.join(":"), digits.concat());
    let expect: [u8; 32] = std::array::from_fn(|n| u8::try_from(n).unwrap());
    let pinned =
        |written: &str| format!("[mqtt]\nbroker = \"mqtts://b:8883\"\nfingerprint = \"{written}\"\n");
    for written in [&colons, &plain, &plain.to_lowercase(), &format!("sha256 Fingerprint={colons}")] {
        let tls = good(&pinned(written)).mqtt.tls.expect("encrypted");
        assert_eq!(tls.trust, BrokerTrust::Fingerprint(expect), "{written}");
    }
    check(&pinned(&plain[..40]), &[(3, "mqtt.fingerprint", "SHA-1")]);
    for written in
        ["", "ab", &plain[..62], &format!("{plain}00"), &plain.replace("1F", "1é"), &"ü".repeat(64)]
    {
        check(&pinned(written), &[(3, "mqtt.fingerprint", "64 digits")]);
    }
}

#[test]
fn the_line_of_a_setting_is_found_for_whoever_looks_at_what_it_names() {
    let text = "[mqtt]\nbroker = \"mqtts://b:8883\"\n\nca_file = \"/ca\"\n";
    assert_eq!(line_of_setting(text, "mqtt", "ca_file"), 4);
    assert_eq!(line_of_setting(text, "mqtt", "key_file"), 1);
}

#[test]
fn text_without_quotes_is_answered_with_the_quotes() {
    check("[network]\nlisten = 127.0.0.1:8477\n", &[(2, "file", "listen = \"127.0.0.1:8477\"")]);
    check(
        "[mqtt]\nnode = pantry\n[log]\nlevel = info\n",
        &[(2, "file", "node = \"pantry\""), (4, "file", "level = \"info\"")],
    );
}

#[test]
fn an_address_without_a_port_is_completed() {
    check("[network]\nlisten = \"192.168.1.20\"\n", &[(2, "network.listen", "\"192.168.1.20:8477\"")]);
    check("[network]\nlisten = \"fd00::20\"\n", &[(2, "network.listen", "\"[fd00::20]:8477\"")]);
    check("[mqtt]\nlisten = \"192.168.1.20\"\n", &[(2, "mqtt.listen", "\"192.168.1.20:1883\"")]);
}

/// Advice that is refused in turn sends people in a circle.
#[test]
fn a_yes_is_answered_with_true() {
    for (written, truth) in [("yes", true), ("on", true), ("no", false), ("Off", false), ("True", true)] {
        let expect = format!("allow_root_filesystem = {truth}, without");
        check(&format!("[vault]\nallow_root_filesystem = {written}\n"), &[(2, "file", &expect)]);
        let expect = format!("write {truth}, without");
        let text = format!("[vault]\nallow_root_filesystem = \"{written}\"\n");
        check(&text, &[(2, "vault.allow_root_filesystem", &expect)]);
    }
    let text = "[vault]\nallow_root_filesystem = \"perhaps\"\n";
    check(text, &[(2, "vault.allow_root_filesystem", "true or false")]);
}

#[test]
fn a_line_that_cannot_be_read_does_not_hide_the_others() {
    let text = "[appliance]\nname \"Box\"\n[vault]\ncopies = 7\n[log]\nlevel = \"loud\"\n";
    check(
        text,
        &[(2, "file", "KEY = VALUE"), (4, "vault.copies", "copies = 1"), (6, "log.level", "\"error\"")],
    );
    let text = "[vault]\ncopies : 3\nfoo\n[log]\nlevel = \"loud\"\n";
    check(text, &[(2, "file", "KEY = VALUE"), (3, "file", "KEY = VALUE"), (5, "log.level", "\"error\"")]);
    check(
        "[vault\ncopies = 7\n[log]\nlevel = \"loud\"\n",
        &[(1, "file", "]"), (4, "log.level", "\"error\"")],
    );
    check("[log]\nlevel = \"info\"\nlevel = \"debug\"\n", &[(3, "file", "once")]);
}

#[test]
fn what_is_left_open_is_one_mistake_and_not_twenty() {
    let text = "[vault]\ndisks = [\"/srv/a\"\nreserve = \"1 GiB\"\n[log]\nlevel = \"loud\"\n";
    check(text, &[(2, "file", "]"), (5, "log.level", "\"error\"")]);
    let text = "[vault]\ndisks = [\n  \"/srv/a\",\n  \"/srv/b\"\ncopies = 2\n[log]\nlevel = \"loud\"\n";
    check(text, &[(2, "file", "]"), (5, "vault.copies", "copies = 1"), (7, "log.level", "\"error\"")]);
    let text = "[appliance]\nname = \"\"\"Box\n[log]\nlevel = \"loud\"\n";
    check(text, &[(2, "file", "\"\"\""), (4, "log.level", "\"error\"")]);
}

#[test]
fn a_key_in_the_wrong_place_is_sent_home() {
    check("listen = \"127.0.0.1:1\"\n", &[(1, "listen", "below [network]")]);
    check("[vault]\noverdue_after = \"1 day\"\n", &[(2, "vault.overdue_after", "below [sources]")]);
    check("vault = 3\n", &[(1, "vault", "[vault]")]);
    check("[[vault]]\ncopies = 1\n", &[(1, "vault", "[vault]")]);
    check("[zzz]\nq = 1\n", &[(1, "zzz", "[appliance]")]);
    check("[log]\nzzz = 1\n", &[(2, "log.zzz", "remove it")]);
}

#[test]
fn each_door_is_open_to_whom_it_is_meant_for() {
    assert!(good("").network.listen.ip().is_unspecified(), "every computer at home finds the appliance");
    // It was needed once, and says nothing any more.
    check("[network]\nallow_unencrypted = true\n", &[(2, "network.allow_unencrypted", "remove it")]);
    let open = good("[network]\nlisten = \"192.168.1.5:8477\"\n");
    assert_eq!(open.network.listen.to_string(), "192.168.1.5:8477");
    check("[mqtt]\nlisten = \"0.0.0.0:1883\"\n", &[(2, "mqtt.listen", "username")]);
    good(
        "[mqtt]\nlisten = \"0.0.0.0:1883\"\nusername = \"larder\"\npassword_file = \"/etc/larder/mqtt-password\"\n",
    );
    check("[mqtt]\nlisten = \"127.0.0.1:8477\"\n", &[(2, "mqtt.listen", "another port")]);
    check("[mqtt]\npassword_file = \"/x\"\n", &[(2, "mqtt.password_file", "username")]);
}

#[test]
fn whoever_names_disks_means_disks() {
    let named = good("[vault]\ndisks = [\"/srv/a\", \"/srv/b\"]\ncopies = 2\n");
    assert!(!named.vault.allow_root_filesystem);
    assert!(
        good("[vault]\ndisks = [\"/srv/a\"]\nallow_root_filesystem = true\n").vault.allow_root_filesystem
    );
    assert!(Settings::default().vault.allow_root_filesystem);
    check("[vault]\ndisks = []\n", &[(2, "vault.disks", "list of folders")]);
    check("[vault]\ndisks = \"/srv/a\"\n", &[(2, "vault.disks", "square brackets")]);
    check("[vault]\ndisks = [\"~/backup\"]\n", &[(2, "vault.disks", "whole path")]);
    check("[vault]\ndisks = [\"/srv/a\", \"/srv//a/.\"]\n", &[(2, "vault.disks", "once")]);
    check("[vault]\ndisks = [\"/srv/a\", \"/srv/a/b\"]\n", &[(2, "vault.disks", "once")]);
    check("[vault]\ndisks = [\"/srv/a\"]\noffsite = [\"/srv/a\"]\n", &[(3, "vault.offsite", "once")]);
    check("[vault]\noffsite = \"/srv/a\"\n", &[(2, "vault.offsite", "square brackets")]);
    check("[vault]\ncopies = 0\n", &[(2, "vault.copies", "from 1 to")]);
    check("[vault]\nreserve = \"1 MiB\"\n", &[(2, "vault.reserve", "from 128 MiB")]);
    check("[vault]\nreserve = \"1 MB\"\n", &[(2, "vault.reserve", "such as \"128 MiB\"")]);
}

#[test]
fn a_longer_first_rule_lifts_the_unwritten_ones() {
    let long = good("[retention]\neverything = \"2 years\"\n").retention;
    let two_years = Keep::For(Span::new(2, Unit::Year));
    assert_eq!((long.daily, long.weekly, long.monthly), (two_years, two_years, Keep::ForEver));
    check("[retention]\ndaily = \"7 days\"\n", &[(2, "retention.daily", "\"30 days\" or longer")]);
    check("[retention]\neverything = \"0 days\"\n", &[(2, "retention.everything", "\"30 days\"")]);
    check("[retention]\nmonthly = \"forever\"\n", &[(2, "retention.monthly", "\"for ever\"")]);
    check("[retention]\nnewest = 0\n", &[(2, "retention.newest", "from 1")]);
}

#[test]
fn what_is_suggested_is_taken() {
    for written in ["\"1 MB\"", "\"0 g\"", "1", "64", "\"99999999 TB\"", "\"300 MB\"", "\"half\""] {
        follows("vault", "reserve", written);
    }
    for written in ["0", "90", "\"0d\"", "\"40d\"", "\"40\"", "\"0\"", "\"soon\"", "\"forever\""] {
        follows("retention", "everything", written);
    }
}

/// Writes the advice's first text in quotes in place of the refused value.
fn follows(section: &str, key: &str, written: &str) {
    let text = format!("[{section}]\n{key} = {written}\n");
    let mistakes = settings_from_toml(&text).expect_err(&text);
    let advice = mistakes[0].instead.split('"').nth(1).unwrap_or_else(|| panic!("{}", mistakes[0]));
    good(&format!("[{section}]\n{key} = \"{advice}\"\n"));
}

#[test]
fn a_lamp_that_cannot_be_meant_is_asked_about() {
    check("[panel]\nboard = \"raspberry-pi4\"\n", &[(2, "panel.board", "\"raspberry-pi-4\"")]);
    check("[panel]\nlamp = \"gpio:gpiochip4:17\"\n", &[(2, "panel.lamp", "label")]);
    check("[panel]\nactive_low = true\n", &[(2, "panel.active_low", "lamp = ")]);
    assert!(good("[panel]\nlamp = \"gpio:pinctrl-rp1:17\"\nactive_low = true\n").panel.active_low);
    assert_eq!(good("[panel]\nboard = \"generic\"\n").panel.board.as_deref(), Some("generic"));
}

#[test]
fn no_text_makes_it_panic() {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % below as u64).unwrap()
    };
    let pieces: Vec<char> = "[]=\"\n#.'{},:-_ 0123abcüé\u{0}\t\r\\".chars().collect();
    for _ in 0..3_000 {
        let mut text: Vec<char> = SHIPPED.chars().skip(next(4_000)).take(next(1_500)).collect();
        for _ in 0..next(12) {
            let (at, piece) = (next(text.len() + 1), pieces[next(pieces.len())]);
            text.insert(at, piece);
        }
        let text: String = text.into_iter().collect();
        if let Err(mistakes) = settings_from_toml(&text) {
            let lines = text.matches('\n').count() + 1;
            assert!(!mistakes.is_empty() && mistakes.is_sorted());
            assert!(mistakes.iter().all(|Mistake { line, .. }| (1..=lines).contains(line)), "{mistakes:#?}");
        }
    }
    for deep in ["[", "{a=", "[[", "a."] {
        let text = format!("[vault]\ndisks = {}\n", deep.repeat(20_000));
        assert!(settings_from_toml(&text).is_err(), "nested {deep} 20,000 times");
    }
    let huge = "#".repeat(300 * 1024);
    assert_eq!(settings_from_toml(&huge).expect_err("too large").len(), 1);
}

#[test]
fn a_button_that_cannot_be_meant_is_asked_about() {
    check("[panel]\nbutton = \"gpio:gpiochip4:27\"\n", &[(2, "panel.button", "label")]);
    check("[panel]\nbutton = \"key:KEY_COPY\"\n", &[(2, "panel.button", "\"key:CODE\"")]);
    check("[panel]\nbutton_active_low = false\n", &[(2, "panel.button_active_low", "button = ")]);
    let key = "[panel]\nbutton = \"key:133\"\nbutton_active_low = false\n";
    check(key, &[(3, "panel.button_active_low", "button = ")]);
    let one_line = "[panel]\nlamp = \"gpio:GPIO17\"\nbutton = \"gpio:GPIO17\"\n";
    assert_eq!(settings_from_toml(one_line).map_err(|mistakes| mistakes.is_empty()), Err(false));
    assert!(!good("[panel]\nbutton = \"gpio:GPIO27\"\nbutton_active_low = false\n").panel.button_active_low);
    assert!(good("[panel]\nbutton = \"gpio:GPIO27\"\n").panel.button_active_low);
}
