//! The results, and their table.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;

use crate::measure::Work;
use crate::systems::System;

/// All samples of each work of each system.
#[derive(Debug, Default)]
pub struct Results(BTreeMap<(Work, String), Vec<f64>>);

impl Results {
    /// Adds a sample.
    pub fn add(&mut self, work: Work, system: &System, sample: f64) {
        self.0.entry((work, system.name().to_owned())).or_default().push(sample);
    }

    fn of(&self, work: Work, system: &System) -> Option<Summary> {
        Summary::of(self.0.get(&(work, system.name().to_owned()))?)
    }

    /// Prints the table, in Markdown. The ratio is that to the floor; the last column that of the first sysmgr to the
    /// best of the peers.
    pub fn print(&self, systems: &[System]) {
        let header: Vec<&str> = systems.iter().map(System::name).collect();
        println!("| | {} | best peer |", header.join(" | "));
        println!("|---|{}---|", "---|".repeat(header.len()));
        for work in Work::ALL {
            if !self.0.keys().any(|(there, _)| *there == work) {
                continue;
            }
            let floor = systems.iter().find(|s| s.name() == "floor").and_then(|s| self.of(work, s));
            let mut line = format!("| {} |", work.words());
            for system in systems {
                let Some(summary) = self.of(work, system) else {
                    line.push_str(" - |");
                    continue;
                };
                let _ = write!(line, " {}", summary.text());
                match floor {
                    Some(floor) if system.name() != "floor" && floor.median > 0.0 => {
                        let _ = write!(line, " ×{:.2}", summary.median / floor.median);
                    }
                    _ => {}
                }
                line.push_str(" |");
            }
            let own = systems.iter().find(|s| s.is_ours()).and_then(|s| self.of(work, s));
            let peers = systems.iter().filter(|s| s.is_peer()).filter_map(|s| self.of(work, s)).map(|s| s.median);
            match (own, peers.reduce(f64::min)) {
                (Some(own), Some(best)) if best > 0.0 => {
                    let _ = write!(line, " ×{:.2} |", own.median / best);
                }
                _ => line.push_str(" |"),
            }
            println!("{line}");
        }
    }
}

/// What the samples come to.
#[derive(Debug, Clone, Copy)]
struct Summary {
    median: f64,
    least: f64,
    most: f64,
    samples: usize,
}

impl Summary {
    fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let half = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 { sorted[half] } else { f64::midpoint(sorted[half - 1], sorted[half]) };
        Some(Self { median, least, most, samples: sorted.len() })
    }

    fn text(self) -> String {
        if self.samples == 1 {
            return figure(self.median);
        }
        format!("{} ({}-{})", figure(self.median), figure(self.least), figure(self.most))
    }
}

/// Three digits that count.
fn figure(value: f64) -> String {
    match value {
        v if v == 0.0 || v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// Says where and with what was measured.
pub fn introduce(systems: &[System], runs: usize) {
    let words = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&output).trim().to_owned()
    };
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    println!("{}, {cpus} × {}; {runs} runs", words("uname", &["-srm"]), model.unwrap_or("CPU"));
    for system in systems.iter().filter(|system| !system.version().is_empty()) {
        println!("- {}: {}", system.name(), system.version());
    }
}
