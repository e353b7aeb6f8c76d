//! The control of services: see svctl(1).

use std::process::ExitCode;

fn main() -> ExitCode {
    sysmgr::control::main()
}
