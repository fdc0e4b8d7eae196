//! drbd.conf's resources, hosts and volumes.

use super::Conf;
use super::options::{Options, Table, table};
use super::tree::Node;
use crate::place::Error;
use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

/// DRBD serves no more nodes of one resource (drbd.h, DRBD_PEERS_MAX).
const MOST_HOSTS: usize = 32;

/// The largest number of a device (MINORBITS is 20).
const LAST_MINOR: u32 = (1 << 20) - 1;

/// The largest number of a volume (drbd_limits.h, DRBD_VOLUME_MAX).
const LAST_VOLUME: u32 = 65534;

/// One `resource` section, with what it takes over from `common`.
#[derive(Debug, Clone)]
pub struct Resource<'a> {
    conf: &'a Conf,
    node: &'a Node,
    common: Rc<Table<'a>>,
    own: Rc<Table<'a>>,
    volumes: BTreeMap<u32, Rc<Table<'a>>>,
    connections: Vec<Connection<'a>>,
}

/// A `connection` or `connection-mesh` section.
#[derive(Debug, Clone)]
struct Connection<'a> {
    hosts: HashSet<&'a str>,
    options: Rc<Table<'a>>,
}

/// What a host section is named by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostKind<'a> {
    /// `on NAME…`: the host with one of these names.
    On(Vec<&'a str>),
    /// `floating ADDRESS`: the host with this address.
    Floating(&'a str),
    /// `stacked-on-top-of RESOURCE`: the host where this resource is Primary.
    Stacked(&'a str),
}

/// The section of one host within a resource.
#[derive(Debug, Clone)]
pub struct HostSection<'a> {
    /// What it is named by.
    pub kind: HostKind<'a>,
    /// `10.0.0.2:7792`
    pub address: Option<&'a str>,
    /// Its volumes by number, with what they take over from the resource.
    pub volumes: BTreeMap<u32, Volume>,
    own: Rc<Table<'a>>,
    tables: BTreeMap<u32, Rc<Table<'a>>>,
}

/// One volume on one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Volume {
    /// N of `/dev/drbdN`.
    pub minor: Option<u32>,
    /// The backing device; None also for `disk none` (9).
    pub disk: Option<String>,
    /// The device with the meta data, None where it is `internal`.
    pub meta_disk: Option<String>,
}

impl Conf {
    /// Every resource, or what is wrong with one of their sections.
    pub fn resources(&self) -> Result<Vec<Resource<'_>>, Error> {
        let common = Rc::new(self.common());
        let mut names = HashSet::new();
        let mut resources = Vec::new();
        for node in &self.nodes {
            let Some(body) = node.section("resource") else { continue };
            let [name] = &node.values[..] else {
                return Err(self.error(node, &node.name, "a resource has one name"));
            };
            if !names.insert(name.text.as_str()) {
                return Err(self.error(node, name, "there is another resource of this name"));
            }
            resources.push(Resource {
                conf: self,
                node,
                common: common.clone(),
                own: Rc::new(table(body)),
                volumes: volume_tables(self, body)?,
                connections: connections(body),
            });
        }
        Ok(resources)
    }

    /// The resource of that name, if there is one.
    pub fn resource(&self, name: &str) -> Result<Option<Resource<'_>>, Error> {
        Ok(self.resources()?.into_iter().find(|resource| resource.name() == name))
    }

    fn common(&self) -> Table<'_> {
        let mut all = Table::new();
        let sections = self.nodes.iter().filter_map(|node| node.section("common"));
        sections.for_each(|body| all.extend(table(body)));
        all
    }
}

