//! Standard output and standard error, also without a reader.
//!
//! The printing macros end the program once the reader has gone (`larderd keys | head -1`); here a missing reader is
//! no trouble. A full output is: a key is shown once, and must not be lost without a word. Not here: the words.

use super::words::Trouble;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// A line to the standard output.
///
/// # Errors
/// When the line could not be written although a reader waits.
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

/// A line to the standard error. A closed standard error has no listener left.
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
