//! Operations that change services: first all orders, then all nudges, then the wait.
//!
//! An order is in the lock before anything else is done, and whichever supervisor there is, or comes
//! next, carries it out. So an svctl that is interrupted after that loses nothing, and the nudge
//! only makes it happen at once.

use std::ffi::OsStr;
use std::time::Duration;

use nix::errno::Errno;

use super::complain_of;
use super::goal::{Goal, Verdict};
use super::outcome::Outcome;
use super::report::Place;
use super::service::{Reach, Service};
use super::survey::Scene;
use super::words::short;
use crate::cli::svctl::Operation;
use crate::service::moment::Moment;
use crate::service::name::Name;
use crate::service::order::Order;
use crate::sys::fault::Fault;
use crate::sys::lookout::{Lookout, Stirred};
use crate::sys::{clock, context, signals, tool};

/// Where directories can't be watched, they are looked at at least so often.
const LOOK: Duration = Duration::from_millis(50);

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// The operation.
    pub operation: Operation,
    /// How long to wait until it is done; zero: not at all.
    pub wait: Duration,
    /// Whether what does not stop in time is killed.
    pub force: bool,
}

/// One service, on the way to what was asked for.
struct Task<'n> {
    name: &'n Name,
    service: Service,
    goal: Goal,
    /// When it was told.
    told: Moment,
    outcome: Option<Outcome>,
}

/// Why nothing is to be done, or can be.
enum Cease {
    /// It is so already.
    Done,
    /// It can't be done.
    No(Outcome, String),
    /// The system refuses it.
    Fault(Fault),
}

impl From<Fault> for Cease {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Says what the system refused, and to whom it would not.
fn refused(scene: &Scene, name: &Name, fault: &Fault) -> Outcome {
    let outcome = outcome_of(fault.errno);
    match scene.keeper().filter(|_| outcome == Outcome::Forbidden) {
        Some(0) => complain_of(name, &"not permitted; only root may do that"),
        Some(user) => complain_of(name, &format!("not permitted; only root and user {user} may do that")),
        None => complain_of(name, fault),
    }
    outcome
}

/// Does it; gives what came of each service.
pub fn operate(scene: &mut Scene, names: &[&Name], wish: &Wish) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut tasks = Vec::new();
    let managed = scene.is_managed();
    for name in names {
        match order(scene, name, wish.operation, managed) {
            Ok((service, goal)) => {
                tasks.push(Task { name, service, goal, told: clock::now(), outcome: None });
            }
            Err(Cease::Done) => outcomes.push(Outcome::Done),
            Err(Cease::No(outcome, why)) => {
                complain_of(name, &why);
                outcomes.push(outcome);
            }
            Err(Cease::Fault(fault)) => outcomes.push(refused(scene, name, &fault)),
        }
    }
    let mut left = false;
    for task in &mut tasks {
        task.told = clock::now();
        let nudged = nudge(scene, task.name, &task.service, task.goal, managed);
        match nudged {
            Ok(reached) => left |= !reached,
            Err(fault) => task.outcome = Some(refused(scene, task.name, &fault)),
        }
    }
    if left && managed {
        scene.nudge_manager();
    }
    let mut watch = Awaiting::new(scene, &tasks);
    watch.wait(scene, &mut tasks, wish.wait);
    if wish.force {
        kill_the_late(scene, &mut tasks, managed);
        watch.wait(scene, &mut tasks, wish.wait);
    }
    for task in &tasks {
        outcomes.push(task.outcome.unwrap_or_else(|| too_late(scene, task, wish)));
    }
    outcomes
}

/// Writes the order for one service; gives what is then to come about.
fn order(scene: &Scene, name: &Name, operation: Operation, managed: bool) -> Result<(Service, Goal), Cease> {
    let mut service = Service::new(name, scene)?;
    let seen = service.look(scene)?;
    let starts = !matches!(operation, Operation::Stop | Operation::Kill);
    if starts {
        let runs = seen.main.is_some() && seen.order.is_none_or(|order| matches!(order, Order::Ran | Order::Hold));
        if operation == Operation::TryRestart && !runs {
            return Err(Cease::Done);
        }
        if !managed && !seen.supervised {
            return Err(Cease::No(Outcome::Unmanaged, scene.unmanaged() + "; nothing was changed"));
        }
        match scene.place(name).0 {
            Place::Missing => {
                let why = "it is not in the service directory any more; nothing was changed";
                return Err(Cease::No(Outcome::Unknown, why.to_owned()));
            }
            // what runs would be stopped and not come back
            Place::Refused(reason) if operation != Operation::Start => {
                return Err(Cease::No(Outcome::Failed, format!("{reason}; nothing was changed")));
            }
            Place::Present | Place::Refused(_) => {}
        }
    }
    let goal = match operation {
        Operation::Stop => service.write(scene, Order::Stop).map(|()| Goal::Gone)?,
        Operation::Kill => service.write(scene, Order::Kill).map(|()| Goal::Gone)?,
        Operation::Once => service.write(scene, Order::Once).map(|()| Goal::Ran)?,
        Operation::Restart | Operation::TryRestart => {
            service.write(scene, Order::Restart)?;
            Goal::UpAnew(seen.main)
        }
        _ => service.unlock().map(|()| Goal::Up)?,
    };
    Ok((service, goal))
}

