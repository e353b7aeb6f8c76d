//! The control of services: see svctl(1).
#![no_main]

sysmgr::program!(sysmgr::control::main);
