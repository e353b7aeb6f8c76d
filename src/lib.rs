//! sysmgr keeps the processes of a service directory alive unless they are explicitly stopped.

pub mod arguments;
pub mod cli;
pub mod control;
pub mod depends;
pub mod manager;
pub mod service;
pub mod settings;
pub mod startup;
pub mod supervisor;
pub mod sys;
