//! The command `larder`. Everything it does is in the library, where tests and the agent's demo reach it too.

fn main() -> std::process::ExitCode {
    larder_client::owner::main()
}
