//! Our program, one atomic step at a time, as `hotplug`, `admin`, `sweep` and `act` run it.
//!
//! The steps are those that the real handlers planned; here stands only what each does to the world.

use crate::drbd::{self, Link, Promotion, Reply};
use crate::fence::{self, Cause};
use crate::machine::{Machine, View};
use crate::mutant::Mutant;
use crate::shown::generation;
use crate::toolstack;
use crate::world::{Call, Device, Name, Node, Phase, PlanId, Process, Stage, Window, World};
use block_drbd::facts::{Claim, Known, VolumeUser};
use block_drbd::handlers::Step;

/// What a part of a step comes to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Done {
    Yes,
    /// It cannot be done now, and is left to another.
    InPart,
    /// It goes on with the answer of another program.
    Waits,
    Failed,
}

/// A process at its work on a world.
pub struct Run<'a> {
    pub machine: &'a Machine,
    pub world: &'a mut World,
    pub n: usize,
    pub process: Process,
}

/// Whether the process would change anything now, or waits for somebody else.
pub fn is_ready(machine: &Machine, world: &World, n: usize, process: Process) -> bool {
    let node = &world.nodes[n];
    match process.stage {
        Stage::Lock if is_locked(machine, node) && process.success.is_none() => false,
        Stage::Lock if process.call == Call::Release => gets_on(machine, node),
        Stage::Lock | Stage::Judge | Stage::Undo { .. } => true,
        Stage::Act { plan, step, .. } => match &machine.plan(plan).steps[usize::from(step)] {
            Step::Promote { .. } => drbd::answers(world, n) && node.handler.is_none(),
            _ => true,
        },
    }
}

fn is_locked(machine: &Machine, node: &Node) -> bool {
    node.is_locked() && machine.mutant != Some(Mutant::WithoutLock)
}

/// Whether `release --all` finds something to do here, and can do it.
pub fn has_work(machine: &Machine, node: &Node) -> bool {
    let recorded = node.claim.is_some() || node.window.is_some();
    let plan = || machine.ask(&View::new(node, Call::Release)).plan;
    recorded && !machine.plan(plan()).steps.is_empty() && gets_on(machine, node)
}

/// Whether a release, which tries again every half second, would now not try in vain; it ends where
/// there is nothing to do.
pub fn gets_on(machine: &Machine, node: &Node) -> bool {
    let answer = machine.ask(&View::new(node, Call::Release));
    let steps = &machine.plan(answer.plan).steps;
    let done = |step: &Step| match step {
        Step::Release { .. } => !node.is_open(),
        Step::CloseWindow { alone, kept, .. } => {
            answer.may_close(*alone) && (kept.is_none() || is_allowed(node))
        }
        Step::Record { before, after } => before.as_ref() != Some(after),
        _ => false,
    };
    steps.is_empty() || steps.iter().any(done)
}

/// Whether DRBD, which shows no option of a connection that is not there, allows two Primaries.
fn is_allowed(node: &Node) -> bool {
    node.drbd.two_primaries && node.drbd.link != Link::StandAlone
}

