//! The way of a write, from the guest to every disk on both nodes, and what each
//! layer on it does to a flush.

use super::one_line;
use super::paint::Paint;
use crate::facts::storage::{Cache, Device, DeviceKind, Devices, WriteCache};
use crate::facts::{Facts, Known, Node as Host, Protocol, Resource, Volume, WriteOrdering};
use crate::rules::side::Side;
use crate::rules::{Finding, Severity};

/// Deeper than any stack of devices: what is deeper is hostile, and is not drawn.
const DEEPEST: usize = 16;

/// A layer, and the layers below it.
pub struct Node {
    /// What it is and what it does to a flush.
    text: String,
    /// The rule that has found it weak, and how grave that is.
    weak: Option<(&'static str, Severity)>,
    below: Vec<Node>,
}

impl Node {
    fn new(text: String, below: Vec<Node>) -> Node {
        Node { text, weak: None, below }
    }
}

/// The tree as lines, the weak layers marked.
pub fn draw(root: &Node, paint: &Paint) -> String {
    let mut lines = Vec::new();
    lines_of(root, "", "", paint, &mut lines);
    lines.concat()
}

fn lines_of(node: &Node, first: &str, rest: &str, paint: &Paint, lines: &mut Vec<String>) {
    let text = one_line(&node.text);
    let text = match node.weak {
        None => text,
        Some((rule, Severity::Refuse)) => paint.bad(&format!("{text}  <== {rule}")),
        Some((rule, _)) => paint.doubtful(&format!("{text}  <-- {rule}")),
    };
    lines.push(format!("{first}{text}\n"));
    for (number, below) in node.below.iter().enumerate() {
        let (branch, trunk) =
            if number + 1 == node.below.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        lines_of(below, &format!("{rest}{branch}"), &format!("{rest}{trunk}"), paint, lines);
    }
}

/// From the guest down to the disks of this node and of each peer; `None` of
/// what is not a volume.
pub fn write_path(facts: &Facts, findings: &[Finding]) -> Option<Node> {
    let (Some(resource), Some(volume)) = (facts.resource.value()?.as_ref(), facts.volume()) else {
        return None;
    };
    let sides = Side::all(facts);
    let mut nodes: Vec<Node> =
        sides.iter().enumerate().map(|(number, side)| side_node(side, number == 0, findings)).collect();
    for connection in &resource.connections {
        let told = facts.peers.value().into_iter().flatten().any(|answer| answer.is_of(connection));
        if !told {
            let text = format!("{}: what it does to a flush is not known", connection.peer);
            nodes.push(Node { weak: weak(findings, &connection.peer, None), ..Node::new(text, Vec::new()) });
        }
    }
    let volume = Node { weak: weak_path(findings), ..Node::new(volume_text(facts, resource, volume), nodes) };
    let backend =
        Node::new("blkback: passes a flush on as an empty write with PREFLUSH".into(), vec![volume]);
    Some(Node::new("guest".into(), vec![backend]))
}

fn volume_text(facts: &Facts, resource: &Resource, volume: &Volume) -> String {
    let version = facts.node.drbd.value().map_or("of unknown version", String::as_str);
    let protocol = match resource.connections.first().map(|connection| &connection.protocol) {
        Some(Known::Is(Protocol::A)) => ", protocol A",
        Some(Known::Is(Protocol::B)) => ", protocol B",
        Some(Known::Is(Protocol::C)) => ", protocol C",
        _ => ", not replicating",
    };
    format!(
        "/dev/drbd{} ({} volume {}), DRBD {version}{protocol}",
        volume.minor, resource.name, volume.number
    )
}

fn side_node(side: &Side, own: bool, findings: &[Finding]) -> Node {
    let ordering = match &side.resource.write_ordering {
        Known::Is(WriteOrdering::None) => "none",
        Known::Is(WriteOrdering::Drain) => "drain",
        Known::Is(WriteOrdering::Flush) => "flush",
        Known::Is(WriteOrdering::Barrier) => "barrier",
        Known::Unknown(_) => "unknown",
    };
    let does = match (own, side.has_disk()) {
        (_, false) => "no disk: a flush does nothing here".to_string(),
        (true, true) => {
            format!("this node: the guest's flush waits for it; write-ordering {ordering} when it receives")
        }
        (false, true) => format!(
            "the peer: write-ordering {ordering}, at the end of each epoch, which the guest's flush does not wait for"
        ),
    };
    let below = if side.has_disk() { stacks(side.volume, side.devices) } else { Vec::new() };
    let mut node = Node::new(format!("{}: {does}", side.name), below);
    node.weak = weak(findings, side.name, None);
    for stack in &mut node.below {
        mark(stack, side.name, findings);
    }
    node
}

/// Marks the devices that a finding names.
fn mark(node: &mut Node, host: &str, findings: &[Finding]) {
    let device = node.text.split([' ', ':']).next().unwrap_or_default().to_string();
    node.weak = weak(findings, host, Some(&device));
    node.below.iter_mut().for_each(|below| mark(below, host, findings));
}

fn weak(findings: &[Finding], host: &str, device: Option<&str>) -> Option<(&'static str, Severity)> {
    let of = |finding: &&Finding| {
        finding.severity > Severity::Info
            && finding.node.as_deref() == Some(host)
            && finding.found.device.as_deref() == device
    };
    findings
        .iter()
        .filter(of)
        .map(|finding| (finding.rule, finding.severity))
        .max_by_key(|(_, severity)| *severity)
}

/// What is wrong with the volume as a whole and not with one node.
fn weak_path(findings: &[Finding]) -> Option<(&'static str, Severity)> {
    let of = |finding: &&Finding| finding.severity > Severity::Info && finding.node.is_none();
    findings
        .iter()
        .filter(of)
        .map(|finding| (finding.rule, finding.severity))
        .max_by_key(|(_, severity)| *severity)
}

/// A resource with its volumes and what is below them on one host.
pub fn resource(resource: &Resource, _host: &Host, devices: &Devices) -> Node {
    let volume = |volume: &Volume| {
        let text =
            format!("/dev/drbd{} volume {} {} {}", volume.minor, volume.number, volume.role, volume.disk);
        Node::new(text, stacks(volume, devices))
    };
    Node::new(format!("resource {}", resource.name), resource.volumes.iter().map(volume).collect())
}

fn stacks(volume: &Volume, devices: &Devices) -> Vec<Node> {
    let root = |known: &Known<String>, what: &str| match known {
        Known::Is(name) => device_node(name, devices, DEEPEST),
        Known::Unknown(why) => Node::new(format!("{what}: unknown: {why}"), Vec::new()),
    };
    let mut stacks = vec![root(&volume.data, "data")];
    if volume.meta != volume.data {
        let mut meta = root(&volume.meta, "meta data");
        meta.text += ", for the meta data";
        stacks.push(meta);
    }
    stacks
}

fn device_node(name: &str, devices: &Devices, depth: usize) -> Node {
    let Some(device) = devices.get(name).filter(|_| depth > 0) else {
        return Node::new(format!("{name}: not looked at"), Vec::new());
    };
    let below = device.below.value().cloned().unwrap_or_default();
    let below = below.iter().map(|name| device_node(name, devices, depth - 1)).collect();
    Node::new(format!("{name}{}: {}", described(device), does(device)), below)
}

fn described(device: &Device) -> String {
    let known = |known: &Known<String>| known.value().cloned().unwrap_or_else(|| "unknown".into());
    let kind = match &device.kind {
        DeviceKind::DeviceMapper => "device mapper".into(),
        DeviceKind::Md(level) => format!("md {}", known(level)),
        DeviceKind::Bcache(mode) => format!("bcache {}", known(mode)),
        DeviceKind::Loop => {
            format!("loop on {}", device.file.as_ref().map_or("?", |file| file.path.as_str()))
        }
        DeviceKind::Partition => "partition".into(),
        DeviceKind::Nvme => "NVMe".into(),
        DeviceKind::Scsi => "SCSI".into(),
        DeviceKind::Virtio => "virtio".into(),
        DeviceKind::XenBlkfront => "Xen".into(),
        DeviceKind::Drbd => "DRBD".into(),
        DeviceKind::Other(word) => word.clone(),
    };
    let names: Vec<&str> = device.model.iter().chain(device.names.first()).map(String::as_str).collect();
    if names.is_empty() { format!(" ({kind})") } else { format!(" ({kind}, {})", names.join(", ")) }
}

fn does(device: &Device) -> String {
    let leaf = device.below == Known::Is(Vec::new());
    match (&device.write_cache, device.cache()) {
        (_, Cache::NonVolatile(reason)) => format!("its cache survives a power cut: {reason}"),
        (Known::Is(WriteCache::WriteThrough), Cache::Volatile) => {
            "volatile cache, and drops every flush".into()
        }
        (_, Cache::Volatile) if leaf => "volatile cache, flushed".into(),
        (_, Cache::None) if leaf => "no volatile cache, nothing to flush".into(),
        (Known::Is(WriteCache::WriteBack), _) => "passes flushes on".into(),
        (Known::Is(WriteCache::WriteThrough), _) => {
            "drops flushes, as nothing below says that it needs them".into()
        }
        (_, Cache::Unknown(why)) if leaf => format!("what its cache does is unknown: {why}"),
        (Known::Unknown(_), _) => "passes flushes on, as far as can be seen".into(),
    }
}
