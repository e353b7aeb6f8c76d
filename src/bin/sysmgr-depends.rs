//! The wait for other services: see sysmgr-depends(1).

use std::process::ExitCode;

fn main() -> ExitCode {
    sysmgr::depends::main()
}
