//! Names in the path and the query of a request.

use crate::ClientError;
use larder_format::{ledger::is_source_name, wire::escape_name};
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

/// A source's name for the path of a request.
pub(crate) fn checked_source(source: &str) -> Result<&str, ClientError> {
    if is_source_name(source) {
        Ok(source)
    } else {
        Err(ClientError::Usage(format!(
            "\"{source}\" is not the name of a source; those look like laptop/photos"
        )))
    }
}
