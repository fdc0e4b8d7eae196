//! What a look means, as a decision table: the state, and what the program exits with.

use super::judge::{Judged, State};
use crate::event::drbd::EventName;
use crate::facts::{
    Act, Claim, HostStatus, Incoming, Known, Quarantine, Record, ResourceStatus, Role, User, VolumeStatus,
    Window,
};
use crate::rules::tests::healthy;

const NOW: u64 = 1_000_000;

/// A resource that nobody uses.
fn idle() -> ResourceStatus {
    ResourceStatus {
        name: "r0".into(),
        resource: Some(healthy()),
        users: Known::Is(Vec::new()),
        incoming: Vec::new(),
        claim: Record::Is(None),
        claimed: None,
        window: Record::Is(None),
        lone: Record::Is(None),
        quarantine: Record::Is(None),
        volumes: vec![VolumeStatus { dom0: Known::Is(Vec::new()), flush: Record::Is(None) }],
    }
}

fn bad<T>() -> Record<T> {
    Record::Bad { why: "x is bad".into(), remedy: "rm x".into() }
}

fn unread<T>() -> Record<T> {
    Record::Unknown("reading x: EIO".into())
}

impl ResourceStatus {
    fn by_hand(mut self) -> Self {
        self.resource.iter_mut().for_each(|resource| resource.volumes[0].role = Role::Primary);
        self
    }

    /// A guest has it, or has closed it.
    fn used(mut self, live: bool) -> Self {
        let user = User {
            domid: 5,
            devid: 51712,
            minor: 3,
            guest: Some("vm--incoming".into()),
            vm: Some("/vm/5".into()),
            target: None,
            live,
            leaving: false,
        };
        self.users = Known::Is(vec![user]);
        self
    }

    /// Another device of a guest has it, too.
    fn and(mut self, domid: u32, devid: u32, guest: &str, vm: &str) -> Self {
        let Known::Is(users) = &mut self.users else { panic!("no users") };
        let (name, vm) = (Some(guest.to_string()), Some(vm.to_string()));
        users.push(User { domid, devid, guest: name, vm, ..users[0].clone() });
        self
    }

    fn promoted(mut self, minors: &[u32], claimed: Option<u64>) -> Self {
        self.claim = Record::Is(Some(Claim { promoted: minors.to_vec(), ..Claim::new("r0") }));
        self.claimed = claimed;
        self
    }

    fn arrived(mut self, since: Known<u64>) -> Self {
        self.incoming = vec![Incoming { domid: 5, since }];
        self
    }

    fn window(mut self, opened: u64) -> Self {
        let (resource, vm) = ("r0".into(), "/vm/5".into());
        self.window = Record::Is(Some(Window { version: 1, resource, vm, domid: 5, opened }));
        self
    }

    fn dom0(mut self, dom0: Known<Vec<String>>) -> Self {
        self.volumes[0].dom0 = dom0;
        self
    }
}

#[test]
fn states_and_exit_codes() {
    let unknown = || Known::Unknown("no".to_string());
    let mounted = || Known::Is(vec!["mounted on /x".to_string()]);
    let rows: Vec<(ResourceStatus, State, i32)> = vec![
        (idle(), State::Idle, 0),
        (idle().by_hand(), State::Orphan, 1),
        (idle().by_hand().used(true), State::InUse, 0),
        (idle().by_hand().used(false), State::Orphan, 1),
        (idle().by_hand().dom0(mounted()), State::Dom0, 0),
        (idle().by_hand().dom0(Known::Unknown("no".into())), State::Unknown, 3),
        (idle().by_hand().used(true).dom0(Known::Unknown("no".into())), State::InUse, 0),
        (ResourceStatus { users: unknown_users(), ..idle().by_hand() }, State::Unknown, 3),
        // Pending, and stuck.
        (idle().by_hand().promoted(&[3], Some(NOW - 59)), State::ReleasePending, 0),
        (idle().by_hand().promoted(&[3], Some(NOW - 60)), State::ReleaseStuck, 1),
        (idle().by_hand().promoted(&[3], Some(NOW + 1)), State::ReleaseStuck, 1),
        (idle().by_hand().promoted(&[3], None), State::ReleaseStuck, 1),
        (idle().by_hand().promoted(&[3], Some(0)).used(true), State::InUse, 0),
        (idle().promoted(&[3], Some(0)), State::Idle, 0),
        // A record that does not say why it is Primary.
        (idle().by_hand().promoted(&[], Some(NOW)), State::Orphan, 1),
        (idle().by_hand().promoted(&[4], Some(NOW)), State::Orphan, 1),
        // Records that are not to be relied on, or could not be read.
        (ResourceStatus { claim: bad(), ..idle() }, State::BadRecord, 1),
        (ResourceStatus { claim: bad(), ..idle().by_hand() }, State::BadRecord, 1),
        (ResourceStatus { claim: unread(), ..idle().by_hand() }, State::Unknown, 3),
        (ResourceStatus { claim: unread(), ..idle().by_hand().used(true) }, State::Unknown, 3),
        (ResourceStatus { window: bad(), ..idle() }, State::BadRecord, 1),
        (ResourceStatus { window: unread(), ..idle() }, State::Unknown, 3),
        (ResourceStatus { lone: bad(), ..idle() }, State::BadRecord, 1),
        (ResourceStatus { lone: unread(), ..idle() }, State::Unknown, 3),
        (flush(idle(), bad()), State::BadRecord, 1),
        (flush(idle(), unread()), State::Unknown, 3),
        // A migration under way, and one that did not end.
        (idle().by_hand().used(true).arrived(Known::Is(NOW - 59)), State::Incoming, 0),
        (idle().by_hand().used(true).arrived(Known::Is(NOW - 60)), State::IncomingLeft, 1),
        (idle().by_hand().used(true).arrived(Known::Is(NOW + 1)), State::IncomingLeft, 1),
        (idle().by_hand().used(true).arrived(unknown()), State::IncomingLeft, 1),
        (idle().used(true).arrived(Known::Is(0)), State::Incoming, 0),
        // Two guests on one volume, and two halves of one.
        (idle().by_hand().used(true).and(6, 51712, "copy", "/vm/5"), State::TwoGuests, 1),
        (idle().by_hand().used(true).and(6, 51712, "vm", "/vm/6"), State::TwoGuests, 1),
        (idle().by_hand().used(true).and(5, 51728, "vm--incoming", "/vm/5"), State::TwoGuests, 1),
        (idle().by_hand().used(true).and(4, 51712, "vm", "/vm/5"), State::InUse, 0),
        (idle().by_hand().used(true).and(4, 51712, "vm--migratedaway", "/vm/5"), State::InUse, 0),
        (idle().by_hand().used(false).and(6, 51712, "copy", "/vm/6"), State::Orphan, 1),
        (leaving(idle().by_hand().used(true).and(6, 51712, "copy", "/vm/6")), State::InUse, 0),
        (other_minor(idle().by_hand().used(true).and(6, 51712, "copy", "/vm/6")), State::InUse, 0),
        (stub(idle().by_hand().used(true).and(6, 51712, "copy", "/vm/6")), State::InUse, 0),
        (idle().window(NOW - 59), State::Idle, 0),
        (idle().window(NOW - 60), State::WindowLeft, 1),
        (idle().window(NOW + 1), State::WindowLeft, 1),
        (ResourceStatus { quarantine: aside(), ..idle() }, State::Quarantined, 1),
        (ResourceStatus { quarantine: aside(), ..idle().by_hand().used(true) }, State::Quarantined, 1),
        (ResourceStatus { quarantine: aside(), ..idle().by_hand() }, State::Orphan, 1),
        (ResourceStatus { quarantine: bad(), ..idle() }, State::BadRecord, 1),
        (ResourceStatus { quarantine: unread(), ..idle() }, State::Unknown, 3),
        (ResourceStatus { resource: None, volumes: Vec::new(), ..idle() }, State::Down, 0),
    ];
    for (number, (resource, state, code)) in rows.into_iter().enumerate() {
        let status = host(vec![resource]);
        let judged = Judged::new(&status);
        assert_eq!((judged.resources[0].0, judged.exit_code()), (state, code), "row {number}");
    }
}

