//! `make bench`: sysmgr, the floor and every other supervisor that is installed do the same work, one after the
//! other, over and over in one run; medians with minimum and maximum, and the ratios. See `benches/RESULTS.md`.
//!
//! Environment: `BENCH_N` (numbers of services, default `20,200,1000`), `BENCH_RUNS` (default 3), `BENCH_IDLE` (seconds
//! of idling that are measured, default 15, 0 for none), `BENCH_LOOP` (seconds of the crash loop, default 10, 0 for none), `BENCH_ONLY` (names of
//! the supervisors), `BENCH_SYSMGR` (other builds of sysmgr to run beside: `NAME=DIRECTORY,...`), `BENCH_DIR` (where
//! the services are made: a memory file system, default `/dev/shm`).

#[cfg(target_os = "linux")]
mod measure;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod programs;
#[cfg(target_os = "linux")]
mod systems;
#[cfg(target_os = "linux")]
mod table;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    // `cargo test --all-targets` starts it too: nothing is to be measured then
    if std::env::args().any(|argument| argument == "--bench") {
        if let Err(error) = run() {
            eprintln!("bench: {error}");
            return std::process::ExitCode::FAILURE;
        }
    }
    std::process::ExitCode::SUCCESS
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("bench: what is measured here is only known of Linux");
}

#[cfg(target_os = "linux")]
fn run() -> Result<(), Box<dyn std::error::Error>> {
    use std::time::Duration;
    let numbers: Vec<usize> = setting("BENCH_N", "20,200,1000").split(',').map(str::parse).collect::<Result<_, _>>()?;
    let runs: usize = setting("BENCH_RUNS", "3").parse()?;
    let plan = measure::Plan {
        idle: Duration::from_secs(setting("BENCH_IDLE", "15").parse()?),
        crash_loop: Duration::from_secs(setting("BENCH_LOOP", "10").parse()?),
    };
    let programs = programs::Programs::build(setting("BENCH_DIR", "/dev/shm").as_ref())?;
    process::adopt_orphans()?;
    let systems = systems::installed(&setting("BENCH_SYSMGR", ""), &setting("BENCH_ONLY", ""));
    table::introduce(&systems, runs);
    let mut loops = table::Results::default();
    let mut tables: Vec<table::Results> = numbers.iter().map(|_| table::Results::default()).collect();
    let most = numbers.iter().copied().max().unwrap_or(0);
    for run in 0..runs {
        for (n, results) in numbers.iter().zip(&mut tables) {
            // not always the same one first
            for place in 0..systems.len() {
                let system = &systems[(place + run) % systems.len()];
                if *n > system.most() {
                    continue;
                }
                eprintln!("bench: run {} of {runs}, {n} services, {}", run + 1, system.name());
                let idle = run == 0 && *n == most;
                measure::session(&plan, system, &programs, *n, idle, results)
                    .map_err(|error| format!("{} with {n} services: {error}", system.name()))?;
            }
        }
    }
    if !plan.crash_loop.is_zero() {
        for system in systems.iter().filter(|system| system.name() != "floor") {
            eprintln!("bench: crash loop, {}", system.name());
            measure::crash_loop(&plan, system, &programs, &mut loops)
                .map_err(|error| format!("{} with services that crash: {error}", system.name()))?;
        }
    }
    for (n, results) in numbers.iter().zip(&tables) {
        println!("\n## {n} services\n");
        results.print(&systems);
    }
    if !plan.crash_loop.is_zero() {
        println!("\n## 20 services that end at once, for {} seconds\n", plan.crash_loop.as_secs());
        loops.print(&systems);
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn setting(name: &str, default: &str) -> String {
    std::env::var(name).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned())
}
