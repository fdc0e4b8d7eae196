//! A stand-in for the kernel side of DRBD 8.4's generic netlink, in this process.
//!
//! Its messages are those of the captures (tests/fixtures/netlink-8.4) with the
//! fields of the model put in, so that their layout is the real one. It shares
//! no code with the client. What it refuses, and in which order, follows
//! drbd_adm_prepare, drbd_set_role (drbd_nl.c) and is_valid_state (drbd_state.c).

// Each test binary uses another part of it.
#![allow(dead_code, clippy::disallowed_methods, clippy::unwrap_used)]

#[path = "drbd_messages.rs"]
pub mod messages;

use messages::{context_name, message};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, listen, socket};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub const GETFAMILY: u8 = 3;
pub const GET_STATUS: u8 = 2;
pub const PRIMARY: u8 = 14;
pub const SECONDARY: u8 = 15;
pub const CHG_NET_OPTS: u8 = 29;
pub const GET_RESOURCES: u8 = 30;

const ENODEV: i32 = 19;
const EINVAL: i32 = 22;
const EOPNOTSUPP: i32 = 95;

/// What the stand-in pretends.
#[derive(Default)]
pub struct Model {
    pub resources: Vec<Resource>,
    /// What goes wrong, by command. GETFAMILY with Errno(2): no such family.
    pub faults: HashMap<u8, Fault>,
    /// The family's version instead of 1.
    pub version: Option<u32>,
    /// How often the volumes have been listed.
    pub listed: usize,
    log: Vec<Asked>,
    /// Nobody is served any more.
    ended: bool,
}

/// A resource of the model; numbers are the kernel's.
#[derive(Clone)]
pub struct Resource {
    pub name: String,
    pub write_ordering: u32,
    /// user, no_data, fencing
    pub suspended: [bool; 3],
    pub protocol: u32,
    pub two_primaries: bool,
    /// The policy of its disks (DISK_CONF): 0 dont-care, 1 resource-only, 2 resource-and-stonith.
    pub fencing: u32,
    /// Whether its fence-peer handler keeps the peer from being promoted.
    pub fences: bool,
    pub volumes: Vec<Volume>,
}

#[derive(Clone)]
pub struct Volume {
    pub number: u32,
    pub minor: u32,
    pub role: u32,
    pub peer_role: u32,
    /// `enum drbd_conns`; 0 also means: no network configuration.
    pub conn: u32,
    /// 0 also means: no DISK_CONF.
    pub disk: u32,
    pub peer_disk: u32,
    /// uuids[UI_CURRENT] and uuids[UI_BITMAP] of the meta data.
    pub current_uuid: u64,
    pub bitmap_uuid: u64,
    pub backing: String,
    /// Flags of DISK_CONF by their numbers (drbd_genl.h) that differ from the captured ones.
    pub flags: HashMap<u16, bool>,
    /// Somebody holds the device open.
    pub open: bool,
}

/// What can go wrong with a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// NLMSG_ERROR with this (positive) number.
    Errno(i32),
    /// DRBD's own refusal of a role change.
    Refuse(i32),
    /// Answers after this time.
    Delay(Duration),
    /// Never answers.
    Silent,
    /// Closes the connection instead of answering.
    Close,
    /// An answer with another sequence number comes first.
    Stale,
    /// That many dumps come with NLM_F_DUMP_INTR.
    Interrupted(u32),
    /// Answers half a message.
    Truncated,
    /// That many answers tell of no resource at all.
    Empty(u32),
}

/// A role request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub minor: u32,
    pub name: Option<String>,
    pub primary: bool,
    /// It carried SET_ROLE_PARMS.
    pub force: bool,
}

impl Resource {
    /// A connected, UpToDate, Secondary resource with these minors as volumes 0, 1, …
    pub fn healthy(name: &str, minors: &[u32]) -> Resource {
        let volume = |(number, minor): (usize, &u32)| Volume {
            number: number.try_into().unwrap(),
            minor: *minor,
            role: 2,
            peer_role: 2,
            conn: 10,
            disk: 8,
            peer_disk: 8,
            current_uuid: 0x215c_47a0_b39c_a630,
            bitmap_uuid: 0,
            backing: "/dev/vda".into(),
            flags: HashMap::new(),
            open: false,
        };
        Resource {
            name: name.into(),
            write_ordering: 2,
            suspended: [false; 3],
            protocol: 3,
            two_primaries: false,
            fencing: 0,
            fences: false,
            volumes: minors.iter().enumerate().map(volume).collect(),
        }
    }
}

