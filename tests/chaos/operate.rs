//! Those who use it: operations of svctl, file operations, signals, entries that come and go.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::common::{Signal, millis, process};
use crate::random::Random;
use crate::world::{Kind, Service, Weather, Wish, World};

/// Uses one in `parts` of the services until `end`, the only one who does so with these.
pub fn operate(world: &World, weather: Weather, random: &mut Random, part: usize, parts: usize, end: Instant) {
    let mine: Vec<&Service> = world.services.iter().skip(part).step_by(parts).collect();
    while Instant::now() < end && !world.has_failed() {
        let Some(service) = random.of(&mine) else { return };
        match random.below(20) {
            0..=8 => by_svctl(world, service, random),
            9..=12 => by_lock(world, service, random),
            13..=15 => by_signal(world, service, random),
            16 | 17 => by_entry(world, service, random),
            18 => to_all(world, weather, random),
            _ => {
                for pid in world.of_service(service.name) {
                    world.signal(pid, &Kind::OfService(service.name.to_owned()), Signal::SIGTERM);
                }
            }
        }
        sleep(random.pause(200));
    }
}

fn by_svctl(world: &World, service: &Service, random: &mut Random) {
    let operations = ["start", "stop", "kill", "restart", "once", "try-restart", "stop", "start"];
    let operation = random.of(&operations).expect("there are some");
    let number = service.unwish();
    world.trace.note(service.name, format!("svctl {operation}"));
    let mut command = world.bed.program("svctl");
    let mut child = command.args(["-w", "2", operation, service.name]).spawn().expect("svctl can be started");
    if random.one_in(3) {
        sleep(random.pause(30));
        world.kill(process::of_child(&child), &Kind::Tool);
    }
    let code = ended(world, &mut child);
    world.trace.note(service.name, format!("svctl {operation} has ended: {code:?}"));
    match (*operation, code) {
        ("stop" | "kill", Some(0)) => service.wished(number, Wish::Down),
        ("start", Some(0)) => service.wished(number, Wish::Up),
        (_, Some(0..=6) | None) => {}
        (_, Some(code)) => world.fail(format!("svctl {operation} {} has ended with {code}", service.name)),
    }
}

/// How svctl ends, in twice the time that it was given, but for suspensions.
fn ended(world: &World, child: &mut Child) -> Option<i32> {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("it is our child") {
            return status.code();
        }
        if begin.elapsed() > Duration::from_secs(30) {
            world.fail("svctl does not end".to_owned());
            let _ = child.kill();
        }
        sleep(millis(2));
    }
}

fn by_lock(world: &World, service: &Service, random: &mut Random) {
    service.unwish();
    let orders = ["", "", "", "stop", "kill", "once", "restart", "rubbish", "shutdown", "gone"];
    let order = random.of(&orders).expect("there are some");
    let lock = world.bed.path(service.name, "lock");
    let note = |what: &str| world.trace.note(service.name, what);
    match random.below(4) {
        0 | 1 => {
            note("rm lock");
            let _ = fs::remove_file(&lock);
        }
        2 => {
            note(&format!("echo {order} > lock"));
            let _ = fs::write(&lock, format!("{order}\n"));
        }
        _ => {
            note(&format!("lock replaced: {order}"));
            let aside = world.bed.path(service.name, ".order");
            if fs::write(&aside, order).is_ok() {
                let _ = fs::rename(&aside, &lock);
            }
        }
    }
}

fn by_signal(world: &World, service: &Service, random: &mut Random) {
    use Signal::{SIGALRM, SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
    let signals = [SIGTERM, SIGHUP, SIGINT, SIGUSR1, SIGUSR2, SIGUSR2, SIGALRM, SIGCONT];
    let signal = *random.of(&signals).expect("there are some");
    service.unwish();
    for pid in world.supervisors(service.name) {
        world.signal(pid, &Kind::Supervisor(service.name.to_owned()), signal);
    }
}

fn by_entry(world: &World, service: &Service, random: &mut Random) {
    service.unwish();
    let path = world.bed.sysdir.join(service.name);
    let note = |what: &str| world.trace.note(service.name, what);
    match random.below(5) {
        0 | 1 => {}
        2 => {
            note("entry removed, to be put back at once");
            let _ = fs::remove_file(&path);
            sleep(random.pause(300));
        }
        3 => {
            note("entry removed");
            let _ = fs::remove_file(&path);
            sleep(millis(1000) + random.pause(1000));
        }
        _ => {
            note("entry made not executable");
            let _ = fs::set_permissions(&path, fs::Permissions::from_mode(0o644));
            sleep(random.pause(300));
        }
    }
    world.bed.service(service.name, &service.script);
    note("entry moved in");
}

/// Signals to sysmgr.
fn to_all(world: &World, weather: Weather, random: &mut Random) {
    use Signal::{SIGTERM, SIGUSR1, SIGUSR2};
    let Some(manager) = world.manager_at_work() else { return };
    let signal = match random.below(6) {
        0 if weather == Weather::Deaths => SIGTERM,
        1 | 2 => SIGUSR1,
        _ => SIGUSR2,
    };
    world.signal(manager, &Kind::Manager, signal);
}
