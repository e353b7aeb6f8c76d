//! sysmgr keeps the processes of a service directory alive unless they are explicitly stopped.

pub mod service;
pub mod settings;
pub mod supervisor;
pub mod sys;