impl Volume {
    /// `union drbd_dev_state`.
    pub fn word(&self) -> u32 {
        self.role | self.peer_role << 2 | self.conn << 4 | self.disk << 9 | self.peer_disk << 13
    }

    /// What the kernel answers to a role change.
    fn verdict(&self, primary: bool, two_primaries: bool, fencing: u32) -> i32 {
        let data = self.disk == 8 || (self.conn >= 10 && self.peer_disk == 8);
        match primary {
            true if self.role == 1 => 2,
            false if self.role == 2 => 2,
            false if self.open => -12,
            true if self.peer_role == 1 && !two_primaries => -1,
            true if !data => -2,
            true if fencing > 0 && self.conn < 10 && self.peer_disk >= 6 => -7,
            _ => 1,
        }
    }

    /// What drbd_set_role does to the generations once the role has changed.
    pub fn became(&mut self, primary: bool) {
        self.role = if primary { 1 } else { 2 };
        match primary {
            false => self.current_uuid &= !1,
            true => {
                if self.conn < 10 || self.peer_disk <= 2 {
                    self.forks();
                }
                self.current_uuid |= 1;
            }
        }
    }

    /// drbd_uuid_new_current, where the peer has everything so far.
    fn forks(&mut self) {
        if self.bitmap_uuid == 0 {
            self.bitmap_uuid = self.current_uuid;
            self.current_uuid = self.current_uuid.rotate_left(13) & !1 | u64::from(self.role == 1);
        }
    }

    /// The link is cut: the peer is unknown, and tried again (after_state_ch: what a Primary
    /// writes from here on is a new generation).
    pub fn lose_peer(&mut self) {
        (self.conn, self.peer_role, self.peer_disk) = (8, 0, 6);
        if self.role == 1 {
            self.forks();
        }
    }

    /// The peer is back, and has been sent what it lacked.
    pub fn meet_peer(&mut self) {
        (self.conn, self.peer_role, self.peer_disk) = (10, 2, 8);
        self.bitmap_uuid = 0;
    }
}

/// The stand-in at ROOT/run/generic-netlink. It ends when dropped.
pub struct DrbdKernel {
    model: Arc<Mutex<Model>>,
    path: PathBuf,
}

impl DrbdKernel {
    pub fn start(root: &Path) -> DrbdKernel {
        std::fs::create_dir_all(root.join("run")).unwrap();
        let path = root.join("run/generic-netlink");
        let kind = SockType::SeqPacket;
        let fd = socket(AddressFamily::Unix, kind, SockFlag::SOCK_CLOEXEC, None).unwrap();
        bind(fd.as_raw_fd(), &UnixAddr::new(&path).unwrap()).unwrap();
        listen(&fd, Backlog::new(16).unwrap()).unwrap();
        // std takes any listening Unix socket; this one keeps message boundaries.
        let listener = UnixListener::from(fd);
        let model = Arc::new(Mutex::new(Model::default()));
        let served = model.clone();
        std::thread::spawn(move || {
            while let Ok((socket, _)) = listener.accept() {
                let model = served.clone();
                if model.lock().unwrap().ended {
                    return;
                }
                std::thread::spawn(move || Conversation { socket, model }.run());
            }
        });
        DrbdKernel { model, path }
    }

    /// Looks at or changes the model.
    pub fn with<T>(&self, f: impl FnOnce(&mut Model) -> T) -> T {
        f(&mut self.model.lock().unwrap())
    }

    /// For what changes it at a moment of its own.
    pub fn model(&self) -> Arc<Mutex<Model>> {
        Arc::clone(&self.model)
    }

    /// The role requests so far.
    pub fn log(&self) -> Vec<Asked> {
        self.with(|model| model.log.clone())
    }
}

impl Drop for DrbdKernel {
    fn drop(&mut self) {
        self.with(|model| model.ended = true);
        let fd = socket(AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC, None).unwrap();
        let _ = connect(fd.as_raw_fd(), &UnixAddr::new(&self.path).unwrap());
    }
}

struct Conversation {
    socket: UnixStream,
    model: Arc<Mutex<Model>>,
}

