//! Names in the path and the query of a request.

use crate::ClientError;
use larder_format::{
    ledger::{composed, is_source_name},
    wire::escape_name,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

/// Every character except the plain characters of a path and a query.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

pub(super) fn percent_encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, ENCODED).to_string()
}

/// A path in a source for a query: escaped as the appliance escapes names, then percent-encoded.
pub(super) fn query_path(path: &[u8]) -> String {
    percent_encode(&escape_name(path))
}

/// A typed source, as the appliance writes its name.
pub(crate) fn checked_source(source: &str) -> Result<String, ClientError> {
    let composed = composed(source);
    if is_source_name(&composed) {
        Ok(composed)
    } else {
        Err(ClientError::Usage(format!(
            "\"{source}\" is not the name of a source; those look like laptop/photos"
        )))
    }
}

/// A source's name for the path of a request.
pub(super) fn source_path(source: &str) -> Result<String, ClientError> {
    let source = checked_source(source)?;
    Ok(source.split('/').map(percent_encode).collect::<Vec<_>>().join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_a_request_is_one_part_of_its_path() {
        let check = |source: &str, expect: &str| assert_eq!(source_path(source).unwrap(), expect, "{source}");
        check("laptop/photos", "laptop/photos");
        check("laptop/My Files?#%", "laptop/My%20Files%3F%23%25");
        check("laptop/Bo\u{308}se", "laptop/B%C3%B6se");
        for wrong in ["laptop", "laptop/..", "laptop/a/b", "laptop/a\n"] {
            assert_eq!(source_path(wrong).unwrap_err().exit_code(), 2, "{wrong:?}");
        }
    }
}
