//! The supervisor of one service: see runsyssv(1).

fn main() {}
