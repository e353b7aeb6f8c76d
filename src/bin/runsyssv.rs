//! The supervisor of one service: see runsyssv(1).
#![no_main]

sysmgr::program!(sysmgr::supervisor::main);
