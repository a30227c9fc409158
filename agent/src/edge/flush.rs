//! Whether a disk obeys flushes, as far as the kernel can tell.
//!
//! A sync is worth as much as the device below. Some USB bridges make the kernel believe that there is no cache and
//! drop flushes; a sync then proves nothing. The unknown is `unproven`, never fine.

use crate::report::Flush;
use std::fs;
use std::path::{Path, PathBuf};

/// Layers that are looked through: a partition on a mapper on a RAID on a loop is deeper than any home has.
const LAYERS_MAX: u32 = 8;

/// The kernel's folder for a device number.
pub(crate) fn device_folder(device: u64) -> PathBuf {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    Path::new("/sys/dev/block").join(format!("{major}:{minor}"))
}

/// Trusted where every device below `path` is known to obey flushes or to need none; unproven otherwise.
pub(crate) fn honesty(path: &Path) -> Flush {
    if is_trusted(path, LAYERS_MAX) { Flush::Trusted } else { Flush::Unproven }
}

fn is_trusted(path: &Path, layers: u32) -> bool {
    use std::os::unix::fs::MetadataExt;
    let folder = fs::metadata(path).map(|meta| device_folder(meta.dev()));
    folder.and_then(fs::canonicalize).is_ok_and(|folder| is_device_trusted(&folder, layers))
}

fn is_device_trusted(folder: &Path, layers: u32) -> bool {
    let Some(layers) = layers.checked_sub(1) else { return false };
    // A partition has no queue of its own; the disk has.
    let Some(disk) = folder.ancestors().take(2).find(|folder| folder.join("queue").exists()) else {
        return false;
    };
    // A file as a disk is worth as much as the disk below the file.
    if let Ok(file) = fs::read_to_string(disk.join("loop/backing_file")) {
        return is_trusted(Path::new(file.trim_end_matches('\n')), layers);
    }
    // Mapped and joined devices are worth as much as the worst device below.
    let below: Vec<_> = fs::read_dir(disk.join("slaves")).into_iter().flatten().flatten().collect();
    if !below.is_empty() {
        let device = |entry: &fs::DirEntry| fs::canonicalize(entry.path());
        return below.iter().all(|entry| device(entry).is_ok_and(|below| is_device_trusted(&below, layers)));
    }
    let cache = fs::read_to_string(disk.join("queue/write_cache")).unwrap_or_default();
    let is_usb = disk.to_string_lossy().contains("/usb");
    match cache.trim() {
        "write back" => true,
        "write through" => !is_usb,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A device in a made-up `/sys`; `below` are the devices under a mapper.
    fn device(sys: &Path, name: &str, cache: Option<&str>, below: &[&Path]) -> PathBuf {
        let folder = sys.join(name);
        fs::create_dir_all(folder.join("queue")).unwrap();
        fs::create_dir_all(folder.join("slaves")).unwrap();
        if let Some(cache) = cache {
            fs::write(folder.join("queue/write_cache"), format!("{cache}\n")).unwrap();
        }
        for path in below {
            let name = path.file_name().unwrap();
            std::os::unix::fs::symlink(path, folder.join("slaves").join(name)).unwrap();
        }
        folder
    }

    #[test]
    fn only_what_is_known_is_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let sys = folder.path();
        let check =
            |device: &Path, expect| assert_eq!(is_device_trusted(device, LAYERS_MAX), expect, "{device:?}");
        let (good, plain) = ("write back", "write through");
        let sata = device(sys, "pci/ata1/sda", Some(good), &[]);
        let card = device(sys, "platform/mmcblk0", Some(plain), &[]);
        let bridge = device(sys, "pci/usb1/sdb", Some(plain), &[]);
        check(&sata, true);
        check(&card, true);
        check(&bridge, false);
        check(&device(sys, "pci/usb1/sdc", Some(good), &[]), true);
        check(&device(sys, "virtual/odd", None, &[]), false);
        fs::create_dir(sata.join("sda1")).unwrap();
        check(&sata.join("sda1"), true);
        fs::create_dir(bridge.join("sdb1")).unwrap();
        check(&bridge.join("sdb1"), false);
        check(&device(sys, "virtual/dm-0", Some(good), &[&sata.join("sda1")]), true);
        // The mapper itself says "write back", but a disk below cannot be believed.
        check(&device(sys, "virtual/md0", Some(good), &[&sata, &bridge.join("sdb1")]), false);
    }

    #[test]
    fn what_is_mapped_to_itself_ends() {
        let folder = tempfile::tempdir().unwrap();
        let odd = device(folder.path(), "virtual/dm-9", Some("write back"), &[]);
        std::os::unix::fs::symlink(&odd, odd.join("slaves/dm-9")).unwrap();
        assert!(!is_device_trusted(&odd, LAYERS_MAX));
    }
}
