//! What can happen, in every order: the model that stateright explores.

use crate::bounds::Bounds;
use crate::drbd::{self, Disk, Link};
use crate::fence;
use crate::machine::{Machine, View};
use crate::mutant::Mutant;
use crate::program;
use crate::property;
use crate::toolstack::{self, Command};
use crate::words;
use crate::world::{Call, Device, Name, Node, Phase, Process, Stage, World};
use block_drbd::handlers::Step;
use stateright::{Model, Property};

/// One thing that happens, on a node where it has a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Create(usize),
    /// Of a guest whose configuration is a copy of the first guest's, the `uuid` included.
    CreateCopy(usize),
    Destroy(usize, u8),
    /// As Destroy, with the script not run: xl was killed, or waited for state 6 in vain.
    DestroyWithoutRemove(usize, u8),
    Unpause(usize, u8),
    /// To the other node.
    Migrate(usize, u8),
    /// To the same node.
    MigrateHere(usize, u8),
    /// A guest that had another disk moves in with this one.
    MovesIn(usize),
    /// A migration has failed, and the guest goes on where it was.
    Resume(usize, u8),
    /// xl destroys the half that nobody needs: the guest has moved, or does not.
    EndsMigration(usize, u8),
    /// The xl that receives a guest dies.
    Abandoned(usize, u8),
    /// A window grows older than DRBD needs to connect again.
    Ages(usize),
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
    /// The fence-peer handler does the next thing.
    Fences(usize),
    Cut(Network),
    Mended(Network),
    Crash(usize),
    Boot(usize),
    ByHand(usize, Command),
}

/// A network between the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    Drbd,
    Management,
}

/// The uuid of the first guest.
const FIRST: u8 = 1;

/// What is explored.
pub struct Explored {
    pub machine: Machine,
    pub bounds: &'static Bounds,
}

impl Explored {
    pub fn new(bounds: &'static Bounds, mutant: Option<Mutant>) -> Explored {
        Explored { machine: Machine::recorded(bounds.fencing, mutant), bounds }
    }

