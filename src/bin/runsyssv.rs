//! The supervisor of one service: see runsyssv(1).

use std::process::ExitCode;

fn main() -> ExitCode {
    sysmgr::supervisor::main()
}
