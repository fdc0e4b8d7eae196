//! What happens, in words: the steps of a path that breaks a property.

use crate::explore::Action;
use crate::machine::Machine;
use crate::world::{Process, Stage};
use block_drbd::handlers::Step;

/// One action, on node a or b.
pub fn of(machine: &Machine, action: &Action) -> String {
    let node = |n: usize| ["a", "b"][n];
    match action {
        Action::Runs(n, process) => format!("{}: {}", node(*n), describe(machine, process)),
        Action::Killed(n, process) => format!("{}: SIGKILL before {}", node(*n), describe(machine, process)),
        Action::FlushFails(n, process) => format!("{}: fails: {}", node(*n), describe(machine, process)),
        other => format!("{other:?}").replace("(0", "(a").replace("(1", "(b"),
    }
}

fn describe(machine: &Machine, process: &Process) -> String {
    let step = |plan, step| match &machine.plan(plan).steps[usize::from(step)] {
        Step::OpenWindow { .. } => "open window",
        Step::Record { .. } => "record",
        Step::RecordLone { .. } => "record lone",
        Step::HandBack { .. } => "hand back",
        Step::Promote { .. } => "promote",
        Step::ProveFlush { .. } => "prove flush",
        Step::Attach { .. } => "attach",
        Step::Release { .. } => "release",
        Step::Demote { .. } => "demote",
        Step::CloseWindow { .. } => "close window",
        Step::Refuse { .. } => "refuse",
        other => panic!("no handler of DRBD runs in this model, and {other:?} is one's step"),
    };
    let stage = match process.stage {
        Stage::Lock => "take the lock".to_string(),
        Stage::Judge => "judge".into(),
        Stage::Act { plan, step: number, part, .. } => format!("{}, part {part}", step(plan, number)),
        Stage::Undo { plan, step: number, .. } => format!("undo {}", step(plan, number)),
    };
    let sweep = if process.success.is_some() { " (windows)" } else { "" };
    format!("{:?}{sweep}: {stage}", process.call)
}
