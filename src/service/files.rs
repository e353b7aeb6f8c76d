//! The names of the files of the run directory.

/// In `RUNDIR`: process id of sysmgr. In `RUNDIR/NAME`: process id of the service.
pub const PID: &str = "pid";
/// Process id of the runsyssv of a service.
pub const SYSPID: &str = "syspid";
/// While it exists, the service is not started; its line is a standing order.
pub const LOCK: &str = "lock";
/// What is known of the service, for `sh`.
pub const STATUS: &str = "status";
/// Which processes of the service wait, and for what.
pub const WAITING: &str = "waiting";
/// The services that the service has waited for.
pub const DEPENDS: &str = "depends";
/// Made by the service itself to say that it serves.
pub const READY: &str = "ready";
/// Held under a lock by the living sysmgr or runsyssv; holds the record.
pub const OWNER: &str = ".owner";

/// All that may be removed from the directory of a service, `.owner` last: a directory that still
/// has it is known to be one of ours if the removal is cut short.
pub const OF_SERVICE: [&str; 8] = [PID, SYSPID, LOCK, STATUS, WAITING, DEPENDS, READY, OWNER];
