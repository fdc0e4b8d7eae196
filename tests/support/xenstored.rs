//! A xenstored for tests: the protocol over a real socket, in this process, and
//! faults on demand. It is written from docs/misc/xenstore.txt and shares no
//! code with the client, so that a misreading of one is not a misreading of both.

// Each test binary uses another part of it.
#![allow(dead_code, clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// The operations, by their numbers in xs_wire.h.
pub mod op {
    pub const DIRECTORY: u32 = 1;
    pub const READ: u32 = 2;
    pub const WATCH: u32 = 4;
    pub const UNWATCH: u32 = 5;
    pub const TRANSACTION_START: u32 = 6;
    pub const TRANSACTION_END: u32 = 7;
    pub const WRITE: u32 = 11;
    pub const MKDIR: u32 = 12;
    pub const RM: u32 = 13;
    pub const WATCH_EVENT: u32 = 15;
    pub const ERROR: u32 = 16;
    pub const DIRECTORY_PART: u32 = 22;
}

const PAYLOAD_MAX: usize = 4096;

#[path = "tree.rs"]
mod tree;

pub use tree::Tree;
use tree::{absolute, parent, valid};

type Hook = Box<dyn FnMut(&mut Tree) + Send>;

/// What goes wrong, and when.
#[derive(Default)]
struct Faults {
    close: Option<(u32, usize)>,
    delay: Option<Duration>,
    errors: Vec<(u32, String, &'static str)>,
    hooks: Vec<(u32, String, Hook)>,
    lacks_home: bool,
}

struct Watch {
    connection: u64,
    path: String,
    token: String,
    stream: Arc<Mutex<UnixStream>>,
}

struct Shared {
    tree: Tree,
    watches: Vec<Watch>,
    faults: Faults,
    counts: BTreeMap<u32, usize>,
}

/// The daemon. It ends with this value; its connections end with their clients.
pub struct Xenstored {
    socket: PathBuf,
    shared: Arc<Mutex<Shared>>,
    ending: Arc<AtomicBool>,
}

impl Xenstored {
    /// Listens at `socket`, whose directory is made where it is missing.
    pub fn start(socket: &Path) -> Xenstored {
        std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
        let listener = UnixListener::bind(socket).unwrap();
        let (tree, faults) = (Tree::new(), Faults::default());
        let shared = Shared { tree, watches: Vec::new(), faults, counts: BTreeMap::new() };
        let shared = Arc::new(Mutex::new(shared));
        let ending = Arc::new(AtomicBool::new(false));
        let daemon = Xenstored { socket: socket.to_owned(), shared: shared.clone(), ending: ending.clone() };
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                if ending.load(Ordering::SeqCst) {
                    return;
                }
                let connection = Connection::new(number as u64, stream.unwrap(), shared.clone());
                std::thread::spawn(move || connection.serve());
            }
        });
        daemon
    }

    /// Where it listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Writes a node as somebody else would, with its events.
    pub fn set(&self, path: &str, value: &str) {
        let mut shared = self.lock();
        shared.tree.set(path, value.as_bytes());
        shared.send_events();
    }

    /// Removes a node as somebody else would, with its events.
    pub fn remove(&self, path: &str) {
        let mut shared = self.lock();
        let _ = shared.tree.remove(path);
        shared.send_events();
    }

    /// The value of a node, as text.
    pub fn get(&self, path: &str) -> Option<String> {
        self.lock().tree.get(path).map(|value| String::from_utf8_lossy(&value).into_owned())
    }

    /// How many requests of an operation have come.
    pub fn requests(&self, op: u32) -> usize {
        self.lock().counts.get(&op).copied().unwrap_or(0)
    }

    /// Closes the connection in place of answering the `nth` request of `op`, from 1.
    pub fn close_on(&self, op: u32, nth: usize) {
        self.lock().faults.close = Some((op, nth));
    }

    /// Answers every request this much later.
    pub fn delay(&self, delay: Duration) {
        self.lock().faults.delay = Some(delay);
    }

    /// Answers `op` on `path` with an error: "EACCES".
    pub fn refuse(&self, op: u32, path: &str, error: &'static str) {
        self.lock().faults.errors.push((op, absolute(path), error));
    }

    /// Runs `hook` before each `op` on `path`: something that happens in between.
    pub fn before(&self, op: u32, path: &str, hook: impl FnMut(&mut Tree) + Send + 'static) {
        self.lock().faults.hooks.push((op, absolute(path), Box::new(hook)));
    }

    /// Does not resolve relative paths, like the daemon of Xen 4.0.
    pub fn lack_home(&self) {
        self.lock().faults.lacks_home = true;
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap()
    }
}

