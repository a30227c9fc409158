//! Bytes as hex digits, for files and messages that people may look at.

/// Lower-case digits, two for each byte.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes; nothing where something else than pairs of hex digits was written.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    text.as_bytes().chunks_exact(2).map(|two| Some(digit(two[0])? << 4 | digit(two[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_and_nothing_else_is_taken() {
        assert_eq!(from_hex(&to_hex(&[0, 9, 0xab, 255])), Some(vec![0, 9, 0xab, 255]));
        assert_eq!(from_hex("AbCd"), Some(vec![0xab, 0xcd]));
        for no_hex in ["0", "0g", "+f", "é", "ab é", " ab"] {
            assert_eq!(from_hex(no_hex), None, "{no_hex}");
        }
    }
}
