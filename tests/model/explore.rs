//! What can happen, in every order: the model that stateright explores.

use crate::drbd::{self, Disk, Link};
use crate::machine::{Machine, View};
use crate::mutant::Mutant;
use crate::program;
use crate::property;
use crate::toolstack::{self, Command};
use crate::world::{Call, Device, Left, Phase, Process, Stage, World};
use block_drbd::handlers::Step;
use stateright::{Model, Property};

/// One thing that happens, on a node where it has a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Create(usize),
    Destroy(usize, u8),
    /// As Destroy, with the script not run: xl was killed, or waited for state 6 in vain.
    DestroyWithoutRemove(usize, u8),
    Unpause(usize, u8),
    Opens(usize, u8),
    Closes(usize, u8),
    /// A process of ours does the next thing.
    Runs(usize, Process),
    FlushFails(usize, Process),
    Killed(usize, Process),
    /// `block-drbd release --all`, by its timer or by hand.
    Timer(usize),
    NoticesCut(usize),
    Connects,
    Synced,
    Cut,
    Mended,
    Crash(usize),
    Boot(usize),
    ByHand(usize, Command),
}

/// What is explored.
pub struct Explored {
    pub machine: Machine,
    pub left: Left,
    /// Whether drbd.conf allows two Primaries.
    pub two_primaries: bool,
}

impl Explored {
    pub fn new(left: Left, two_primaries: bool, mutant: Option<Mutant>) -> Explored {
        Explored { machine: Machine::recorded(mutant), left, two_primaries }
    }

    /// What happens sooner or later, if nothing else does.
    fn certain(&self, world: &World, actions: &mut Vec<Action>) {
        for (n, node) in world.nodes.iter().enumerate() {
            for domain in &node.domains {
                let domid = domain.domid;
                match domain.device {
                    Device::Given => actions.push(Action::Opens(n, domid)),
                    Device::Open if matches!(domain.phase, Phase::Dying | Phase::Gone) => {
                        actions.push(Action::Closes(n, domid))
                    }
                    _ => {}
                }
                if domain.phase == Phase::Ready {
                    actions.push(Action::Unpause(n, domid));
                }
            }
            let ready = |process: &&Process| program::is_ready(&self.machine, world, n, **process);
            actions.extend(node.processes.iter().filter(ready).map(|process| Action::Runs(n, *process)));
            let released = node.processes.iter().any(|process| process.call == Call::Release);
            if !released && node.claim.is_some() && !program::releases_nothing(&self.machine, node) {
                actions.push(Action::Timer(n));
            }
            if drbd::can_notice(world, n) {
                actions.push(Action::NoticesCut(n));
            }
        }
        if drbd::can_shake_hands(world) {
            actions.push(Action::Connects);
        }
        if drbd::can_sync(world) {
            actions.push(Action::Synced);
        }
    }

    /// What may happen and need not.
    fn possible(&self, world: &World, actions: &mut Vec<Action>) {
        for (n, node) in world.nodes.iter().enumerate() {
            if !node.up {
                actions.push(Action::Boot(n));
                continue;
            }
            if toolstack::can_create(world, n) {
                actions.push(Action::Create(n));
            }
            for domain in &node.domains {
                if matches!(domain.phase, Phase::Creating | Phase::Ready | Phase::Running) {
                    actions.push(Action::Destroy(n, domain.domid));
                    if world.left.faults > 0 {
                        actions.push(Action::DestroyWithoutRemove(n, domain.domid));
                    }
                }
            }
            if world.left.hands > 0 {
                let commands = [Command::Primary, Command::Secondary, Command::Disconnect];
                actions.extend(commands.map(|command| Action::ByHand(n, command)));
            }
            if node.drbd.link == Link::StandAlone {
                actions.push(Action::ByHand(n, Command::Connect));
            }
            if world.left.faults > 0 {
                self.faults(n, node, actions);
            }
        }
        match world.cable {
            true if world.left.faults > 0 => actions.push(Action::Cut),
            true => {}
            false => actions.push(Action::Mended),
        }
    }

    fn faults(&self, n: usize, node: &crate::world::Node, actions: &mut Vec<Action>) {
        actions.push(Action::Crash(n));
        for process in &node.processes {
            actions.push(Action::Killed(n, *process));
            if let Stage::Act { plan, step, .. } = process.stage
                && matches!(self.machine.plan(plan).steps[usize::from(step)], Step::ProveFlush { .. })
            {
                actions.push(Action::FlushFails(n, *process));
            }
        }
    }

    /// Whether nothing happens any more unless somebody does something.
    pub fn is_at_rest(&self, world: &World) -> bool {
        let mut actions = Vec::new();
        self.certain(world, &mut actions);
        actions.is_empty()
    }

    /// Whether a guest that is created on the node now would get the disk.
    pub fn would_start(&self, world: &World, n: usize) -> bool {
        let mut world = world.clone();
        world.left.creates = 1;
        let domid = world.next_domid;
        toolstack::create(&mut world, n);
        self.machine.ask(&View::new(&world.nodes[n], Call::Add(domid))).allows
    }

    /// Whether both nodes are up, connected, and UpToDate.
    pub fn is_healthy(&self, world: &World) -> bool {
        world.linked() && world.nodes.iter().all(|node| node.drbd.disk == Disk::UpToDate)
    }
}

impl Model for Explored {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self.left, self.two_primaries)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        self.certain(world, actions);
        self.possible(world, actions);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        match action {
            Action::Create(n) => toolstack::create(&mut next, n),
            Action::Destroy(n, domid) => toolstack::destroy(&mut next.nodes[n], domid),
            Action::DestroyWithoutRemove(n, domid) => {
                next.left.faults -= 1;
                toolstack::forget(&mut next.nodes[n], domid);
            }
            Action::Unpause(n, domid) => next.nodes[n].domain_mut(domid)?.phase = Phase::Running,
            Action::Opens(n, domid) => toolstack::opens(&mut next.nodes[n], domid),
            Action::Closes(n, domid) => toolstack::closes(&mut next.nodes[n], domid),
            Action::Runs(n, process) => program::advance(&self.machine, &mut next, n, process, false),
            Action::FlushFails(n, process) => {
                next.left.faults -= 1;
                program::advance(&self.machine, &mut next, n, process, true);
            }
            Action::Killed(n, process) => {
                next.left.faults -= 1;
                toolstack::ended(&mut next.nodes[n], process.call, false);
            }
            Action::Timer(n) => next.nodes[n].start(Call::Release),
            Action::NoticesCut(n) => drbd::notice(&mut next, n),
            Action::Connects => drbd::shake_hands(&mut next),
            Action::Synced => drbd::sync(&mut next),
            Action::Cut => {
                next.left.faults -= 1;
                next.cable = false;
            }
            Action::Mended => next.cable = true,
            Action::Crash(n) => {
                next.left.faults -= 1;
                toolstack::crash(&mut next, n);
            }
            Action::Boot(n) => toolstack::boot(&mut next, n),
            Action::ByHand(n, command) => {
                if command != Command::Connect {
                    next.left.hands -= 1;
                }
                if !toolstack::by_hand(&mut next, n, command) {
                    return None;
                }
            }
        }
        next.settle();
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        property::all()
    }
}
