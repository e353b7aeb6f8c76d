//! The service manager: see sysmgr(8).
#![no_main]

sysmgr::program!(sysmgr::manager::main);
