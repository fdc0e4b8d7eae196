//! What our program sees of the world, and what it makes of that: the real rules and handlers.
//!
//! A call sees a [`View`] and nothing else. The view becomes the `Facts` of a recorded machine with
//! the view's values in their places; `rules` and `handlers` do the rest. What they answered to a
//! view is remembered, as they know nothing else.

use crate::drbd::Fencing;
use crate::fence::Judged;
use crate::mutant::Mutant;
use crate::place::Place;
use crate::recorded;
use crate::shown::{self, Shown, of_machine, set_fencing, show};
use crate::world::{Call, ClaimId, Device, Domain, Name, Node, Phase, PlanId, Window};
use block_drbd::config::Settings;
use block_drbd::event::VbdPath;
use block_drbd::facts::{
    self, Backend, Claim, Facts, INCOMING, Known, Lone, LoneVolume, MIGRATED_AWAY, OwnVolume, PhysicalDevice,
    User, VolumeUser,
};
use block_drbd::gather::{self, drbd::Purpose};
use block_drbd::handlers::fence_peer::Judged::{Established, InDoubt, PeerHasMore};
use block_drbd::handlers::fence_peer::{Look, of_peer};
use block_drbd::handlers::{Plan, add, release, remove, window};
use block_drbd::host::{Deadline, Host, xenstore};
use block_drbd::rules;
use block_drbd::target::Target;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

const RESOURCE: &str = "drbdvm";
const RECORDED: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios/drbd8.4-02-connected-secondary-secondary-uptodate");
/// The number of its only volume.
const VOLUME: u32 = 0;
/// What an administrator sets who can let the nodes ask each other.
const SETTINGS: &str = "[rules]\nincoming-unproven = \"refuse\"\n";
const DEVID: u32 = 51712;

/// Everything that a call can find out, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct View {
    pub call: Call,
    /// Its own backend directory, where there is one.
    backend: Option<Domain>,
    drbd: Shown,
    claim: Option<ClaimId>,
    window: Option<Window>,
    lone: Option<u8>,
    /// The other domains with the device.
    users: Vec<Domain>,
    /// What the node says that the guest moves in from, once it was asked.
    at_source: Option<ToldId>,
}

/// What a node has told of the guests that have the resource, by its place in the model's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ToldId(u16);

/// What the program makes of a view.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    pub plan: PlanId,
    /// Whether no rule stands against an add.
    pub allows: bool,
    /// Whether a window could be closed now; only on this node, if that must be.
    closes: bool,
    closes_alone: bool,
}

impl Answer {
    /// Whether a window could be closed now, on this node only where `alone` says so.
    pub fn may_close(&self, alone: bool) -> bool {
        if alone { self.closes_alone } else { self.closes }
    }
}

/// The program, and the machine that it runs on.
pub struct Machine {
    facts: Facts,
    settings: Settings,
    pub mutant: Option<Mutant>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    answers: HashMap<View, Answer>,
    judged: HashMap<Option<Shown>, Judged>,
    plans: Vec<Arc<Plan>>,
    claims: Vec<Claim>,
    told: Vec<Known<Vec<VolumeUser>>>,
}

impl View {
    pub fn new(node: &Node, call: Call) -> View {
        let own = match call {
            Call::Add(domid) | Call::Remove(domid) => Some(domid),
            Call::Release | Call::Sweep => None,
        };
        let backend = own.and_then(|domid| node.domain(domid)).filter(|own| own.phase != Phase::Gone);
        let others = node.domains.iter().filter(|domain| Some(domain.domid) != own && domain.is_user());
        View {
            call,
            backend: backend.cloned(),
            drbd: Shown::of(&node.drbd),
            claim: node.claim,
            window: node.window,
            lone: node.lone,
            users: others.cloned().collect(),
            at_source: None,
        }
    }

    /// The same with the answer of the node that the guest moves in from.
    pub fn with_source(self, at_source: ToldId) -> View {
        View { at_source: Some(at_source), ..self }
    }
}

impl Machine {
    /// A host as it was recorded: connected, UpToDate, its flushes sound.
    pub fn recorded(fencing: Fencing, mutant: Option<Mutant>) -> Machine {
        let place = Place::new();
        recorded::build(Path::new(RECORDED), "a", place.path());
        let deadline = Deadline::after(Duration::from_secs(60));
        let host = Host::new(place.path(), xenstore::Named::default(), deadline);
        let resource = gather::resources(&host, Some(RESOURCE), Purpose::Look);
        let resource = Known::from(resource.map(|resources| resources.into_iter().next()));
        let target = Target::parse(RESOURCE.as_bytes()).unwrap();
        let settings = Settings::parse("/etc/xen/block-drbd.toml", SETTINGS).unwrap();
        let mut facts = gather::dry_run(&host, target, resource, &settings);
        set_fencing(of_machine(&mut facts), fencing);
        Machine { facts, settings, mutant, memory: Mutex::default() }
    }