/// A request, taken apart.
struct Request<'a> {
    kind: u16,
    dump: bool,
    sequence: u32,
    command: u8,
    body: &'a [u8],
}

impl<'a> Request<'a> {
    fn parse(bytes: &'a [u8]) -> Request<'a> {
        let number = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
        Request {
            kind: number(4),
            dump: number(6) & 0x300 == 0x300,
            sequence: u32::from_ne_bytes(bytes[8..12].try_into().unwrap()),
            command: bytes[16],
            body: &bytes[20..],
        }
    }

    fn minor(&self) -> u32 {
        u32::from_ne_bytes(self.body[..4].try_into().unwrap())
    }
}

impl Conversation {
    fn run(mut self) {
        let mut buffer = vec![0; 65536];
        while let Ok(length) = self.socket.read(&mut buffer) {
            if length == 0 || !self.answer(&Request::parse(&buffer[..length])) {
                return;
            }
        }
    }

    /// Answers, or not; false to hang up.
    fn answer(&mut self, request: &Request) -> bool {
        let fault = self.fault(request.command);
        match fault {
            Some(Fault::Silent) => return true,
            Some(Fault::Close) => return false,
            Some(Fault::Delay(time)) => std::thread::sleep(time),
            Some(Fault::Stale) => {
                let other = request.sequence + 7;
                self.send(message(request.kind, 0, other, request.command, &[0; 8]));
            }
            _ => {}
        }
        let answers = {
            let mut model = self.model.lock().unwrap();
            // The kernel works inside the send(2) of the one who asks: never for one who is dead.
            if self.hung_up() {
                return false;
            }
            model.react(request)
        };
        for mut answer in answers {
            if let Some(Fault::Interrupted(1..)) = fault {
                answer[6] |= 0x10;
            }
            if fault == Some(Fault::Truncated) {
                answer.truncate(answer.len() / 2);
            }
            self.send(answer);
        }
        true
    }

    fn hung_up(&self) -> bool {
        let mut socket = [PollFd::new(self.socket.as_fd(), PollFlags::empty())];
        poll(&mut socket, PollTimeout::ZERO).unwrap();
        socket[0].revents().unwrap().contains(PollFlags::POLLHUP)
    }

    fn fault(&self, command: u8) -> Option<Fault> {
        self.model.lock().unwrap().faults.get(&command).copied()
    }

    /// A client that has gone away is none of our business.
    fn send(&mut self, bytes: Vec<u8>) {
        let _ = self.socket.write(&bytes);
    }
}

fn error(request: &Request, number: i32) -> Vec<u8> {
    messages::plain(2, 0, request.sequence, &(-number).to_ne_bytes())
}

/// NLMSG_DONE, which can carry an error.
fn done(request: &Request, number: i32) -> Vec<u8> {
    messages::plain(3, 2, request.sequence, &(-number).to_ne_bytes())
}

impl Model {
    /// The volume with this minor.
    pub fn volume(&mut self, minor: u32) -> Option<&mut Volume> {
        let mut volumes = self.resources.iter_mut().flat_map(|resource| &mut resource.volumes);
        volumes.find(|volume| volume.minor == minor)
    }

    fn react(&mut self, request: &Request) -> Vec<Vec<u8>> {
        let answers = match self.faults.get(&request.command) {
            Some(Fault::Errno(number)) => vec![error(request, *number)],
            _ => self.answers(request),
        };
        let fault = self.faults.get_mut(&request.command);
        if let Some(Fault::Interrupted(left) | Fault::Empty(left)) = fault {
            *left = left.saturating_sub(1);
        }
        answers
    }

    fn answers(&mut self, request: &Request) -> Vec<Vec<u8>> {
        if request.kind == messages::CONTROLLER {
            return vec![messages::family(request.sequence, self.version.unwrap_or(1))];
        }
        // The kernel's strict validation since 5.2.
        if messages::fields(&request.body[8..]).any(|(kind, _)| kind & 0xc000 != 0x8000) {
            return vec![error(request, EINVAL)];
        }
        match (request.command, request.dump) {
            (GET_RESOURCES, true) => self.dump(request, messages::resource),
            (GET_STATUS, true) => self.statuses(request),
            (PRIMARY | SECONDARY, false) => vec![self.role_change(request)],
            (CHG_NET_OPTS, false) => vec![self.net_options(request)],
            _ => vec![error(request, EOPNOTSUPP)],
        }
    }

