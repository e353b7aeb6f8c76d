//! The control of services: see svctl(1).

fn main() {}