    /// What the program makes of a view.
    pub fn ask(&self, view: &View) -> Answer {
        if let Some(answer) = self.memory().answers.get(view) {
            return *answer;
        }
        let facts = self.facts(view);
        let mut verdict = rules::evaluate(&facts, &self.settings);
        verdict.findings.retain(|finding| !self.is_deaf_to(finding.rule, view));
        let plan = match view.call {
            Call::Add(domid) => add::plan(&path(domid), &facts, &verdict, &self.settings),
            Call::Remove(domid) => remove::plan(&path(domid), &facts),
            Call::Release => release::plan(&facts),
            Call::Sweep => {
                let steps = window::close(&facts, false, false).into_iter().collect();
                Plan::of(steps)
            }
        };
        let plan = self.mutant.map_or(plan.clone(), |mutant| mutant.change(view.call, plan));
        let mut memory = self.memory();
        let number = memory.plans.iter().position(|other| **other == plan);
        let number = number.unwrap_or(memory.plans.len());
        if number == memory.plans.len() {
            memory.plans.push(Arc::new(plan));
        }
        let resource = facts.resource.value().unwrap().as_ref().unwrap();
        let closes = |alone| window::stays_open(resource, alone).is_none();
        let answer = Answer {
            plan: PlanId(number as u16),
            allows: verdict.allows(),
            closes: closes(false),
            closes_alone: closes(true),
        };
        memory.answers.insert(view.clone(), answer);
        answer
    }

    /// What the fence-peer handler makes of the peer's answer: none where it cannot be asked.
    pub fn judge_peer(&self, peer: Option<Shown>) -> Judged {
        let peer = peer.map(|shown| self.mutant.map_or(shown, |mutant| mutant.change_peer(shown)));
        if let Some(judged) = self.memory().judged.get(&peer) {
            return *judged;
        }
        if peer.is_none() && self.mutant == Some(Mutant::SilenceIsDown) {
            return Judged::Fact(5);
        }
        let said = peer.map(|shown| {
            let mut resource = of_machine(&mut self.facts.clone()).clone();
            show(&mut resource, &shown);
            Some(resource)
        });
        // That they cannot be read allows the most: the peer's alone decide then.
        let generations = Known::Is(None);
        let own = OwnVolume { number: VOLUME, generations };
        let judged = match of_peer("b", &said.ok_or("no route to host".into()), &[own]) {
            Look::Final(Established(code, _)) => Judged::Fact(code),
            Look::MayBeOutdated(_) => Judged::MayOutdate,
            Look::Final(InDoubt(_) | PeerHasMore(_)) | Look::NoAnswer(_) | Look::StillConnected(_) => {
                Judged::InDoubt
            }
        };
        self.memory().judged.insert(peer, judged);
        judged
    }

    /// Whether the mutant takes no notice of what the rule says.
    fn is_deaf_to(&self, rule: &str, view: &View) -> bool {
        let uuid = view.backend.as_ref().map(|own| own.uuid);
        match self.mutant {
            Some(Mutant::WithoutRule(taken)) => rule == taken,
            Some(Mutant::TrustsSource) => rule == "incoming" && view.drbd.peer_primary,
            Some(Mutant::TrustsUuid) => {
                rule == "other-guest" && view.users.iter().all(|other| Some(other.uuid) == uuid)
            }
            _ => false,
        }
    }

    pub fn plan(&self, id: PlanId) -> Arc<Plan> {
        Arc::clone(&self.memory().plans[usize::from(id.0)])
    }

    pub fn claim(&self, id: ClaimId) -> Claim {
        self.memory().claims[usize::from(id.0)].clone()
    }

    /// What writing a record leaves: an empty one is removed.
    pub fn record(&self, claim: &Claim) -> Option<ClaimId> {
        if claim.is_empty() {
            return None;
        }
        let claims = &mut self.memory().claims;
        let number = claims.iter().position(|other| other == claim).unwrap_or(claims.len());
        if number == claims.len() {
            claims.push(claim.clone());
        }
        Some(ClaimId(number as u16))
    }

