//! The wait for other services: see sysmgr-depends(1).
#![no_main]

sysmgr::program!(sysmgr::depends::main);