    /// The nodes, or only the first as long as they are equal: what happens to one of them tells what
    /// would to the other, with the names changed. That halves the states.
    fn nodes<'a>(&self, world: &'a World) -> impl Iterator<Item = (usize, &'a Node)> {
        let equal = world.nodes[0] == world.nodes[1] && world.on_the_way.is_none();
        world.nodes.iter().enumerate().take(if equal { 1 } else { 2 })
    }

    /// Whether the timer would start something on the node.
    fn has_work(&self, node: &Node) -> bool {
        self.bounds.timer && program::has_work(&self.machine, node)
    }

    /// What happens sooner or later, if nothing else does.
    fn certain(&self, world: &World, actions: &mut Vec<Action>) {
        for (n, node) in self.nodes(world) {
            for domain in &node.domains {
                let domid = domain.domid;
                match domain.device {
                    Device::Given => actions.push(Action::Opens(n, domid)),
                    Device::Open if matches!(domain.phase, Phase::Dying | Phase::Gone) => {
                        actions.push(Action::Closes(n, domid))
                    }
                    _ => {}
                }
                if toolstack::can_unpause(world, domain) {
                    actions.push(Action::Unpause(n, domid));
                }
                if toolstack::can_resume(world, domain) {
                    actions.push(Action::Resume(n, domid));
                }
                if domain.phase == Phase::Away || toolstack::can_give_up(world, domain) {
                    actions.push(Action::EndsMigration(n, domid));
                }
            }
            if node.window.is_some_and(|window| !window.old) && may_part(world) {
                actions.push(Action::Ages(n));
            }
            let ready = |process: &&Process| program::is_ready(&self.machine, world, n, **process);
            actions.extend(node.processes.iter().filter(ready).map(|process| Action::Runs(n, *process)));
            let released = node.processes.iter().any(|process| process.call == Call::Release);
            if !released && self.has_work(node) {
                actions.push(Action::Timer(n));
            }
            if drbd::can_notice(world, n) {
                actions.push(Action::NoticesCut(n));
            }
            if node.handler.is_some() {
                actions.push(Action::Fences(n));
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
        for (n, node) in self.nodes(world) {
            if !node.up {
                if self.has_done_all(world, 1 - n) {
                    actions.push(Action::Boot(n));
                }
                continue;
            }
            if toolstack::can_create(world, n) {
                actions.push(Action::Create(n));
                actions.push(Action::CreateCopy(n));
            }
            if toolstack::can_move_in(world, n) {
                actions.push(Action::MovesIn(n));
            }
            for domain in &node.domains {
                if toolstack::can_migrate(world, 1 - n, domain) {
                    actions.push(Action::Migrate(n, domain.domid));
                }
                if toolstack::can_migrate(world, n, domain) {
                    actions.push(Action::MigrateHere(n, domain.domid));
                }
                if domain.name == Name::Incoming
                    && matches!(domain.phase, Phase::Creating | Phase::Ready)
                    && world.left.faults > 0
                {
                    actions.push(Action::Abandoned(n, domain.domid));
                }
                if !matches!(domain.phase, Phase::Dying | Phase::Gone) {
                    actions.push(Action::Destroy(n, domain.domid));
                    if world.left.faults > 0 {
                        actions.push(Action::DestroyWithoutRemove(n, domain.domid));
                    }
                }
            }
            if world.left.hands > 0 {
                let commands = self.bounds.scope.commands().iter();
                actions.extend(commands.map(|command| Action::ByHand(n, *command)));
            }
            if node.drbd.link == Link::StandAlone {
                actions.push(Action::ByHand(n, Command::Connect));
            }
            if node.opened {
                actions.push(Action::ByHand(n, Command::Close));
            }
            if world.left.faults > 0 {
                self.faults(n, node, actions);
            }
        }
        for (network, carries) in [(Network::Drbd, world.cable), (Network::Management, world.management)] {
            match carries {
                true if world.left.faults > 0 && (self.bounds.timer || network == Network::Management) => {
                    actions.push(Action::Cut(network));
                }
                true => {}
                false => actions.push(Action::Mended(network)),
            }
        }
    }

    fn faults(&self, n: usize, node: &Node, actions: &mut Vec<Action>) {
        if self.bounds.timer {
            actions.push(Action::Crash(n));
        }
        for process in &node.processes {
            if self.bounds.timer || process.call != Call::Release {
                actions.push(Action::Killed(n, *process));
            }
            if let Stage::Act { plan, step, .. } = process.stage
                && matches!(self.machine.plan(plan).steps[usize::from(step)], Step::ProveFlush { .. })
            {
                actions.push(Action::FlushFails(n, *process));
            }
        }
    }

    /// Whether the node has done what it does within the time that the other needs to boot: a boot
    /// takes longer than a run of the hotplug script may, and than the timer's minute.
    fn has_done_all(&self, world: &World, n: usize) -> bool {
        let node = &world.nodes[n];
        let ready = |process: &Process| program::is_ready(&self.machine, world, n, *process);
        let young = node.window.is_some_and(|window| !window.old);
        !node.processes.iter().any(ready) && !young && !self.has_work(node) && !drbd::can_notice(world, n)
    }

    /// Whether ending the window is one of the steps that the process is taking.
    pub fn closes_window(&self, process: &Process) -> bool {
        let Stage::Act { plan, step, .. } = process.stage else { return false };
        let ahead = &self.machine.plan(plan).steps[usize::from(step)..];
        ahead.iter().any(|step| matches!(step, Step::CloseWindow { .. }))
    }

    /// Whether nothing happens any more unless somebody does something.
    pub fn is_at_rest(&self, world: &World) -> bool {
        let mut actions = Vec::new();
        self.certain(world, &mut actions);
        actions.is_empty()
    }

    fn run(&self, world: &mut World, n: usize, process: Process, fails: bool) {
        program::Run { machine: &self.machine, world, n, process }.advance(fails);
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

impl World {
    fn carries(&mut self, network: Network) -> &mut bool {
        match network {
            Network::Drbd => &mut self.cable,
            Network::Management => &mut self.management,
        }
    }
}

/// Whether the link is lost or can still be: how old a window is matters only then.
fn may_part(world: &World) -> bool {
    !world.linked() || world.left.faults > 0 || world.left.hands > 0
}

impl Model for Explored {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(self.bounds.left, self.bounds.two_primaries, self.bounds.fencing)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        self.certain(world, actions);
        let mut possible = Vec::new();
        self.possible(world, &mut possible);
        possible.retain(|action| self.bounds.allows(world, *action));
        actions.extend(possible);
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        match action {
            Action::Create(n) => toolstack::create(&mut next, n),
            Action::CreateCopy(n) => toolstack::create_as(&mut next, n, FIRST),
            Action::MovesIn(n) => toolstack::move_in(&mut next, n),
            Action::Destroy(n, domid) => toolstack::destroy(&mut next.nodes[n], domid),
            Action::DestroyWithoutRemove(n, domid) => {
                next.left.faults -= 1;
                toolstack::forget(&mut next.nodes[n], domid);
            }
            Action::Unpause(n, domid) => toolstack::unpause(&mut next, n, domid),
            Action::Migrate(n, domid) => toolstack::migrate(&mut next, n, domid, 1 - n),
            Action::MigrateHere(n, domid) => toolstack::migrate(&mut next, n, domid, n),
            Action::Resume(n, domid) => next.nodes[n].domain_mut(domid)?.phase = Phase::Running,
            Action::EndsMigration(n, domid) => toolstack::destroy(&mut next.nodes[n], domid),
            Action::Abandoned(n, domid) => {
                next.left.faults -= 1;
                next.nodes[n].domain_mut(domid)?.phase = Phase::Orphaned;
            }
            Action::Ages(n) => next.nodes[n].window.as_mut()?.old = true,
            Action::Opens(n, domid) => toolstack::opens(&mut next.nodes[n], domid),
            Action::Closes(n, domid) => toolstack::closes(&mut next.nodes[n], domid),
            Action::Runs(n, process) => self.run(&mut next, n, process, false),
            Action::FlushFails(n, process) => {
                next.left.faults -= 1;
                self.run(&mut next, n, process, true);
            }
            Action::Killed(n, process) => {
                next.left.faults -= 1;
                toolstack::ended(&mut next.nodes[n], process.call, false);
            }
            Action::Timer(n) => next.nodes[n].start(Call::Release),
            Action::NoticesCut(n) => drbd::notice(&mut next, n),
            Action::Connects => drbd::shake_hands(&mut next),
            Action::Synced => drbd::sync(&mut next),
            Action::Fences(n) => fence::advance(&self.machine, &mut next, n),
            Action::Cut(network) => {
                next.left.faults -= 1;
                *next.carries(network) = false;
            }
            Action::Mended(network) => *next.carries(network) = true,
            Action::Crash(n) => {
                next.left.faults -= 1;
                toolstack::crash(&mut next, n);
            }
            Action::Boot(n) => toolstack::boot(&mut next, n),
            Action::ByHand(n, command) => {
                if !matches!(command, Command::Connect | Command::Close) {
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

    fn format_action(&self, action: &Action) -> String {
        words::of(&self.machine, action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        property::all()
    }
}