impl Drop for Xenstored {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::SeqCst);
        let _ = UnixStream::connect(&self.socket);
        let _ = std::fs::remove_file(&self.socket);
    }
}

impl Shared {
    fn send_events(&mut self) {
        for changed in std::mem::take(&mut self.tree.changed) {
            for watch in &self.watches {
                let root = absolute(&watch.path);
                let below =
                    changed.strip_prefix(&root).filter(|rest| rest.is_empty() || rest.starts_with('/'));
                // The removal of a parent is one of the node, too.
                let above = root.strip_prefix(&changed).is_some_and(|rest| rest.starts_with('/'));
                match below {
                    Some(rest) => watch.send(&format!("{}{rest}", watch.path)),
                    None if above && self.tree.get(&changed).is_none() => watch.send(&watch.path),
                    None => {}
                }
            }
        }
    }
}

impl Watch {
    fn send(&self, path: &str) {
        let payload = format!("{path}\0{}\0", self.token);
        send(&self.stream, [op::WATCH_EVENT, 0, 0], payload.as_bytes());
    }
}

/// Sends a message; a client that has gone is its own affair.
fn send(stream: &Mutex<UnixStream>, [kind, request, transaction]: [u32; 3], payload: &[u8]) {
    let header = [kind, request, transaction, payload.len() as u32].map(u32::to_ne_bytes).concat();
    let _ = stream.lock().unwrap().write_all(&[&header, payload].concat());
}

/// What a transaction has seen and done; it is done again on the tree at its commit.
struct Transaction {
    base: Tree,
    tree: Tree,
    seen: BTreeMap<String, Option<u64>>,
    changes: Vec<(String, Option<Vec<u8>>)>,
}

struct Connection {
    number: u64,
    input: UnixStream,
    output: Arc<Mutex<UnixStream>>,
    shared: Arc<Mutex<Shared>>,
    transactions: BTreeMap<u32, Transaction>,
    started: u32,
}

struct Request {
    op: u32,
    number: u32,
    transaction: u32,
    path: String,
    rest: Vec<u8>,
}

type Reply = Result<Vec<u8>, &'static str>;
const OK: &[u8] = b"OK\0";

impl Connection {
    fn new(number: u64, stream: UnixStream, shared: Arc<Mutex<Shared>>) -> Connection {
        let output = Arc::new(Mutex::new(stream.try_clone().unwrap()));
        Connection { number, input: stream, output, shared, transactions: BTreeMap::new(), started: 0 }
    }

    fn serve(mut self) {
        while let Some(request) = self.receive() {
            if !self.handle(request) {
                break;
            }
        }
        self.shared.lock().unwrap().watches.retain(|watch| watch.connection != self.number);
        let _ = self.input.shutdown(std::net::Shutdown::Both);
    }

    fn receive(&mut self) -> Option<Request> {
        let mut header = [0; 16];
        self.input.read_exact(&mut header).ok()?;
        let word = |i: usize| u32::from_ne_bytes(header[4 * i..4 * i + 4].try_into().unwrap());
        let len = word(3) as usize;
        if len > PAYLOAD_MAX {
            return None;
        }
        let mut payload = vec![0; len];
        self.input.read_exact(&mut payload).ok()?;
        let end = payload.iter().position(|byte| *byte == 0).unwrap_or(payload.len());
        let path = String::from_utf8_lossy(&payload[..end]).into_owned();
        let rest = payload.get(end + 1..).unwrap_or_default().to_vec();
        Some(Request { op: word(0), number: word(1), transaction: word(2), path, rest })
    }

    /// Answers a request; false closes the connection.
    fn handle(&mut self, request: Request) -> bool {
        let shared = self.shared.clone();
        let mut guard = shared.lock().unwrap();
        let count = guard.counts.entry(request.op).or_default();
        *count += 1;
        if guard.faults.close.is_some_and(|at| at == (request.op, guard.counts[&request.op])) {
            return false;
        }
        if let Some(delay) = guard.faults.delay {
            drop(guard);
            std::thread::sleep(delay);
            guard = shared.lock().unwrap();
        }
        let reply = self.reply(&mut guard, &request);
        let (kind, payload) = match &reply {
            Ok(payload) => (request.op, payload.clone()),
            Err(error) => (op::ERROR, format!("{error}\0").into_bytes()),
        };
        send(&self.output, [kind, request.number, request.transaction], &payload);
        if request.op == op::WATCH && reply.is_ok() {
            guard.watches.last().unwrap().send(&request.path);
        }
        guard.send_events();
        true
    }

