//! The service manager: see sysmgr(8).

fn main() {}
