//! Our program, one atomic step at a time, as `hotplug`, `admin` and `act` run it.
//!
//! The steps are those that the real handlers planned; here stands only what each does to the
//! world, and in what order a failure is undone (act/mod.rs).

use crate::drbd::{self, Reply};
use crate::machine::{Machine, View};
use crate::mutant::Mutant;
use crate::toolstack;
use crate::world::{Call, Device, Node, Phase, PlanId, Process, Stage, World};
use block_drbd::facts::Claim;
use block_drbd::handlers::Step;

/// What a part of a step comes to.
enum Done {
    Yes,
    /// It is done as far as it could be: a release that is left to another.
    InPart,
    Failed,
}

/// Whether the process would change anything now, or waits for somebody else.
pub fn is_ready(machine: &Machine, world: &World, n: usize, process: Process) -> bool {
    let node = &world.nodes[n];
    match process.stage {
        Stage::Lock if node.is_locked() && machine.mutant != Some(Mutant::WithoutLock) => false,
        // A release that cannot be done yet tries in vain every half second.
        Stage::Lock if process.call == Call::Release => !node.is_open() || releases_nothing(machine, node),
        Stage::Lock | Stage::Judge | Stage::Undo { .. } => true,
        Stage::Act { plan, step, .. } => match &machine.plan(plan).steps[usize::from(step)] {
            Step::Promote { .. } => drbd::answers(world, n),
            _ => true,
        },
    }
}

/// Whether a release would have nothing to do.
pub fn releases_nothing(machine: &Machine, node: &Node) -> bool {
    let answer = machine.ask(&View::new(node, Call::Release));
    machine.plan(answer.plan).steps.is_empty()
}

/// The process does the next thing; `fails` when a flush is to fail.
pub fn advance(machine: &Machine, world: &mut World, n: usize, process: Process, fails: bool) {
    let call = process.call;
    match process.stage {
        Stage::Lock => set(world, n, call, Stage::Judge),
        Stage::Judge => {
            let answer = machine.ask(&View::new(&world.nodes[n], call));
            go_on(machine, world, n, call, answer.plan, 0);
        }
        Stage::Act { plan, step, part, left } => {
            let steps = &machine.plan(plan).steps;
            let current = &steps[usize::from(step)];
            match take(machine, world, n, call, current, part, left, fails) {
                Done::Failed => undo_from(machine, world, n, call, plan, step),
                done if part + 1 < parts(current) => {
                    let left = matches!(done, Done::InPart);
                    set(world, n, call, Stage::Act { plan, step, part: part + 1, left });
                }
                Done::InPart if call == Call::Release => set(world, n, call, Stage::Lock),
                _ => go_on(machine, world, n, call, plan, step + 1),
            }
        }
        Stage::Undo { plan, step, primary } => {
            let primary = undo(machine, world, n, &machine.plan(plan).steps[usize::from(step)], primary);
            match next_undo(machine, plan, step) {
                Some(step) => set(world, n, call, Stage::Undo { plan, step, primary }),
                None => toolstack::ended(&mut world.nodes[n], call, false),
            }
        }
    }
}

/// How many atomic parts a step has: a process can be killed between any two.
fn parts(step: &Step) -> u8 {
    match step {
        Step::Attach { .. } | Step::Release { .. } => 2,
        Step::Record { .. } | Step::Promote { .. } | Step::ProveFlush { .. } | Step::Refuse { .. } => 1,
    }
}

/// Step `step` of the plan comes next, or the end.
fn go_on(machine: &Machine, world: &mut World, n: usize, call: Call, plan: PlanId, step: u8) {
    if usize::from(step) < machine.plan(plan).steps.len() {
        set(world, n, call, Stage::Act { plan, step, part: 0, left: false });
    } else {
        toolstack::ended(&mut world.nodes[n], call, true);
    }
}

