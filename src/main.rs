//! The binary `wox`: parse, run, exit code. Everything else is in the library.

fn main() -> std::process::ExitCode {
    wox_recovery::cli::main().into()
}
