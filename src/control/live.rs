//! The status again at every change, until interrupted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use super::report::View;
use super::show::Form;
use super::survey::Scene;
use crate::cli::svctl::Request;
use crate::service::name::Name;
use crate::sys::lookout::Lookout;
use crate::sys::{clock, signals, terminal};

/// What changes at the same time is shown together.
const TOGETHER: Duration = Duration::from_millis(40);

/// On a terminal somebody looks at lengths of time as they grow.
const SECOND: Duration = Duration::from_secs(1);

/// Shows it, until nobody reads it any more; all services if `names` is none.
pub fn watch(scene: &mut Scene, names: Option<&[Name]>, request: &Request) {
    signals::catch(&[signals::SIGWINCH]);
    let mut lookout = Lookout::wide(scene.timings.rescan.min(SECOND));
    lookout.over(&scene.dirs.sysdir);
    lookout.over(&scene.dirs.rundir);
    let mut watched = BTreeSet::new();
    let mut shown = Shown::default();
    loop {
        let chosen: Vec<Name> = names.map_or_else(|| scene.names().0.into_iter().collect(), <[Name]>::to_vec);
        for name in &chosen {
            // before the look, so that nothing is missed between
            if watched.insert(name.clone()) {
                lookout.over(&scene.dirs.rundir.join(name));
            }
        }
        scene.refresh();
        let managed = scene.is_managed();
        let views: Vec<View> = chosen.iter().map(|name| scene.view(name, managed)).collect();
        let form = Form::of(request);
        if shown.show(form, scene, &views).is_err() {
            return;
        }
        let limit = matches!(form, Form::Table(_)).then_some(SECOND);
        let begin = clock::now();
        lookout.wait(limit, &[]);
        if limit.is_none_or(|limit| clock::now().since(begin) < limit) {
            // let what happens at the same time happen
            let end = clock::now() + TOGETHER;
            while !end.since(clock::now()).is_zero() {
                lookout.wait(Some(end.since(clock::now())), &[]);
            }
        }
        let _ = signals::take();
    }
}

/// What was shown before.
#[derive(Default)]
struct Shown {
    lines: BTreeMap<Name, String>,
    begun: bool,
}

impl Shown {
    fn show(&mut self, form: Form, scene: &Scene, views: &[View]) -> std::io::Result<()> {
        let text = match form {
            Form::Table(_) => self.screen(&form.show(scene, views), scene.ailing().as_deref()),
            Form::Lines | Form::Json(_) => {
                let changed: Vec<View> = views.iter().filter(|view| self.is_new(view)).cloned().collect();
                match form {
                    _ if changed.is_empty() && self.begun => String::new(),
                    // programs get the whole of it each time
                    Form::Json(_) => form.show(scene, views),
                    _ => form.show(scene, &changed),
                }
            }
        };
        self.begun = true;
        let mut out = std::io::stdout();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    /// Whether something else than a length of time has changed.
    fn is_new(&mut self, view: &View) -> bool {
        let mut still = view.clone();
        still.now = still.status.as_ref().map_or(still.now, |status| status.since_ms);
        if let Some(main) = &mut still.main {
            main.age = Duration::ZERO;
        }
        let line = still.line();
        self.lines.insert(view.name.clone(), line.clone()) != Some(line)
    }

    /// The table, from the upper left corner on, as much as fits. No line is broken meanwhile.
    fn screen(&self, table: &str, ailing: Option<&str>) -> String {
        let rows = terminal::size().map_or(24, |(_, rows)| rows);
        let mut lines: Vec<&str> = ailing.into_iter().chain(table.lines()).collect();
        let more = lines.len().saturating_sub(rows.max(2) - 1);
        let more = if more == 0 { 0 } else { more + 1 };
        lines.truncate(lines.len() - more);
        let mut text = String::from(if self.begun { "\x1b[?7l\x1b[H" } else { "\x1b[?7l\x1b[2J\x1b[H" });
        for line in lines {
            text.push_str(line);
            text.push_str("\x1b[K\n");
        }
        if more > 0 {
            let _ = writeln!(text, "({more} more lines)\x1b[K");
        }
        text + "\x1b[J\x1b[?7h"
    }
}