/// Takes one part of a step.
#[allow(clippy::too_many_arguments)]
fn take(
    machine: &Machine,
    world: &mut World,
    n: usize,
    call: Call,
    step: &Step,
    part: u8,
    left: bool,
    fails: bool,
) -> Done {
    match (step, part) {
        (Step::Record { after, .. }, _) => {
            world.nodes[n].claim = machine.record(after);
            Done::Yes
        }
        (Step::Promote { .. }, _) => {
            let before = world.nodes[n].drbd.primary;
            match drbd::promote(world, n) {
                Reply::Refused => Done::Failed,
                Reply::Done => {
                    world.nodes[n].drbd.ours |= !before;
                    Done::Yes
                }
            }
        }
        (Step::ProveFlush { .. }, _) if fails => Done::Failed,
        (Step::ProveFlush { .. }, _) => Done::Yes,
        (Step::Attach { .. }, 0) => still_holds(machine, &world.nodes[n], call),
        (Step::Attach { .. }, _) => hand_over(&mut world.nodes[n], call),
        (Step::Release { .. }, 0) => match demote(world, n) {
            Reply::Done => Done::Yes,
            Reply::Refused => Done::InPart,
        },
        (Step::Release { claim, hand_over }, _) => {
            let struck = !left || machine.mutant == Some(Mutant::ForgetsWhatIsLeft);
            let promoted = if struck { Vec::new() } else { claim.promoted.clone() };
            world.nodes[n].claim = machine.record(&Claim { promoted, ..claim.clone() });
            if left && *hand_over {
                world.nodes[n].start(Call::Release);
            }
            if left { Done::InPart } else { Done::Yes }
        }
        (Step::Refuse { .. }, _) => Done::Failed,
    }
}

/// Judges once more, under Xen's lock.
fn still_holds(machine: &Machine, node: &Node, call: Call) -> Done {
    let allows = machine.ask(&View::new(node, call)).allows && node.drbd.primary;
    if allows || machine.mutant == Some(Mutant::AttachesBlindly) { Done::Yes } else { Done::Failed }
}

/// Writes `physical-device`, in a transaction that reads `state`.
fn hand_over(node: &mut Node, call: Call) -> Done {
    let Call::Add(domid) = call else { panic!("{call:?} attaches") };
    match node.domain_mut(domid) {
        Some(domain) if domain.phase == Phase::Creating => {
            domain.device = Device::Given;
            Done::Yes
        }
        _ => Done::Failed,
    }
}

/// Our program demotes: as long as the device is open, in vain until its time is over.
fn demote(world: &mut World, n: usize) -> Reply {
    let needed = world.nodes[n].domains.iter().any(|domain| domain.is_live_user());
    let reply = drbd::demote(world, n);
    world.robbed |= needed && reply == Reply::Done;
    reply
}

/// The failed step is undone first: a refused request may have changed something.
fn undo_from(machine: &Machine, world: &mut World, n: usize, call: Call, plan: PlanId, step: u8) {
    let first = match machine.mutant {
        Some(Mutant::ForgetsBeforeDemoting) => first_undone(machine, plan),
        _ => next_undo(machine, plan, step + 1),
    };
    match first {
        Some(step) => set(world, n, call, Stage::Undo { plan, step, primary: false }),
        None => toolstack::ended(&mut world.nodes[n], call, false),
    }
}

fn first_undone(machine: &Machine, plan: PlanId) -> Option<u8> {
    machine.plan(plan).steps.iter().position(is_undone).map(|step| step as u8)
}

/// Of the steps before `step`, the last that is undone; for the mutant the other way round.
fn next_undo(machine: &Machine, plan: PlanId, step: u8) -> Option<u8> {
    let steps = &machine.plan(plan).steps;
    let at = usize::from(step);
    let found = match machine.mutant {
        Some(Mutant::ForgetsBeforeDemoting) => {
            steps.iter().skip(at + 1).position(is_undone).map(|found| at + 1 + found)
        }
        _ => steps[..at].iter().rposition(is_undone),
    };
    found.map(|step| step as u8)
}

fn is_undone(step: &Step) -> bool {
    matches!(step, Step::Promote { .. } | Step::Record { .. })
}

/// Undoes one step; says whether something is still Primary because of us.
fn undo(machine: &Machine, world: &mut World, n: usize, step: &Step, primary: bool) -> bool {
    match step {
        Step::Promote { .. } if machine.mutant == Some(Mutant::KeepsRoleOnFailure) => primary,
        Step::Promote { .. } => primary || demote(world, n) == Reply::Refused,
        Step::Record { before, after } => {
            let mut claim = before.clone().unwrap_or_else(|| Claim::new(&after.resource));
            if primary && claim.promoted.is_empty() {
                claim.promoted.clone_from(&after.promoted);
            }
            world.nodes[n].claim = machine.record(&claim);
            let pending = claim.users.is_empty() && !claim.promoted.is_empty();
            if pending || primary {
                world.nodes[n].start(Call::Release);
            }
            primary
        }
        _ => primary,
    }
}

fn set(world: &mut World, n: usize, call: Call, stage: Stage) {
    let process = world.nodes[n].processes.iter_mut().find(|process| process.call == call);
    process.unwrap().stage = stage;
}