fn second(mut status: ResourceStatus, change: fn(&mut User)) -> ResourceStatus {
    let Known::Is(users) = &mut status.users else { panic!("no users") };
    change(&mut users[1]);
    status
}

fn leaving(status: ResourceStatus) -> ResourceStatus {
    second(status, |user| user.leaving = true)
}

fn other_minor(status: ResourceStatus) -> ResourceStatus {
    second(status, |user| user.minor = 4)
}

fn stub(status: ResourceStatus) -> ResourceStatus {
    second(status, |user| user.target = Some(5))
}

/// Before Xen 4.2 a guest names itself.
#[test]
fn old_guests_do_not_hide_behind_their_names() {
    let halves = || idle().by_hand().used(true).and(4, 51712, "vm", "/vm/5");
    for (xen, code) in [(Known::Is((4, 2)), 0), (Known::Is((4, 1)), 1), (Known::Unknown("no".into()), 1)] {
        let status = HostStatus { xen, ..host(vec![halves()]) };
        assert_eq!(Judged::new(&status).exit_code(), code);
    }
}

fn aside() -> Record<Quarantine> {
    Record::Is(Some(Quarantine {
        version: 1,
        resource: "r0".into(),
        event: EventName::SplitBrain,
        when: NOW,
        node: "a".into(),
        reason: "has split".into(),
        guests: Known::Is(Vec::new()),
        act: Act::Record,
        later: Vec::new(),
    }))
}

fn unknown_users() -> Known<Vec<User>> {
    Known::Unknown("no".into())
}

fn flush(mut resource: ResourceStatus, flush: Record<crate::facts::FlushProbe>) -> ResourceStatus {
    resource.volumes[0].flush = flush;
    resource
}

fn host(resources: Vec<ResourceStatus>) -> HostStatus {
    let listed = [Record::Is(None), Record::Is(None), Record::Is(None)];
    HostStatus { host: Known::Is("a".into()), at: NOW, xen: Known::Is((4, 17)), resources, listed }
}

#[test]
fn what_is_urgent_comes_first_and_what_is_the_same_is_said_once() {
    let named = |name: &str, status: ResourceStatus| ResourceStatus { name: name.into(), ..status };
    let mut status = host(vec![
        named("b", idle().by_hand().used(true)),
        named("a", idle()),
        named("y", ResourceStatus { claim: bad(), ..idle() }),
        named("x", ResourceStatus { claim: bad(), ..idle() }),
        named("z", idle().by_hand()),
        named("u", ResourceStatus { claim: unread(), ..idle() }),
    ]);
    status.listed[0] = unread();
    let judged = Judged::new(&status);
    let order: Vec<&str> = judged.resources.iter().map(|(_, resource)| resource.name.as_str()).collect();
    assert_eq!(order, ["z", "x", "y", "u", "a", "b"]);
    let needs: Vec<State> = judged.needs.iter().map(|need| need.what).collect();
    assert_eq!(needs, [State::Orphan, State::BadRecord]);
    assert_eq!(judged.unknown.len(), 1);
    assert_eq!(judged.exit_code(), 1);
}