/// Has the supervisor of a service look at its order; whether there is one.
fn nudge(scene: &Scene, name: &Name, service: &Service, goal: Goal, managed: bool) -> Result<bool, Fault> {
    let signals: &[i32] = match goal {
        Goal::Gone => &[signals::SIGALRM],
        // also forget failures, and try now
        Goal::Up | Goal::UpAnew(_) | Goal::Ran => &[signals::SIGALRM, signals::SIGCONT],
    };
    match service.signal_supervisor(signals)? {
        Reach::Told => Ok(true),
        // sysmgr sees to it
        Reach::Nobody(_) if managed => Ok(false),
        Reach::Nobody(alive) => {
            if alive {
                supervise(scene, name)?;
            }
            Ok(true)
        }
    }
}

/// Starts a runsyssv, to stop a process that has lost its own.
fn supervise(scene: &Scene, name: &Name) -> Result<(), Fault> {
    let runsyssv =
        tool::find("runsyssv").ok_or_else(|| Fault::of("find beside svctl or in PATH", "runsyssv")(Errno::ENOENT))?;
    let arguments: [&OsStr; 7] = [
        "runsyssv".as_ref(),
        "--quiet".as_ref(),
        "--sysdir".as_ref(),
        scene.dirs.sysdir.as_ref(),
        "--rundir".as_ref(),
        scene.dirs.rundir.as_ref(),
        name.as_os_str(),
    ];
    let umask = context::clear_umask();
    tool::start(&runsyssv, &arguments, umask, None).map(drop).map_err(Fault::of("start", &runsyssv))
}

/// What has not stopped in time is told to be killed.
fn kill_the_late(scene: &Scene, tasks: &mut [Task], managed: bool) {
    for task in tasks.iter_mut().filter(|task| task.outcome.is_none()) {
        complain_of(task.name, &"not stopped in time; it is killed");
        let killed = task
            .service
            .write(scene, Order::Kill)
            .and_then(|()| nudge(scene, task.name, &task.service, task.goal, managed));
        if let Err(fault) = killed {
            task.outcome = Some(refused(scene, task.name, &fault));
        }
    }
}

/// What is said of a service whose time is over.
fn too_late(scene: &Scene, task: &Task, wish: &Wish) -> Outcome {
    if wish.wait.is_zero() {
        return Outcome::Done;
    }
    let time = short(wish.wait);
    let ailing = scene.ailing_for(task.name).map_or_else(String::new, |ailing| format!("; {ailing}"));
    let what = match task.goal {
        Goal::Gone if wish.force => format!("not gone {time} after SIGKILL; it is still awaited{ailing}"),
        Goal::Gone => format!("not down after {time}; it goes on stopping ('svctl stop -f' kills){ailing}"),
        Goal::Up | Goal::UpAnew(_) | Goal::Ran => {
            let view = scene.view(task.name, scene.is_managed());
            let state = view.state().map_or_else(String::new, |state| format!(": {state}"));
            format!("not up after {time}{state}; its order stands{ailing}")
        }
    };
    complain_of(task.name, &what);
    Outcome::Late
}

/// The wait for all services together.
struct Awaiting {
    lookout: Lookout,
}

impl Awaiting {
    /// Begins to watch; the services are looked at afterwards, so that no change is missed.
    fn new(scene: &Scene, tasks: &[Task]) -> Self {
        let mut lookout = Lookout::wide(LOOK.min(scene.timings.rescan));
        for task in tasks {
            lookout.over(&scene.dirs.rundir.join(task.name));
        }
        Self { lookout }
    }

    /// Waits until all has come about, or the time is over.
    fn wait(&mut self, scene: &mut Scene, tasks: &mut [Task], time: Duration) {
        let end = clock::now() + time;
        let mut stirred = Stirred::All;
        loop {
            scene.refresh();
            match stirred {
                Stirred::All => tasks.iter_mut().for_each(|task| look(scene, task)),
                Stirred::Places(places) => {
                    for place in places {
                        if let Some(task) = tasks.get_mut(place) {
                            look(scene, task);
                        }
                    }
                }
            }
            let left = end.since(clock::now());
            if left.is_zero() || tasks.iter().all(|task| task.outcome.is_some()) {
                return;
            }
            stirred = self.lookout.wait(Some(left), &[]);
        }
    }
}

/// Looks whether it has come about.
fn look(scene: &Scene, task: &mut Task) {
    if task.outcome.is_some() {
        return;
    }
    let seen = match task.service.look(scene) {
        Ok(seen) => seen,
        Err(fault) => {
            task.outcome = Some(refused(scene, task.name, &fault));
            return;
        }
    };
    match task.goal.judge(&seen, task.told) {
        Verdict::Done => task.outcome = Some(Outcome::Done),
        Verdict::NotYet => {}
        Verdict::Never(outcome, why) => {
            complain_of(task.name, &why);
            task.outcome = Some(outcome);
        }
    }
}

/// Sends a signal to the main processes of services.
pub fn signal(scene: &Scene, names: &[&Name], signal: i32) -> Vec<Outcome> {
    let one = |name: &&Name| match Service::new(name, scene).and_then(|service| service.signal_main(scene, signal)) {
        Ok(true) => Outcome::Done,
        Ok(false) => {
            complain_of(name, &"it has no process");
            Outcome::Failed
        }
        Err(fault) => refused(scene, name, &fault),
    };
    names.iter().map(one).collect()
}

/// What a refusal of the system comes to.
pub fn outcome_of(errno: Errno) -> Outcome {
    match errno {
        Errno::EACCES | Errno::EPERM => Outcome::Forbidden,
        _ => Outcome::Failed,
    }
}
