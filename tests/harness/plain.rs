//! The plainest push and restore there can be, straight into a vault: files in memory, no cache, no network.
//!
//! It is the reference that the store is held against, so it shares nothing with the real client but the format.

use larder_format::block::Encoder;
use larder_format::ledger::{Pairing, Role, Sees, Snapshot, WallStamp};
use larder_format::tree::{Entry, Kind, Node, NodeBuilder, Owner, Piece, PieceBuilder, Time, Totals};
use larder_format::{ChunkRef, Hash};
use larder_store::disk::Disk;
use larder_store::{Committed, IndexPlace, Options, Result, Scope, Vault};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Files by path, with `/` between names.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Chunk length of this pusher: short, so that small files still have several.
const CHUNK_BYTES: usize = 700;

/// The appliance itself, for tests in which it does not matter who asks.
pub static APPLIANCE: Scope = Scope::appliance();

/// The device that a source belongs to.
pub fn device_of(source: &str) -> Scope {
    let (device, _) = source.split_once('/').unwrap_or((source, ""));
    key(device, Role::Admin, Sees::Everything)
}

/// A key of a device.
pub fn key(device: &str, role: Role, sees: Sees) -> Scope {
    Scope::device(&Pairing { device: device.to_owned(), role, key: Hash::ZERO, sees })
}

/// Makes a map of files.
pub fn files<const N: usize>(list: [(&str, &[u8]); N]) -> Files {
    list.into_iter().map(|(path, bytes)| (path.to_owned(), bytes.to_vec())).collect()
}

/// Names that no other disk of this process has.
static NAMES: AtomicU64 = AtomicU64::new(1);

/// Opens the vault on these disks with an index in memory.
///
/// # Errors
/// As `Vault::open`.
pub fn open(disks: Vec<Arc<dyn Disk>>) -> Result<Vault> {
    open_with(disks, IndexPlace::Memory, 0)
}

/// The same with an index in `folder`, which lasts from one opening to the next.
///
/// # Errors
/// As `Vault::open`.
pub fn open_indexed(disks: Vec<Arc<dyn Disk>>, folder: &Path) -> Result<Vault> {
    open_with(disks, IndexPlace::Folder(folder.join("index")), 0)
}

/// With an index in memory, and so many bytes stay free on every disk.
///
/// # Errors
/// As `Vault::open`.
pub fn open_with_reserve(disks: Vec<Arc<dyn Disk>>, reserve_bytes: u64) -> Result<Vault> {
    open_with(disks, IndexPlace::Memory, reserve_bytes)
}

fn open_with(disks: Vec<Arc<dyn Disk>>, index: IndexPlace, reserve_bytes: u64) -> Result<Vault> {
    let random = || u128::from(NAMES.fetch_add(1, Ordering::Relaxed)).to_be_bytes();
    let options = Options { disks, index, random: Box::new(random), reserve_bytes, stamp: stamp(0) };
    Vault::open(options).map(|(vault, _)| vault)
}

/// The simulated clock: so many hours after a fixed moment.
pub fn stamp(hours: u64) -> WallStamp {
    let powered_on_s = hours * 3600;
    let time_ms = 1_780_000_000_000 + i64::try_from(powered_on_s).expect("a few years") * 1000;
    WallStamp { time_ms, trusted: true, powered_on_s }
}

/// The hours of a running agent, which looks at the clock in each.
#[derive(Default)]
pub struct Hours(u64);

impl Hours {
    /// Lets `hours` go by and returns the moment then.
    pub fn pass(&mut self, vault: &Vault, hours: u64) -> WallStamp {
        for _ in 0..hours {
            self.0 += 1;
            vault.look_at_clock(stamp(self.0));
        }
        stamp(self.0)
    }
}

/// Pushes `files` as `source`; the same `push` number is the same push.
///
/// # Errors
/// As the vault's calls.
pub fn push(vault: &Vault, source: &str, files: &Files, push: u128, now: WallStamp) -> Result<Committed> {
    let begun = Push::ask(vault, device_of(source), files);
    begun.send(vault, |_| Ok(()))?;
    begun.commit(vault, source, push, now)
}

/// Sends what the vault lacks of `files` as the device `laptop`, each chunk in a block of its own; `each` is called after every block.
///
/// # Errors
/// As the vault's calls, or what `each` returns.
pub fn send(
    vault: &Vault,
    files: &Files,
    each: impl FnMut(&Vault) -> Result<()>,
) -> Result<(ChunkRef, Totals)> {
    let begun = Push::ask(vault, device_of("laptop"), files);
    begun.send(vault, each)?;
    Ok((begun.root, begun.totals))
}

/// A push in its steps, between which other things may happen.
pub struct Push {
    by: Scope,
    root: ChunkRef,
    totals: Totals,
    /// What the vault does not hold of it.
    pub missing: Vec<Vec<u8>>,
    /// Names of everything in it.
    pub names: Vec<Hash>,
}

impl Push {
    /// Asks which chunks the vault lacks.
    pub fn ask(vault: &Vault, by: Scope, files: &Files) -> Self {
        let mut chunks = Vec::new();
        let (root, totals) = tree(files, &mut chunks);
        let names: Vec<_> = chunks.iter().map(|chunk: &Vec<u8>| Hash::of(chunk)).collect();
        let lacking = vault.by(&by).missing(&names);
        let named = names.iter().zip(chunks);
        let missing = named.filter(|(name, _)| lacking.contains(name)).map(|(_, chunk)| chunk).collect();
        Self { by, root, totals, missing, names }
    }

