//! What goes to the standard output and the standard error, also when nobody reads it any more.
//!
//! The macros that print end the program when the reader has gone (`larderd keys | head -1`); here that is no trouble. An
//! output that is full is one: a key is shown once, and must not be lost without a word. Not here: what is said.

use super::words::Trouble;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// A line to the standard output.
///
/// # Errors
/// When it could not be written although somebody waits for it.
pub(crate) fn say(line: impl fmt::Display) -> Result<(), Trouble> {
    say_all(format!("{line}\n").as_bytes())
}

/// Text as it is to the standard output.
///
/// # Errors
/// As `say`.
pub(super) fn say_all(text: &[u8]) -> Result<(), Trouble> {
    written(&mut io::stdout().lock(), text).map_err(|error| Trouble {
        meaning: "What was asked for is done all the same. Nothing that is kept was touched.".into(),
        ..Trouble::new(
            1,
            "The answer could not be written.",
            "Make room where the output goes, or leave it on the screen, and ask again.",
            error,
        )
    })
}

/// A line to the standard error. If that is closed, nobody is left who could be told.
pub(crate) fn hint(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Prints trouble for a person and gives the exit code.
pub(super) fn report(trouble: &Trouble) -> ExitCode {
    hint(format_args!("{}\n{}\n{}", trouble.what, trouble.meaning, trouble.remedy));
    if !trouble.details.is_empty() {
        hint(format_args!("details: {}", trouble.details));
    }
    ExitCode::from(trouble.exit)
}

fn written(out: &mut impl Write, text: &[u8]) -> io::Result<()> {
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Failing(io::ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_left_is_no_trouble_and_a_full_disk_is() {
        assert!(written(&mut Failing(io::ErrorKind::BrokenPipe), b"key").is_ok());
        assert!(written(&mut Failing(io::ErrorKind::StorageFull), b"key").is_err());
    }
}
