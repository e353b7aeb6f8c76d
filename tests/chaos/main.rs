//! Everything is used, killed, suspended and wiped at random, all at once; then it is quiet, and all must be as it
//! should be. `SEED` and `SECONDS` say how; `make chaos` does it for longer.

#[path = "../common/mod.rs"]
mod common;
mod disturb;
mod operate;
mod random;
mod trace;
mod verify;
mod world;

use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use common::{Signal, available, millis, process};
use random::Random;
use world::{Weather, World};

fn variable<T: FromStr>(name: &str, otherwise: T) -> T {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text}: a number is right")),
        Err(_) => otherwise,
    }
}

#[test]
fn whatever_is_killed_suspended_and_wiped_nothing_runs_twice_and_nothing_is_lost() {
    if !["flock", "setsid"].into_iter().all(available) {
        return;
    }
    let now = std::time::UNIX_EPOCH.elapsed().map_or(1, |time| u64::from(time.subsec_nanos()));
    let (seed, seconds) = (variable("SEED", now), variable("SECONDS", 8));
    let world = World::new();
    let end = Instant::now() + Duration::from_secs(seconds);
    world.start_manager(1);
    verify::settle(&world, None);
    let bounds = verify::descriptors(&world);
    let mut rounds = 0;
    while Instant::now() < end && !world.has_failed() {
        rounds += 1;
        let mut random = Random::new(seed, rounds, 0);
        let weathers = [Weather::Deaths, Weather::WipesWithoutManager, Weather::WipesWithoutSupervisors];
        // a short run has them all
        let weather = weathers[usize::try_from(rounds % 3).unwrap_or(0)];
        world.trace.note("*", format!("round {rounds}: {weather:?}"));
        disturbed(
            &world,
            weather,
            seed,
            rounds,
            Instant::now() + millis(800) + random.pause((seconds * 100).clamp(2000, 12_000)),
        );
        world.trace.note("*", "quiet");
        verify::settle(&world, Some(bounds));
        let stopped: Vec<_> = world.names().into_iter().filter(|_| random.one_in(3)).collect();
        verify::drive(&world, &stopped);
        verify::settle(&world, Some(bounds));
    }
    println!("seed {seed}: {} kills, {} operations, {rounds} rounds", world.trace.kills(), world.trace.count());
    if let Some(failure) = world.failure.lock().expect("no thread has failed").take() {
        world.trace.show(&world.names());
        panic!("SEED={seed} SECONDS={seconds}: {failure}");
    }
    assert!(world.trace.kills() > 0, "nothing was killed");
    // and all of it ends
    let mut manager = world.managers.lock().expect("no thread has failed").pop().expect("there is a sysmgr");
    common::kill(process::of_child(&manager), Signal::SIGTERM);
    assert_eq!(process::wait(&mut manager).code(), Some(0));
}

/// All at once, until `end`.
fn disturbed(world: &World, weather: Weather, seed: u64, round: u64, end: Instant) {
    const OPERATORS: usize = 3;
    let random = |thread: usize| Random::new(seed, round, u64::try_from(thread + 1).unwrap_or(1));
    thread::scope(|scope| {
        scope.spawn(move || disturb::keep(world, weather, &mut random(0), end));
        scope.spawn(move || disturb::wipe(world, weather, &mut random(1), end));
        scope.spawn(move || disturb::suspend(world, &mut random(2), end));
        for killer in 3..5 {
            scope.spawn(move || disturb::kill(world, weather, &mut random(killer), end));
        }
        for part in 0..OPERATORS {
            scope.spawn(move || operate::operate(world, weather, &mut random(5 + part), part, OPERATORS, end));
        }
    });
}
