//! The machine itself: temperature, supply voltage, memory. What cannot be read is unknown, never fine.

use std::fs;

/// Degrees Celsius of the first thermal zone.
pub(crate) fn cpu_celsius() -> Option<f64> {
    let text = fs::read_to_string("/sys/class/thermal/thermal_zone0/temp").ok()?;
    Some(f64::from(text.trim().parse::<i32>().ok()?) / 1000.0)
}

/// Whether the supply has been too weak since boot, by the Raspberry Pi's own alarm.
pub(crate) fn undervoltage() -> Option<bool> {
    let monitors = fs::read_dir("/sys/class/hwmon").ok()?;
    let folder = monitors
        .flatten()
        .map(|entry| entry.path())
        .find(|path| fs::read_to_string(path.join("name")).is_ok_and(|name| name.trim() == "rpi_volt"))?;
    let text = fs::read_to_string(folder.join("in0_lcrit_alarm")).ok()?;
    Some(text.trim() != "0")
}

/// Resident memory of this process in MiB.
pub(crate) fn memory_mib() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? / 1024)
}
