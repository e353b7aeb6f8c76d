//! The service manager: see sysmgr(8).

use std::process::ExitCode;

fn main() -> ExitCode {
    sysmgr::manager::main()
}
