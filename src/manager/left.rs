//! What the files of a service say, to whoever does not supervise it.

use std::ffi::OsString;

use crate::service::files::{LOCK, OF_SERVICE};
use crate::service::order::Order;
use crate::service::record::Record;
use crate::sys::fault::Fault;
use crate::sys::fault::is_passing;
use crate::sys::files::{Dir, is_aside_of};
use crate::sys::owner::Holder;
use crate::sys::owner::Owner;

/// What the lock says.
///
/// # Errors
/// What kept us from reading it just now.
pub fn read_order(dir: &Dir) -> Result<Option<Order>, Fault> {
    Ok(dir.read_for_certain(LOCK, &mut [0; 64])?.map(Order::parse))
}

/// The record of a service, whoever holds it.
///
/// # Errors
/// What kept us from reading it just now.
pub fn record_of(dir: &Dir) -> Result<Option<Record>, Fault> {
    match Owner::holder(dir) {
        Ok(Holder::Nobody(record) | Holder::Process(_, record)) => Ok(record),
        Err(fault) if is_passing(fault.errno) => Err(fault),
        Ok(Holder::Nothing) | Err(_) => Ok(None),
    }
}

/// Removes files of ours, and what was left aside.
pub fn remove_files(dir: &Dir, names: &[&str]) {
    let there = dir.names().ok();
    let is_ours = |name: &&OsString| OF_SERVICE.iter().any(|file| is_aside_of(name, file));
    for name in there.iter().flatten().filter(is_ours) {
        let _ = dir.remove(name.as_os_str());
    }
    for name in names.iter().filter(|name| there.as_ref().is_none_or(|all| all.iter().any(|other| other == **name))) {
        let _ = dir.remove(*name);
    }
}