impl Run<'_> {
    /// The process does the next thing; `fails` when a flush is to fail.
    pub fn advance(&mut self, fails: bool) {
        match self.process.stage {
            // The sweep waits for nobody.
            Stage::Lock
                if self.process.success.is_some() && is_locked(self.machine, &self.world.nodes[self.n]) =>
            {
                self.exit()
            }
            Stage::Lock => self.set(Stage::Judge),
            Stage::Judge => {
                let call = if self.process.success.is_some() { Call::Sweep } else { self.process.call };
                let answer = self.machine.ask(&self.view(call));
                self.go_on(answer.plan, 0, false);
            }
            Stage::Act { plan, step, part, left, pending } => {
                let steps = &self.machine.plan(plan).steps;
                let current = &steps[usize::from(step)];
                match self.take(current, part, left, fails) {
                    Done::Failed => self.undo_from(plan, step),
                    done if done == Done::Waits || part + 1 < parts(current) => {
                        let left = done == Done::InPart;
                        self.set(Stage::Act { plan, step, part: part + 1, left, pending });
                    }
                    done => self.go_on(plan, step + 1, pending || done == Done::InPart),
                }
            }
            Stage::Undo { plan, step, primary } => {
                let primary = self.undo(&self.machine.plan(plan).steps[usize::from(step)].clone(), primary);
                match self.next_undo(plan, step) {
                    Some(step) => self.set(Stage::Undo { plan, step, primary }),
                    None => self.end(false),
                }
            }
        }
    }

    pub(super) fn node(&mut self) -> &mut Node {
        &mut self.world.nodes[self.n]
    }

    pub(super) fn set(&mut self, stage: Stage) {
        let call = self.process.call;
        let process = self.node().processes.iter_mut().find(|process| process.call == call);
        process.unwrap().stage = stage;
    }

    /// Step `step` of the plan comes next, or the end.
    fn go_on(&mut self, plan: PlanId, step: u8, pending: bool) {
        if usize::from(step) < self.machine.plan(plan).steps.len() {
            self.set(Stage::Act { plan, step, part: 0, left: false, pending });
        } else if pending && self.process.call == Call::Release {
            self.set(Stage::Lock);
        } else {
            self.end(true);
        }
    }

    /// What it was started for has ended. A run of the hotplug script then looks after windows.
    pub(super) fn end(&mut self, success: bool) {
        let careless = self.machine.mutant == Some(Mutant::LooksAfterNoWindow);
        let sweeps = self.node().window.is_some() && self.process.success.is_none() && !careless;
        self.process.success = self.process.success.or(Some(success));
        let call = self.process.call;
        if call == Call::Release && !success {
            // It tries again: a failure may pass.
            self.set(Stage::Lock);
        } else if sweeps && call != Call::Release {
            let success = self.process.success;
            let process = self.node().processes.iter_mut().find(|process| process.call == call);
            let process = process.unwrap();
            (process.stage, process.success) = (Stage::Lock, success);
        } else {
            self.exit();
        }
    }

    fn exit(&mut self) {
        let Process { call, success, .. } = self.process;
        toolstack::ended(self.node(), call, success == Some(true));
    }

    /// Takes one part of a step.
    fn take(&mut self, step: &Step, part: u8, left: bool, fails: bool) -> Done {
        let (machine, call) = (self.machine, self.process.call);
        match step {
            Step::OpenWindow { .. } => self.open(part),
            Step::Record { after, .. } => {
                self.node().claim = machine.record(after);
                Done::Yes
            }
            Step::RecordLone { after, .. } => {
                self.node().lone = after.as_ref().map(generation);
                Done::Yes
            }
            Step::Promote { .. } => self.promote(part),
            Step::ProveFlush { .. } => {
                if fails {
                    Done::Failed
                } else {
                    Done::Yes
                }
            }
            Step::Attach { at_source, .. } if part == 0 => self.still_holds(at_source),
            Step::Attach { .. } => hand_over(self.node(), call),
            Step::Release { .. } if part == 0 => match self.demote() {
                Reply::Done => Done::Yes,
                Reply::Refused => Done::InPart,
            },
            Step::Release { claim, hand_over } => {
                let struck = !left || machine.mutant == Some(Mutant::ForgetsWhatIsLeft);
                let promoted = if struck { Vec::new() } else { claim.promoted.clone() };
                self.node().claim = machine.record(&Claim { promoted, ..claim.clone() });
                self.left_over(left, *hand_over)
            }
            Step::HandBack { .. } | Step::Demote { .. } => match self.demote() {
                Reply::Done => Done::Yes,
                Reply::Refused => Done::Failed,
            },
            Step::CloseWindow { kept: Some(_), hand_over, .. } if part == 2 => {
                self.left_over(true, *hand_over)
            }
            Step::CloseWindow { alone, hand_over, .. } => self.close(*alone, *hand_over, part, left),
            Step::Refuse { .. } => Done::Failed,
            other => panic!("no handler of DRBD runs in this model, and {other:?} is one's step"),
        }
    }

    /// Asks DRBD to promote; after part 0 that has asked its fence-peer handler, where it needs to.
    fn promote(&mut self, part: u8) -> Done {
        let before = self.node().drbd.primary;
        match drbd::promote(self.world, self.n) {
            Promotion::AsksHandler if part == 0 => {
                fence::ask(self.world, self.n, Cause::Promotion);
                Done::Waits
            }
            Promotion::AsksHandler | Promotion::Refused => Done::Failed,
            Promotion::Done => {
                self.node().drbd.ours |= !before;
                Done::Yes
            }
        }
    }

    /// What is left of a step is left to a detached release.
    fn left_over(&mut self, left: bool, hand_over: bool) -> Done {
        if left && hand_over {
            self.node().start(Call::Release);
        }
        if left { Done::InPart } else { Done::Yes }
    }

    /// Records the window, opens it, starts what closes it.
    fn open(&mut self, part: u8) -> Done {
        let early = self.machine.mutant == Some(Mutant::OpensBeforeRecording);
        match part {
            0 | 1 if (part == 0) != early => {
                let Call::Add(domid) = self.process.call else { panic!("{:?} opens", self.process) };
                let Some(uuid) = self.node().domain(domid).map(|own| own.uuid) else { return Done::Failed };
                self.node().window = Some(Window { domid, uuid, old: false });
                Done::Yes
            }
            0 | 1 => {
                self.world.differs |= self.node().drbd.link != Link::Connected;
                match drbd::allow_two_primaries(self.world, self.n, true) {
                    Reply::Done => Done::Yes,
                    Reply::Refused => Done::Failed,
                }
            }
            _ => {
                if self.machine.mutant != Some(Mutant::StartsNoCloser) {
                    self.node().start(Call::Release);
                }
                Done::Yes
            }
        }
    }

    /// Looks whether the window may be closed, closes it, removes its record.
    pub(super) fn close(&mut self, alone: bool, hand_over: bool, part: u8, left: bool) -> Done {
        match part {
            _ if left => self.left_over(true, hand_over),
            0 => {
                let answer = self.machine.ask(&View::new(self.node(), Call::Sweep));
                if answer.may_close(alone) { Done::Yes } else { Done::InPart }
            }
            1 if is_allowed(self.node()) => {
                // Rightly alone: the link was lost since it was looked at, or long ago; and the node that
                // the guest leaves does not know when.
                let lost = self.node().drbd.link != Link::Connected;
                let young = self.node().window.is_some_and(|window| !window.old);
                self.world.differs |= lost && !(alone && young);
                match drbd::allow_two_primaries(self.world, self.n, false) {
                    Reply::Done => Done::Yes,
                    Reply::Refused => Done::InPart,
                }
            }
            1 => Done::Yes,
            _ => {
                self.node().window = None;
                Done::Yes
            }
        }
    }

    /// Everything that a call finds out; a guest that moves in has the node asked that it comes from.
    fn view(&self, call: Call) -> View {
        let (node, peer) = (&self.world.nodes[self.n], &self.world.nodes[1 - self.n]);
        let view = View::new(node, call);
        let incoming = |domid| node.domain(domid).is_some_and(|own| own.name == Name::Incoming);
        match call {
            Call::Add(domid) if incoming(domid) => {
                let reached = (self.world.management && peer.up).then_some(peer);
                view.with_source(self.machine.users_of(reached))
            }
            _ => view,
        }
    }

    /// Judges once more, under Xen's lock, by what the node has said that the guest moves in from.
    fn still_holds(&mut self, at_source: &Known<Vec<VolumeUser>>) -> Done {
        let view =
            View::new(&self.world.nodes[self.n], self.process.call).with_source(self.machine.told(at_source));
        let allows = self.machine.ask(&view).allows && self.node().drbd.primary;
        if allows || self.machine.mutant == Some(Mutant::AttachesBlindly) { Done::Yes } else { Done::Failed }
    }

    /// Our program demotes: as long as the device is open, in vain until its time is over.
    pub(super) fn demote(&mut self) -> Reply {
        let needed = self.node().domains.iter().any(|domain| domain.is_live_user());
        let reply = drbd::demote(self.world, self.n);
        self.world.robbed |= needed && reply == Reply::Done;
        reply
    }
}

/// How many atomic parts a step has: a process can be killed between any two.
fn parts(step: &Step) -> u8 {
    match step {
        Step::OpenWindow { .. } | Step::CloseWindow { .. } => 3,
        Step::Attach { .. } | Step::Release { .. } => 2,
        Step::Record { .. }
        | Step::HandBack { .. }
        | Step::Demote { .. }
        | Step::RecordLone { .. }
        | Step::Promote { .. }
        | Step::ProveFlush { .. }
        | Step::Refuse { .. } => 1,
        other => panic!("no handler of DRBD runs in this model, and {other:?} is one's step"),
    }
}

/// Writes `physical-device`, in a transaction that reads `state`.
fn hand_over(node: &mut Node, call: Call) -> Done {
    let Call::Add(domid) = call else { panic!("{call:?} attaches") };
    match node.domain_mut(domid) {
        Some(domain) if matches!(domain.phase, Phase::Creating | Phase::Orphaned) => {
            domain.device = Device::Given;
            Done::Yes
        }
        _ => Done::Failed,
    }
}
