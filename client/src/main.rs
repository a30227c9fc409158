//! The command `larder`. The library does the work, so that tests and the demo reach the same code.

fn main() -> std::process::ExitCode {
    larder_client::owner::main()
}