    /// Sends what it was told is missing; `each` is called after every block.
    ///
    /// # Errors
    /// As the vault's calls, or what `each` returns.
    pub fn send(&self, vault: &Vault, mut each: impl FnMut(&Vault) -> Result<()>) -> Result<()> {
        for chunk in &self.missing {
            self.send_one(vault, chunk)?;
            each(vault)?;
        }
        Ok(())
    }

    /// Sends one chunk in a block of its own.
    ///
    /// # Errors
    /// As `By::receive`.
    pub fn send_one(&self, vault: &Vault, chunk: &[u8]) -> Result<()> {
        let len = u32::try_from(chunk.len()).expect("chunks are short");
        vault.by(&self.by).receive(&Encoder::new().encode(chunk, vec![len])).map(drop)
    }

    /// Asks for the snapshot.
    ///
    /// # Errors
    /// As `By::commit`.
    pub fn commit(&self, vault: &Vault, source: &str, push: u128, now: WallStamp) -> Result<Committed> {
        vault.by(&self.by).commit(snapshot(source, push, self.root, self.totals), now)
    }
}

/// What is committed for a push.
pub fn snapshot(source: &str, push: u128, root: ChunkRef, totals: Totals) -> Snapshot {
    let push = push.to_be_bytes();
    Snapshot::new(source, push, root, totals)
}

/// Every file of a snapshot.
///
/// # Errors
/// As the vault's calls.
pub fn restore(vault: &Vault, root: ChunkRef) -> Result<Files> {
    let mut found = Files::new();
    let mut folders = vec![(root, String::new())];
    while let Some((node, path)) = folders.pop() {
        for entry in vault.by(&APPLIANCE).entries(node) {
            let entry = entry?.entry;
            let name = String::from_utf8_lossy(&entry.name).into_owned();
            let path =
                [path.as_str(), name.as_str()].iter().filter(|p| !p.is_empty()).copied().collect::<Vec<_>>();
            let path = path.join("/");
            match entry.kind {
                Kind::Directory { node, .. } => folders.push((node, path)),
                Kind::File { size, pieces } => {
                    let mut bytes = Vec::new();
                    let mut take = |part: &[u8]| {
                        bytes.extend_from_slice(part);
                        ControlFlow::Continue(())
                    };
                    vault.by(&APPLIANCE).file_bytes(&pieces, 0..size, &mut take)?;
                    found.insert(path, bytes);
                }
                _ => {}
            }
        }
    }
    Ok(found)
}

/// The root and its counts; every chunk that it needs goes to `chunks`.
fn tree(files: &Files, chunks: &mut Vec<Vec<u8>>) -> (ChunkRef, Totals) {
    let (node, totals) = folder(files, "", chunks);
    let entry = entry(b"", Kind::Directory { node, totals });
    let mut keep = |made: Vec<u8>| {
        chunks.push(made);
        Ok::<(), std::convert::Infallible>(())
    };
    let mut root = NodeBuilder::new();
    let Ok(()) = root.push(entry, &owner(), &mut keep);
    let Ok((root, _)) = root.finish(&mut keep);
    (root, totals)
}

fn folder(files: &Files, prefix: &str, chunks: &mut Vec<Vec<u8>>) -> (ChunkRef, Totals) {
    let inside = files.keys().filter_map(|path| path.strip_prefix(prefix));
    let names: std::collections::BTreeSet<&str> =
        inside.map(|rest| rest.split('/').next().unwrap_or_default()).collect();
    let mut builder = NodeBuilder::new();
    for name in names {
        let path = format!("{prefix}{name}");
        let kind = match files.get(&path) {
            Some(bytes) => file(bytes, chunks),
            None => {
                let (node, totals) = folder(files, &format!("{path}/"), chunks);
                Kind::Directory { node, totals }
            }
        };
        let mut keep = |made: Vec<u8>| {
            chunks.push(made);
            Ok::<(), std::convert::Infallible>(())
        };
        let Ok(()) = builder.push(entry(name.as_bytes(), kind), &owner(), &mut keep);
    }
    let mut keep = |made: Vec<u8>| {
        chunks.push(made);
        Ok::<(), std::convert::Infallible>(())
    };
    let Ok(made) = builder.finish(&mut keep);
    made
}

fn file(bytes: &[u8], chunks: &mut Vec<Vec<u8>>) -> Kind {
    let mut builder = PieceBuilder::default();
    let mut lists = Vec::new();
    let mut keep = |made: Vec<u8>| {
        lists.push(made);
        Ok::<(), std::convert::Infallible>(())
    };
    for part in bytes.chunks(CHUNK_BYTES) {
        let Ok(()) = builder.push(Piece::Chunk(ChunkRef::to(part)), &mut keep);
        chunks.push(part.to_vec());
    }
    let Ok((size, pieces)) = builder.finish(&mut keep);
    chunks.append(&mut lists);
    Kind::File { size, pieces }
}

fn entry(name: &[u8], kind: Kind) -> Entry {
    let modified = Time { seconds: 1_700_000_000, nanos: 0 };
    Entry { name: name.to_vec(), owner: 0, mode: 0o644, modified, hard_link: 0, xattrs: Vec::new(), kind }
}

/// A folder of these, as somebody would make it who sends what no walk would find.
pub fn leaf(entries: &[(&str, Kind)]) -> Node {
    let entries = entries.iter().map(|(name, kind)| entry(name.as_bytes(), kind.clone()));
    Node::Leaf { owners: vec![owner()], entries: entries.collect() }
}

fn owner() -> Owner {
    Owner { uid: 1000, gid: 1000, user: "ada".to_owned(), group: "ada".to_owned() }
}
