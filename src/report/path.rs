//! The way of a write, from the guest to every disk on both nodes, and what each
//! layer on it does to a flush.

use super::tree::Node;
use crate::facts::storage::{Cache, Device, DeviceKind, Devices, WriteCache};
use crate::facts::{Facts, Known, Protocol, Resource, Volume, WriteOrdering};
use crate::guest::{GuestFacts, LeadsTo};
use crate::rules::disk_line::DiskLine;
use crate::rules::side::{FIRST_FLUSHES, Side};
use crate::rules::{Finding, Severity};
use std::collections::{BTreeMap, BTreeSet};

/// Deeper than any stack of devices: what is deeper is hostile, and is not drawn.
const DEEPEST: usize = 16;

/// From a guest, whichever, down to the disks of this node and of each peer;
/// `None` of what is not a volume.
pub fn of_volume(facts: &Facts, findings: &[Finding]) -> Option<Node> {
    Some(Node::new("guest".into(), vec![blkback(facts, findings)?]))
}

/// From a guest through each disk of its configuration.
pub fn of_guest(guest: &GuestFacts, volumes: &[Facts], findings: &[Finding]) -> Node {
    let name = guest.config.name.value().and_then(Option::as_deref).unwrap_or("without a name");
    let lines = DiskLine::all(guest);
    let marks = Marks::new(findings.iter().filter(|finding| finding.node.is_none()));
    let disks = lines.iter().map(|line| disk(line, volumes, findings, &marks)).collect();
    Node::new(format!("guest {name}"), disks)
}

fn disk(line: &DiskLine, volumes: &[Facts], findings: &[Finding], marks: &Marks) -> Node {
    let (disk, vdev) = (line.disk, line.disk.vdev.as_deref());
    let way = match &line.leads_to {
        LeadsTo::Gate(Ok(target)) => format!("through block-drbd to {target}"),
        LeadsTo::Gate(Err(_)) => "through block-drbd to no resource".into(),
        LeadsTo::Drbd(_) => format!("past block-drbd to {}", disk.target),
        LeadsTo::BelowDrbd(volume) => format!("to {}, below {}", disk.target, volume.resource),
        LeadsTo::Elsewhere => format!("to {}, which DRBD does not replicate", disk.target),
        LeadsTo::Cdrom => "a CD drive".into(),
    };
    let target = line.leads_to.target();
    let leads = |facts: &&Facts| target.is_some() && facts.target.as_ref().ok() == target.as_ref();
    let backend = volumes.iter().find(leads).and_then(|facts| blkback(facts, findings));
    Node {
        weak: vdev.and_then(|vdev| marks.of(None, Some(vdev))),
        ..Node::new(format!("disk {} {way}", vdev.unwrap_or("?")), backend.into_iter().collect())
    }
}

fn blkback(facts: &Facts, findings: &[Finding]) -> Option<Node> {
    let volume = volume(facts, findings)?;
    let own = Side::all(facts);
    let old = own.first().and_then(Side::kernel).is_some_and(|kernel| kernel < FIRST_FLUSHES);
    let text = match old {
        true => "blkback: promises barriers without asking the device, and passes them on",
        false => "blkback: passes a flush on as an empty write with PREFLUSH",
    };
    Some(Node::new(text.into(), vec![volume]))
}

/// The findings about one volume, by what they are about.
struct Marks<'a>(BTreeMap<About<'a>, (&'static str, Severity)>);

/// A node and a device, where there are such.
type About<'a> = (Option<&'a str>, Option<&'a str>);

impl<'a> Marks<'a> {
    /// Of each node and device the first of the gravest findings.
    fn new(findings: impl Iterator<Item = &'a Finding>) -> Marks<'a> {
        let mut marks = BTreeMap::new();
        for finding in findings.filter(|finding| finding.severity > Severity::Info) {
            let about = (finding.node.as_deref(), finding.found.device.as_deref());
            let mark = marks.entry(about).or_insert((finding.rule, finding.severity));
            if finding.severity > mark.1 {
                *mark = (finding.rule, finding.severity);
            }
        }
        Marks(marks)
    }

    fn of(&self, node: Option<&str>, device: Option<&str>) -> Option<(&'static str, Severity)> {
        self.0.get(&(node, device)).copied()
    }

    /// Marks the devices below, too.
    fn put(&self, node: &mut Node, host: &str) {
        node.weak = self.of(Some(host), node.device.as_deref());
        node.below.iter_mut().for_each(|below| self.put(below, host));
    }
}

fn volume(facts: &Facts, findings: &[Finding]) -> Option<Node> {
    let (Some(resource), Some(volume)) = (facts.resource.value()?.as_ref(), facts.volume()) else {
        return None;
    };
    let target = facts.target.as_ref().ok().map(ToString::to_string);
    let marks = Marks::new(findings.iter().filter(|finding| finding.resource == target));
    let sides = Side::all(facts);
    let mut nodes: Vec<Node> =
        sides.iter().enumerate().map(|(number, side)| side_node(side, number == 0, &marks)).collect();
    for connection in &resource.connections {
        let told = |side: &Side| {
            facts
                .peers
                .value()
                .into_iter()
                .flatten()
                .any(|answer| answer.peer == side.name && answer.is_of(connection))
        };
        if !sides.iter().skip(1).any(told) {
            let text = format!("{}: what it does to a flush is not known", connection.peer);
            nodes.push(Node { weak: marks.of(Some(&connection.peer), None), ..Node::new(text, Vec::new()) });
        }
    }
    let text = volume_text(facts, resource, volume);
    Some(Node { weak: marks.of(None, None), ..Node::new(text, nodes) })
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

fn side_node(side: &Side, own: bool, marks: &Marks) -> Node {
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
    marks.put(&mut node, side.name);
    node
}

/// A resource with its volumes and what is below them on one host.
pub fn of_resource(resource: &Resource, devices: &Devices) -> Node {
    let volume = |volume: &Volume| {
        let text =
            format!("/dev/drbd{} volume {} {} {}", volume.minor, volume.number, volume.role, volume.disk);
        Node::new(text, stacks(volume, devices))
    };
    Node::new(format!("resource {}", resource.name), resource.volumes.iter().map(volume).collect())
}

fn stacks(volume: &Volume, devices: &Devices) -> Vec<Node> {
    let root = |known: &Known<String>, what: &str| match known {
        Known::Is(name) => device_node(name, devices, DEEPEST, &mut BTreeSet::new()),
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

/// What is below a device is drawn once: in a stack that is no tree, what a peer has told
/// of among them, the number of ways down can double with each level.
fn device_node<'a>(name: &'a str, devices: &'a Devices, depth: usize, drawn: &mut BTreeSet<&'a str>) -> Node {
    let Some(device) = devices.get(name).filter(|_| depth > 0) else {
        return Node::new(format!("{name}: not looked at"), Vec::new());
    };
    if !drawn.insert(name) {
        return Node { device: Some(name.into()), ..Node::new(format!("{name}: as above"), Vec::new()) };
    }
    let below = device.below.value().into_iter().flatten();
    let below = below.map(|name| device_node(name, devices, depth - 1, drawn)).collect();
    let text = format!("{name}{}: {}", described(device), does(device));
    Node { device: Some(name.into()), ..Node::new(text, below) }
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