    fn reply(&mut self, shared: &mut Shared, request: &Request) -> Reply {
        match request.op {
            op::TRANSACTION_START => return Ok(self.start(&shared.tree)),
            op::TRANSACTION_END => {
                let all = &mut shared.faults.hooks;
                run_hooks(all, op::TRANSACTION_END, "", &mut shared.tree);
                return self.end(shared, request);
            }
            _ => {}
        }
        let relative = !request.path.starts_with(['/', '@']);
        if !valid(&request.path) || (relative && shared.faults.lacks_home) {
            return Err("EINVAL");
        }
        let path = absolute(&request.path);
        run_hooks(&mut shared.faults.hooks, request.op, &path, &mut shared.tree);
        let mut errors = shared.faults.errors.iter();
        if let Some((_, _, error)) = errors.find(|(op, at, _)| (*op, at) == (request.op, &path)) {
            return Err(error);
        }
        match request.op {
            op::WATCH | op::UNWATCH => self.set_watch(shared, request),
            _ if request.transaction == 0 => on_tree(&mut shared.tree, request, &path),
            _ => self.in_transaction(request, &path),
        }
    }

    fn start(&mut self, tree: &Tree) -> Vec<u8> {
        self.started += 1;
        let (base, tree) = (tree.clone(), tree.clone());
        let transaction = Transaction { base, tree, seen: BTreeMap::new(), changes: Vec::new() };
        self.transactions.insert(self.started, transaction);
        format!("{}\0", self.started).into_bytes()
    }

    fn in_transaction(&mut self, request: &Request, path: &str) -> Reply {
        let transaction = self.transactions.get_mut(&request.transaction).ok_or("ENOENT")?;
        let mut touched = vec![path.to_owned()];
        if matches!(request.op, op::WRITE | op::MKDIR | op::RM) {
            touched.push(parent(path));
            let value = (request.op != op::RM).then(|| request.rest.clone());
            transaction.changes.push((path.to_owned(), value));
        }
        for node in touched {
            let generation = transaction.base.generation_of(&node);
            transaction.seen.entry(node).or_insert(generation);
        }
        on_tree(&mut transaction.tree, request, path)
    }

    fn end(&mut self, shared: &mut Shared, request: &Request) -> Reply {
        let transaction = self.transactions.remove(&request.transaction).ok_or("ENOENT")?;
        if request.path == "F" {
            return Ok(OK.to_vec());
        }
        let tree = &mut shared.tree;
        if transaction.seen.iter().any(|(node, generation)| tree.generation_of(node) != *generation) {
            return Err("EAGAIN");
        }
        for (path, value) in transaction.changes {
            match value {
                Some(value) => tree.set(&path, &value),
                None => drop(tree.remove(&path)),
            }
        }
        Ok(OK.to_vec())
    }

    fn set_watch(&self, shared: &mut Shared, request: &Request) -> Reply {
        let token = String::from_utf8_lossy(request.rest.strip_suffix(b"\0").ok_or("EINVAL")?).into_owned();
        let same = |w: &Watch| w.connection == self.number && w.path == request.path && w.token == token;
        let existing = shared.watches.iter().position(same);
        match (request.op, existing) {
            (op::WATCH, Some(_)) => return Err("EEXIST"),
            (op::WATCH, None) => shared.watches.push(Watch {
                connection: self.number,
                path: request.path.clone(),
                token,
                stream: self.output.clone(),
            }),
            (_, Some(at)) => drop(shared.watches.remove(at)),
            (_, None) => return Err("ENOENT"),
        }
        Ok(OK.to_vec())
    }
}

fn run_hooks(hooks: &mut [(u32, String, Hook)], op: u32, path: &str, tree: &mut Tree) {
    for (_, _, hook) in hooks.iter_mut().filter(|(on, at, _)| *on == op && (at == path || path.is_empty())) {
        hook(tree);
    }
}

fn on_tree(tree: &mut Tree, request: &Request, path: &str) -> Reply {
    match request.op {
        op::READ => tree.get(path).ok_or("ENOENT"),
        op::DIRECTORY => {
            let names = tree.children(path).ok_or("ENOENT")?;
            if names.len() > PAYLOAD_MAX { Err("E2BIG") } else { Ok(names) }
        }
        op::DIRECTORY_PART => tree.part(path, &request.rest),
        op::WRITE => {
            tree.set(path, &request.rest);
            Ok(OK.to_vec())
        }
        op::MKDIR => {
            if tree.get(path).is_none() {
                tree.set(path, b"");
            }
            Ok(OK.to_vec())
        }
        op::RM => tree.remove(path).map(|()| OK.to_vec()),
        _ => Err("ENOSYS"),
    }
}