    /// Who has the resource on a node, as it tells; none where it cannot be asked.
    pub fn users_of(&self, peer: Option<&Node>) -> ToldId {
        let told = |domain: &Domain| VolumeUser {
            volume: VOLUME,
            domid: domain.domid.into(),
            devid: Some(DEVID),
            guest: Some(guest(domain.vm, domain.name)),
            vm: Some(vm(domain.uuid)),
        };
        let users =
            |node: &Node| node.domains.iter().filter(|domain| domain.is_live_user()).map(told).collect();
        self.told(&peer.map_or(Known::Unknown("no route to host".into()), |node| Known::Is(users(node))))
    }

    /// The place of what a node has told.
    pub fn told(&self, users: &Known<Vec<VolumeUser>>) -> ToldId {
        let told = &mut self.memory().told;
        let number = told.iter().position(|other| other == users).unwrap_or(told.len());
        if number == told.len() {
            told.push(users.clone());
        }
        ToldId(number as u16)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap()
    }

    fn backend(&self, own: &Domain, device: PhysicalDevice) -> Backend {
        let name = match own.name {
            Name::Plain if self.mutant == Some(Mutant::OpensForAnybody) => Name::Incoming,
            _ if self.mutant == Some(Mutant::HalfEndsHere) && own.phase == Phase::Dying => Name::Plain,
            name => name,
        };
        Backend {
            domid: own.domid.into(),
            devid: DEVID,
            params: RESOURCE.into(),
            state: if own.phase == Phase::Dying { "6".into() } else { "2".into() },
            physical_device: (own.device != Device::Nothing).then_some(device),
            guest: Some(guest(own.vm, name)),
            vm: Some(vm(own.uuid)),
            target: None,
        }
    }

    fn facts(&self, view: &View) -> Facts {
        let mut facts = self.facts.clone();
        let resource = of_machine(&mut facts);
        show(resource, &view.drbd);
        let minor = resource.volumes[0].minor;
        let device = PhysicalDevice { major: *facts.major.value().unwrap(), minor };
        facts.backend = match &view.backend {
            None if matches!(view.call, Call::Add(_) | Call::Remove(_)) => Known::Is(None),
            None => Known::Unknown("no backend is concerned".into()),
            Some(own) => Known::Is(Some(self.backend(own, device))),
        };
        let incoming = view.backend.as_ref().is_some_and(|own| own.name == Name::Incoming);
        facts.receiving = Known::Is(incoming || self.mutant == Some(Mutant::OpensForAnybody));
        // The guest has one disk line.
        facts.own_targets =
            facts.target.clone().map_or_else(Known::Unknown, |target| Known::Is(vec![target]));
        if let Some(ToldId(number)) = view.at_source {
            facts.at_source = self.memory().told[usize::from(number)].clone();
        }
        facts.now += if view.window.is_some_and(|window| window.old) { 3600 } else { 0 };
        facts.window = Known::Is(view.window.map(|window| recorded_window(window, self.facts.now)));
        let blind = self.mutant.is_some_and(|mutant| mutant.is_blind(view.call));
        let seen = view.users.iter().filter(|_| !blind);
        facts.users = Known::Is(seen.map(|other| user(other, minor)).collect());
        facts.lone = Known::Is(view.lone.map(|generation| Lone {
            version: 1,
            resource: RESOURCE.into(),
            volumes: vec![LoneVolume { minor, current_uuid: shown::uuid(generation) }],
        }));
        facts.claim = Known::Is(view.claim.map(|id| self.claim(id)));
        facts
    }
}

/// The guest's name, with what xl adds to it.
fn guest(vm: u8, name: Name) -> String {
    let suffix = match name {
        Name::Plain => "",
        Name::Incoming => INCOMING,
        Name::MigratedAway => MIGRATED_AWAY,
    };
    format!("guest{vm}{suffix}")
}

/// Its `vm` node.
fn vm(uuid: u8) -> String {
    format!("/vm/{uuid}")
}

fn recorded_window(window: Window, opened: u64) -> facts::Window {
    facts::Window {
        version: 1,
        resource: RESOURCE.into(),
        vm: vm(window.uuid),
        domid: window.domid.into(),
        opened,
    }
}

fn user(domain: &Domain, minor: u32) -> User {
    let dying = domain.phase == Phase::Dying;
    User {
        domid: domain.domid.into(),
        devid: DEVID,
        minor,
        guest: Some(guest(domain.vm, domain.name)),
        vm: Some(vm(domain.uuid)),
        target: None,
        live: !dying,
        leaving: dying,
    }
}

fn path(domid: u8) -> VbdPath {
    VbdPath::parse(&format!("backend/vbd/{domid}/{DEVID}")).unwrap()
}
