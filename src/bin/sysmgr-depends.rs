//! The wait for other services: see sysmgr-depends(1).

fn main() {}
