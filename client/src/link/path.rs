//! Names as they may stand in the path and the query of a request.

use crate::ClientError;
use larder_format::{ledger::is_source_name, wire::escape_name};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

/// Everything but what is plain in a path and in a query.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

pub(super) fn percent_encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, ENCODED).to_string()
}

/// A path in a source for a query: as the appliance writes it, then percent-encoded.
pub(super) fn query_path(path: &[u8]) -> String {
    percent_encode(&escape_name(path))
}

/// A source's name as it may stand in a path.
pub(crate) fn checked_source(source: &str) -> Result<&str, ClientError> {
    if is_source_name(source) {
        Ok(source)
    } else {
        Err(ClientError::Usage(format!(
            "\"{source}\" is not the name of a source; those look like laptop/photos"
        )))
    }
}
