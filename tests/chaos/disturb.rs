//! Those who disturb: they kill, suspend and wipe.

use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::common::{Signal, millis, process};
use crate::random::Random;
use crate::world::{Kind, Weather, World};

/// A runsyssv that dies younger is backed off when that happens again and again.
const YOUNG: Duration = Duration::from_millis(1200);

/// So often it may: the wait after that is not too long for the end of a round.
const QUICKLY: u32 = 3;

/// Kills until `end`.
pub fn kill(world: &World, weather: Weather, random: &mut Random, end: Instant) {
    while Instant::now() < end && !world.has_failed() {
        let a = random.of(&world.names()).copied().expect("there are services");
        let b = random.of(&world.names()).copied().expect("there are services");
        match random.below(12) {
            0 | 1 => kill_service(world, random, a),
            2..=4 => kill_supervisor(world, weather, random, a),
            5 | 6 => in_any_order(
                random,
                |random| kill_supervisor(world, weather, random, a),
                |random| kill_service(world, random, a),
            ),
            7 => in_any_order(
                random,
                |random| kill_supervisor(world, weather, random, a),
                |random| kill_supervisor(world, weather, random, b),
            ),
            8 => kill_manager(world, weather),
            9 => in_any_order(
                random,
                |random| kill_supervisor(world, weather, random, a),
                |_| kill_manager(world, weather),
            ),
            10 => in_any_order(random, |random| kill_service(world, random, a), |_| kill_manager(world, weather)),
            _ if random.one_in(3) => {
                kill_manager(world, weather);
                for name in world.names() {
                    kill_supervisor(world, weather, random, name);
                }
            }
            _ => {}
        }
        sleep(random.pause(250));
    }
}

fn in_any_order(random: &mut Random, a: impl FnOnce(&mut Random), b: impl FnOnce(&mut Random)) {
    let between = random.pause(5);
    if random.one_in(2) {
        a(random);
        sleep(between);
        b(random);
    } else {
        b(random);
        sleep(between);
        a(random);
    }
}

fn kill_service(world: &World, random: &mut Random, name: &str) {
    let pids = world.of_service(name);
    let main = world.bed.pid(name).filter(|pid| pids.contains(pid));
    let Some(pid) = main.filter(|_| !random.one_in(4)).or_else(|| random.of(&pids).copied()) else { return };
    world.kill(pid, &Kind::OfService(name.to_owned()));
}

fn kill_supervisor(world: &World, weather: Weather, random: &mut Random, name: &str) {
    if weather == Weather::WipesWithoutManager {
        return;
    }
    for pid in world.supervisors(name) {
        let is_young = age(pid).is_some_and(|age| age < YOUNG);
        {
            let mut quickly = world.service(name).quickly.lock().expect("no thread has failed");
            *quickly = if is_young { *quickly + 1 } else { 0 };
            if *quickly > QUICKLY || is_young && random.one_in(2) {
                return;
            }
        }
        world.kill(pid, &Kind::Supervisor(name.to_owned()));
    }
}

/// How long ago a process was started, about.
fn age(pid: i32) -> Option<Duration> {
    fs::metadata(format!("/proc/{pid}")).ok()?.modified().ok()?.elapsed().ok()
}

fn kill_manager(world: &World, weather: Weather) {
    if weather == Weather::WipesWithoutSupervisors {
        return;
    }
    if let Some(manager) = world.manager() {
        world.kill(manager, &Kind::Manager);
    }
}

/// Suspends one after the other until `end`, and has it go on.
pub fn suspend(world: &World, random: &mut Random, end: Instant) {
    while Instant::now() < end && !world.has_failed() {
        let name = random.of(&world.names()).copied().expect("there are services");
        let of_it = |pids: Vec<i32>, kind: Kind| pids.into_iter().map(|pid| (pid, kind.clone())).collect();
        let suspended: Vec<(i32, Kind)> = match random.below(5) {
            0 => world.manager().map(|pid| (pid, Kind::Manager)).into_iter().collect(),
            1 | 2 => of_it(world.supervisors(name), Kind::Supervisor(name.to_owned())),
            3 => of_it(world.of_service(name), Kind::OfService(name.to_owned())),
            _ => {
                let all = world.processes().into_iter();
                all.filter(|(_, (kind, _))| *kind == Kind::Tool).map(|(pid, (kind, _))| (pid, kind)).collect()
            }
        };
        for (pid, kind) in &suspended {
            world.signal(*pid, kind, Signal::SIGSTOP);
        }
        sleep(random.pause(500));
        for (pid, kind) in &suspended {
            world.signal(*pid, kind, Signal::SIGCONT);
        }
        sleep(random.pause(200));
    }
}

/// Wipes the run directory, whole or in part, until `end`.
pub fn wipe(world: &World, weather: Weather, random: &mut Random, end: Instant) {
    while Instant::now() < end && !world.has_failed() {
        let name = random.of(&world.names()).copied().expect("there are services");
        if weather == Weather::Deaths {
            wipe_file(world, random, name, &["pid", "syspid", "status", "waiting", "ready", "depends"]);
        } else {
            match random.below(8) {
                0 => {
                    for service in &world.services {
                        service.unwish();
                    }
                    world.trace.note("*", "rm -r of all");
                    let _ = fs::remove_dir_all(&world.bed.rundir);
                    for service in &world.services {
                        service.unwish();
                    }
                }
                1 | 2 => {
                    world.service(name).unwish();
                    world.trace.note(name, "rm -r");
                    let _ = fs::remove_dir_all(world.bed.rundir.join(name));
                    world.service(name).unwish();
                }
                3 => wipe_file(world, random, "", &[".owner", "pid"]),
                4 | 5 => wipe_file(world, random, name, &[".owner"]),
                _ => wipe_file(world, random, name, &["pid", "syspid", "status", "depends"]),
            }
        }
        sleep(random.pause(400));
    }
}

fn wipe_file(world: &World, random: &mut Random, name: &str, files: &[&str]) {
    let file = random.of(files).copied().expect("there are some");
    let path = world.bed.path(name, file);
    let whom = if name.is_empty() { "*" } else { name };
    if random.one_in(2) {
        world.trace.note(whom, format!("rm {file}"));
        let _ = fs::remove_file(path);
    } else if path.exists() {
        let rubbish = [&b""[..], b"-1\n", b"0\n", b"1\n", b"state='up'\npid='1'\n", b"\xff\0\xfe", &[b'9'; 5000]];
        let rubbish = random.of(&rubbish).copied().expect("there is some");
        world.trace.note(whom, format!("rubbish in {file}"));
        let _ = fs::write(path, rubbish);
    }
}

/// Sees to it that sysmgr is there again after a while, and that nothing runs twice, until `end`.
pub fn keep(world: &World, weather: Weather, random: &mut Random, end: Instant) {
    while Instant::now() < end && !world.has_failed() {
        if !world.look_at_managers() {
            sleep(random.pause(300));
            let two = weather == Weather::Deaths && random.one_in(8);
            world.start_manager(if two { 2 } else { 1 });
        }
        let twice = world.twice();
        if !twice.is_empty() {
            world.fail(format!("ran twice: {}\n{}", twice.replace('\n', ", "), holders(world)));
        }
        sleep(millis(10));
    }
}

/// Who has the locks of the services.
fn holders(world: &World) -> String {
    let of_services = world.processes().into_iter().filter(|(_, (kind, _))| matches!(kind, Kind::OfService(_)));
    let lines: Vec<_> =
        of_services.map(|(pid, what)| format!("{pid} {what:?} {}", process::command_line(pid))).collect();
    lines.join("\n")
}
