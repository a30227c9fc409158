//! Answers that are the last on their connection.
//!
//! Not here: for whom that is so (`auth`, `connections`, `lamp`).

use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::response::Response;

/// The answer, with the word that has the server close the connection behind it.
pub(super) fn and_close(mut response: Response) -> Response {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}
