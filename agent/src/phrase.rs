//! Pieces of sentences for the messages of every part of the agent. Not here: the messages.

/// `1 file`, `2 files`.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A cause as a sentence of its own.
pub(crate) fn sentence(cause: &str) -> String {
    let mut rest = cause.chars();
    let first = rest.next().map(char::to_uppercase);
    format!("{}{}.", first.into_iter().flatten().collect::<String>(), rest.as_str())
}

/// An error with its whole chain of causes.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut rest = error.source();
    while let Some(cause) = rest {
        text = format!("{text}: {cause}");
        rest = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_many() {
        assert_eq!(counted(1, "file is", "files are"), "1 file is");
        assert_eq!(counted(0, "file is", "files are"), "0 files are");
        assert_eq!(sentence("the disk at /a is away"), "The disk at /a is away.");
        assert_eq!(sentence("\"a\" means more"), "\"a\" means more.");
        assert_eq!(sentence(""), ".");
    }
}
