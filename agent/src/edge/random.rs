//! Randomness from the operating system.

/// Bytes that nobody can guess.
///
/// # Panics
/// When the system has no randomness: then no key would be safe, and going on would be worse.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

/// As lower-case hex.
pub(crate) fn random_hex<const N: usize>() -> String {
    random::<N>().iter().map(|byte| format!("{byte:02x}")).collect()
}
