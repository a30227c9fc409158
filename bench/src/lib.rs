//! The hot paths of push and restore, each as repeatable work.
//!
//! The same list is timed (`benches/hot_paths.rs`) and counted in instructions (`bench/instructions`), so a noise-free
//! figure stands beside each noisy figure. Content comes from seeds. Not here: whole programs (`bench/run`), growth
//! (`bin/growth.rs`).

mod bytes;
pub mod index;
pub mod process;
mod trees;
mod walk;

/// One hot path.
pub struct HotPath {
    /// Name of the work.
    pub name: &'static str,
    /// Amount of work in one round, for a speed readable by people.
    pub amount: Amount,
    /// Prepares, and returns one round of work.
    pub prepare: fn() -> Work,
}

/// One round; may be called any number of times.
pub type Work = Box<dyn FnMut()>;

/// Unit of a round's work.
#[derive(Debug, Clone, Copy)]
pub enum Amount {
    /// Number of bytes.
    Bytes(u64),
    /// Number of chunks, entries or files.
    Items(u64),
}

/// Every hot path, in the order of a push and a restore.
pub const HOT_PATHS: &[HotPath] = &[
    walk::UNCHANGED,
    walk::FIRST,
    bytes::CUT,
    bytes::NAME,
    bytes::PACK_TEXT,
    bytes::PACK_PHOTOS,
    trees::BUILD,
    trees::READ,
    index::ASK_NEW,
    index::RECEIVE,
    index::ASK_KNOWN,
    bytes::OPEN_TEXT,
    bytes::OPEN_PHOTOS,
];

/// `len` incompressible bytes.
pub fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut noise = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut noise);
    noise
}

/// About `len` bytes, compressible like program text: words of a small vocabulary with numbers in between.
pub fn text(seed: u64, len: usize) -> Vec<u8> {
    const WORDS: [&str; 16] = [
        "static",
        "int",
        "return",
        "struct",
        "if",
        "(ret < 0)",
        "{\n\t",
        "}\n\n",
        "unsigned long",
        "->flags",
        " = ",
        "NULL",
        "goto out;",
        "/* see above */",
        "dev",
        ";\n",
    ];
    let choices = noise(seed, len / 4);
    let mut text = Vec::with_capacity(len + 32);
    for (at, choice) in choices.iter().enumerate() {
        text.extend_from_slice(WORDS[usize::from(choice % 16)].as_bytes());
        text.push(b' ');
        if choice / 16 == 0 {
            text.extend_from_slice(at.to_string().as_bytes());
        }
        if text.len() >= len {
            break;
        }
    }
    text
}