impl<'a> Resource<'a> {
    /// Its name.
    pub fn name(&self) -> &'a str {
        self.node.values.first().map_or("", |name| &name.text)
    }

    /// Where it begins: `/etc/drbd.d/vm.res:3:5`.
    pub fn place(&self) -> String {
        self.conf.place(self.node)
    }

    /// The host that has this address (`10.0.0.2:7792`), by its name.
    pub fn host_at(&self, address: &str) -> Option<&'a str> {
        let hosts = self.hosts().ok()?;
        let host = hosts.iter().find(|host| host.address == Some(address))?;
        matches!(host.kind, HostKind::On(_)).then(|| host.name())
    }

    fn body(&self) -> &'a [Node] {
        self.node.body.as_deref().unwrap_or_default()
    }

    /// Its hosts, in the order of the file.
    pub fn hosts(&self) -> Result<Vec<HostSection<'a>>, Error> {
        let mut inherited = BTreeMap::new();
        volumes(self.conf, self.body(), &mut inherited)?;
        let mut hosts = Vec::new();
        for node in self.body() {
            if let (Some(kind), Some(body)) = (kind(self.conf, node)?, &node.body) {
                if hosts.len() == MOST_HOSTS {
                    return Err(self.conf.error(node, &node.name, "a resource has at most 32 hosts"));
                }
                hosts.push(self.host(kind, body, inherited.clone())?);
            }
        }
        Ok(hosts)
    }

    fn host(
        &self,
        kind: HostKind<'a>,
        body: &'a [Node],
        mut inherited: BTreeMap<u32, Volume>,
    ) -> Result<HostSection<'a>, Error> {
        volumes(self.conf, body, &mut inherited)?;
        inherited.retain(|_, volume| volume.minor.is_some() || volume.disk.is_some());
        let address = body.iter().rfind(|node| node.is_statement("address"));
        let address = address.and_then(|node| node.texts().last());
        let address = match kind {
            HostKind::Floating(address) => Some(address),
            _ => address,
        };
        let tables = volume_tables(self.conf, body)?;
        Ok(HostSection { kind, address, volumes: inherited, own: Rc::new(table(body)), tables })
    }

    /// The options of one volume on one host.
    pub fn volume_options(&self, host: &HostSection<'a>, volume: u32) -> Result<Options<'a>, Error> {
        let of_host = [host.tables.get(&volume), Some(&host.own)];
        self.options(of_host.into_iter().chain([self.volumes.get(&volume)]).flatten())
    }

    /// The options of the connection between two hosts, by their names.
    pub fn connection_options(&self, one: &str, other: &str) -> Result<Options<'a>, Error> {
        let joins =
            |connection: &&Connection| connection.hosts.contains(one) && connection.hosts.contains(other);
        self.options(self.connections.iter().rev().filter(joins).map(|connection| &connection.options))
    }

    /// The options of the resource where nothing more special has its own.
    pub fn resource_options(&self) -> Result<Options<'a>, Error> {
        self.options([].into_iter())
    }

    /// The tables of `special`, the most special first, before those of the resource.
    fn options<'t>(&'t self, special: impl Iterator<Item = &'t Rc<Table<'a>>>) -> Result<Options<'a>, Error> {
        match self.own.get(&("", "template-file")) {
            Some(node) => Err(self.conf.error(node, &node.name, "a template file is not read")),
            None => {
                let general = [&self.own, &self.common];
                Ok(Options::new(self.conf, special.chain(general).cloned().collect()))
            }
        }
    }
}

impl<'a> HostSection<'a> {
    /// Whether it is that of the host of this name.
    pub fn is(&self, hostname: &str) -> bool {
        matches!(&self.kind, HostKind::On(names) if names.contains(&hostname))
    }

    /// What to call it: its first name, its address, or the resource below it.
    pub fn name(&self) -> &'a str {
        match &self.kind {
            HostKind::On(names) => names.first().unwrap_or(&""),
            HostKind::Floating(name) | HostKind::Stacked(name) => name,
        }
    }
}

/// What a host section is named by; None for any other node.
fn kind<'a>(conf: &Conf, node: &'a Node) -> Result<Option<HostKind<'a>>, Error> {
    let last = || {
        let word = node.texts().last();
        word.ok_or_else(|| conf.error(node, &node.name, "this host section has no name"))
    };
    match (node.body.is_some(), node.name.text.as_str()) {
        (true, "on") => last().map(|_| Some(HostKind::On(node.texts().collect()))),
        (true, "floating") => last().map(|address| Some(HostKind::Floating(address))),
        (true, "stacked-on-top-of") => last().map(|below| Some(HostKind::Stacked(below))),
        _ => Ok(None),
    }
}

