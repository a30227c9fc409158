//! Whether the computer runs on its battery (power_supply in the kernel's documentation, and what systemd makes of it).

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Whether the computer runs on its battery, as far as the system tells.
pub(crate) fn is_on_battery() -> bool {
    is_discharging(Path::new("/sys/class/power_supply"))
}

/// Whether a battery gives and no line does. A mouse has a battery too, which says that it is a device's.
fn is_discharging(supplies: &Path) -> bool {
    let entries = fs::read_dir(supplies).into_iter().flatten().flatten().map(|entry| entry.path());
    let said = |supply: &PathBuf, name: &str| fs::read_to_string(supply.join(name)).unwrap_or_default();
    let own: Vec<PathBuf> = entries.filter(|supply| said(supply, "scope").trim() != "Device").collect();
    let is_line = |supply: &&PathBuf| matches!(said(supply, "type").trim(), "Mains" | "USB" | "Wireless");
    let has_line =
        own.iter().filter(is_line).any(|supply| !matches!(said(supply, "online").trim(), "" | "0"));
    let gives = |supply: &PathBuf| {
        said(supply, "type").trim() == "Battery" && said(supply, "status").trim() == "Discharging"
    };
    !has_line && own.iter().any(gives)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(supplies: &[(&str, &[(&str, &str)])], expect: bool) {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, facts) in supplies {
            fs::create_dir(folder.path().join(name)).expect("made");
            for (fact, said) in *facts {
                fs::write(folder.path().join(name).join(fact), format!("{said}\n")).expect("written");
            }
        }
        assert_eq!(is_discharging(folder.path()), expect, "{supplies:?}");
    }

    #[test]
    fn a_battery_counts_where_no_line_gives() {
        let battery: (_, &[_]) = ("BAT0", &[("type", "Battery"), ("status", "Discharging")]);
        check(&[], false);
        check(&[battery], true);
        check(&[battery, ("AC", &[("type", "Mains"), ("online", "0")])], true);
        check(&[battery, ("AC", &[("type", "Mains"), ("online", "1")])], false);
        check(&[battery, ("usb", &[("type", "USB"), ("online", "2")])], false);
        check(&[("BAT0", &[("type", "Battery"), ("status", "Full")])], false);
        check(&[("mouse", &[("type", "Battery"), ("status", "Discharging"), ("scope", "Device")])], false);
        assert!(!is_discharging(Path::new("/nowhere")), "a computer without any");
    }
}
