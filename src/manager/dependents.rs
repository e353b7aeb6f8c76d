//! The learned dependencies: who has waited for whom.

use super::services::Services;
use crate::depends::graph::Graph;
use crate::depends::lines::read_depends;
use crate::service::files::{DEPENDS, STATUS};
use crate::service::name::Name;
use crate::service::status::{Phase, Status};
use crate::sys::signals;

/// Longer lists are rubbish.
const LONGEST: usize = 65_536;

impl Services {
    /// Reads for whom `name` has waited.
    pub(super) fn learn(&mut self, name: &Name) {
        for other in self.depends(name) {
            self.dependents.entry(other).or_default().insert(name.clone());
        }
    }

    /// The status of `name` has changed. When it has come up, those that have waited for it, and
    /// failed since, are tried at once.
    pub(super) fn status_changed(&mut self, name: &Name) {
        let Some(dependents) = self.dependents.get(name) else { return };
        if self.phase(name) != Some(Phase::Up) {
            return;
        }
        for dependent in dependents.clone() {
            // what it has waited for once is not for ever
            if self.phase(&dependent) == Some(Phase::Backoff) && self.depends(&dependent).contains(name) {
                self.signal(&dependent, &[signals::SIGCONT]);
            }
        }
    }

    /// All that is known now.
    pub(super) fn graph(&self) -> Graph {
        let mut graph = Graph::default();
        for name in self.all.keys() {
            graph.insert(name.clone(), self.depends(name));
        }
        graph
    }

    fn depends(&self, name: &Name) -> Vec<Name> {
        let Ok(dir) = self.rundir.sub(name.as_os_str()) else { return Vec::new() };
        dir.read(DEPENDS, &mut vec![0; LONGEST]).map(read_depends).unwrap_or_default()
    }

    pub(super) fn phase(&self, name: &Name) -> Option<Phase> {
        let dir = self.rundir.sub(name.as_os_str()).ok()?;
        Some(Status::decode(dir.read(STATUS, &mut [0; 4096])?)?.phase)
    }
}