/// Adds what `body` says of volumes. Outside of a `volume` section it is about volume 0.
fn volumes(conf: &Conf, body: &[Node], volumes: &mut BTreeMap<u32, Volume>) -> Result<(), Error> {
    for node in body {
        match node.section("volume") {
            Some(inner) => {
                let volume = volumes.entry(volume_number(conf, node)?).or_default();
                inner.iter().try_for_each(|node| device(conf, node, volume))?;
            }
            None if DEVICES.contains(&node.name.text.as_str()) && node.body.is_none() => {
                device(conf, node, volumes.entry(0).or_default())?;
            }
            None => {}
        }
    }
    Ok(())
}

/// The statements that make a volume.
const DEVICES: [&str; 4] = ["device", "disk", "meta-disk", "flexible-meta-disk"];

fn device(conf: &Conf, node: &Node, volume: &mut Volume) -> Result<(), Error> {
    if node.body.is_some() || !DEVICES.contains(&node.name.text.as_str()) {
        return Ok(());
    }
    let Some(first) = node.values.first() else {
        return Err(conf.error(node, &node.name, "this needs a device"));
    };
    match node.name.text.as_str() {
        "device" => volume.minor = Some(minor(conf, node)?),
        "disk" => volume.disk = Some(first.text.clone()).filter(|disk| disk != "none"),
        _ => {
            let path = first.text.as_str();
            volume.meta_disk = (path != "internal").then(|| without_index(path).to_string());
        }
    }
    Ok(())
}

/// `device /dev/drbdN`, `device NAME minor N`, `device minor N`.
fn minor(conf: &Conf, node: &Node) -> Result<u32, Error> {
    let (word, number) = match &node.values[..] {
        [word] => (word, word.text.strip_prefix("/dev/drbd")),
        [.., minor, word] if minor.text == "minor" => (word, Some(word.text.as_str())),
        _ => (&node.name, None),
    };
    let number = number.and_then(|number| number.parse().ok()).filter(|&number| number <= LAST_MINOR);
    number.ok_or_else(|| conf.error(node, word, "this tells no minor number"))
}

/// The device of `/dev/x[0]`.
fn without_index(path: &str) -> &str {
    let index = |inner: &str| !inner.is_empty() && inner.bytes().all(|byte| byte.is_ascii_digit());
    match path.strip_suffix(']').and_then(|rest| rest.rsplit_once('[')) {
        Some((device, inner)) if index(inner) => device,
        _ => path,
    }
}

fn volume_number(conf: &Conf, node: &Node) -> Result<u32, Error> {
    let number = match &node.values[..] {
        [number] => number.text.parse().ok().filter(|&number| number <= LAST_VOLUME),
        _ => None,
    };
    number.ok_or_else(|| conf.error(node, &node.name, "a volume has a number up to 65534"))
}

/// The options in the `volume` sections of `body`, by number.
fn volume_tables<'a>(conf: &Conf, body: &'a [Node]) -> Result<BTreeMap<u32, Rc<Table<'a>>>, Error> {
    let sections = body.iter().filter_map(|node| Some((node, node.section("volume")?)));
    sections.map(|(node, inner)| Ok((volume_number(conf, node)?, Rc::new(table(inner))))).collect()
}

/// The `connection` sections of `body`, and its mesh, which any of them overrides.
fn connections(body: &[Node]) -> Vec<Connection<'_>> {
    let of = |name: &'static str, member: &'static str| {
        let sections = body.iter().filter_map(move |node| node.section(name));
        sections.map(move |inner| Connection {
            hosts: members(inner, member).collect(),
            options: Rc::new(table(inner)),
        })
    };
    of("connection-mesh", "hosts").chain(of("connection", "host")).collect()
}

/// The names of `hosts a b c;`, or of every `host a …;`, which can also have a proxy in braces.
fn members<'a>(body: &'a [Node], member: &'static str) -> impl Iterator<Item = &'a str> {
    let all = if member == "hosts" { usize::MAX } else { 1 };
    let nodes = body.iter().filter(move |node| node.name.text == member);
    nodes.flat_map(move |node| node.texts().take(all))
}