    fn dump(&self, request: &Request, each: fn(u32, &Resource) -> Vec<u8>) -> Vec<Vec<u8>> {
        let empty = matches!(self.faults.get(&request.command), Some(Fault::Empty(1..)));
        let listed = self.resources.iter().filter(|_| !empty);
        let mut answers: Vec<_> = listed.map(|resource| each(request.sequence, resource)).collect();
        answers.push(done(request, 0));
        answers
    }

    fn statuses(&mut self, request: &Request) -> Vec<Vec<u8>> {
        self.listed += 1;
        let name = context_name(request.body);
        let wanted = |resource: &&Resource| name.as_ref().is_none_or(|name| *name == resource.name);
        let resources: Vec<_> = self.resources.iter().filter(wanted).collect();
        if name.is_some() && resources.is_empty() {
            return vec![done(request, ENODEV)];
        }
        let each = |resource: &&Resource| messages::statuses(request.sequence, resource);
        let mut answers: Vec<_> = resources.iter().flat_map(each).collect();
        answers.push(done(request, 0));
        answers
    }

    fn role_change(&mut self, request: &Request) -> Vec<u8> {
        let name = context_name(request.body);
        let force = messages::fields(&request.body[8..]).any(|(kind, _)| kind & 0x3fff == 6);
        let (minor, primary) = (request.minor(), request.command == PRIMARY);
        self.log.push(Asked { minor, name: name.clone(), primary, force });
        let (code, info) = match self.faults.get(&request.command) {
            Some(Fault::Refuse(code)) => (*code, None),
            _ => self.set_role(minor, name.as_deref(), primary),
        };
        messages::role_answer(request.sequence, request.command, request.body, code, info)
    }

    /// drbd_adm_net_opts: by the addresses alone; both nodes of the model have the same options.
    fn net_options(&mut self, request: &Request) -> Vec<u8> {
        let code = match self.faults.get(&request.command) {
            Some(Fault::Refuse(code)) => *code,
            _ => self.allow_two_primaries(request),
        };
        messages::role_answer(request.sequence, request.command, request.body, code, None)
    }

    fn allow_two_primaries(&mut self, request: &Request) -> i32 {
        let named = context_name(request.body).is_some() || request.minor() != u32::MAX;
        let asked = messages::two_primaries(request.body);
        let (Some((peer, allowed)), false) = (asked, named) else { return 162 };
        let connected_to = |resource: &&mut Resource| messages::peer_address(resource) == peer;
        let Some(resource) = self.resources.iter_mut().find(connected_to) else { return 162 };
        let both = |volume: &Volume| volume.role == 1 && volume.peer_role == 1;
        if allowed && resource.protocol != 3 {
            return 139;
        }
        if !allowed && resource.volumes.iter().any(both) {
            return 164;
        }
        resource.two_primaries = allowed;
        101
    }

    fn set_role(&mut self, minor: u32, name: Option<&str>, primary: bool) -> (i32, Option<&'static str>) {
        let named = self.resources.iter().any(|resource| Some(resource.name.as_str()) == name);
        let owns = |resource: &&mut Resource| resource.volumes.iter().any(|v| v.minor == minor);
        let Some(resource) = self.resources.iter_mut().find(owns) else {
            return (127, Some("unknown minor"));
        };
        // A name that no resource has is not noticed (drbd_nl.c:268).
        if named && Some(resource.name.as_str()) != name {
            return (162, Some("minor exists in different resource"));
        }
        let (two_primaries, fencing, fences) = (resource.two_primaries, resource.fencing, resource.fences);
        let mut volumes = resource.volumes.iter_mut();
        let volume = volumes.find(|volume| volume.minor == minor).unwrap();
        let mut code = volume.verdict(primary, two_primaries, fencing);
        // conn_try_outdate_peer; without a policy it succeeds, whatever the peer does.
        if code == -2 && volume.disk == 7 && volume.conn < 10 && (fencing == 0 || fences) {
            volume.disk = 8;
            code = volume.verdict(primary, two_primaries, fencing);
        }
        if code == -7 && fences {
            volume.peer_disk = 5;
            code = volume.verdict(primary, two_primaries, fencing);
        }
        if code == 1 {
            volume.became(primary);
        }
        (code, None)
    }
}
