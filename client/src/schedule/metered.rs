//! Whether the connection of this computer costs by volume, as far as NetworkManager tells.

use crate::programs::Programs;

/// What is known of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MeteredLine {
    Yes,
    No,
    /// Nobody on this computer tells.
    Unknown,
}

const QUESTION: [&str; 4] = [
    "get-property",
    "org.freedesktop.NetworkManager",
    "/org/freedesktop/NetworkManager",
    "org.freedesktop.NetworkManager",
];

/// Asks NetworkManager, whose numbers are those of `NMMetered`: 1 yes, 2 no, 3 and 4 the same as guesses.
pub(crate) fn is_metered(programs: &dyn Programs) -> MeteredLine {
    let args = [&["--system", "--timeout=5", "--auto-start=no"][..], &QUESTION, &["Metered"]].concat();
    match programs.ask("busctl", &args) {
        Ok(answer) if answer.success => match answer.out.as_str() {
            "u 1" | "u 3" => MeteredLine::Yes,
            "u 2" | "u 4" => MeteredLine::No,
            _ => MeteredLine::Unknown,
        },
        _ => MeteredLine::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programs::ProgramAnswer;
    use std::io;

    struct Planted(io::Result<ProgramAnswer>);

    impl Programs for Planted {
        fn ask(&self, program: &str, args: &[&str]) -> io::Result<ProgramAnswer> {
            assert_eq!((program, args.last()), ("busctl", Some(&"Metered")));
            self.0.as_ref().map(Clone::clone).map_err(|error| error.kind().into())
        }
    }

    #[test]
    fn only_a_clear_answer_counts() {
        let told =
            |success, out: &str| Ok(ProgramAnswer { success, out: out.to_owned(), err: String::new() });
        for (answer, expect) in [
            (told(true, "u 1"), MeteredLine::Yes),
            (told(true, "u 3"), MeteredLine::Yes),
            (told(true, "u 2"), MeteredLine::No),
            (told(true, "u 4"), MeteredLine::No),
            (told(true, "u 0"), MeteredLine::Unknown),
            (told(true, ""), MeteredLine::Unknown),
            (told(false, "u 1"), MeteredLine::Unknown),
            (Err(io::ErrorKind::NotFound.into()), MeteredLine::Unknown),
        ] {
            assert_eq!(is_metered(&Planted(answer)), expect);
        }
    }
}
