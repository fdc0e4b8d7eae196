//! The messages of DRBD 8.4, made from captured ones by replacing field values.
//!
//! Written apart from the client's code, so that a misreading of one is not a
//! misreading of both.

use super::{GET_RESOURCES, GET_STATUS, Resource, Volume};

pub const CONTROLLER: u16 = 16;
/// The id that the captures had for drbd.
pub const DRBD: u16 = 32;

/// A captured message from its nlmsghdr on.
pub fn captured(hex: &str) -> Vec<u8> {
    let hex = hex.trim();
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

fn template_of_resource() -> Vec<u8> {
    captured(include_str!("../fixtures/netlink-8.4/resources.hex"))
}

fn template_of_status() -> Vec<u8> {
    captured(include_str!("../fixtures/netlink-8.4/status.hex"))
}

/// A message without a genlmsghdr.
pub fn plain(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(16 + payload.len()).unwrap();
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend([kind.to_ne_bytes(), flags.to_ne_bytes()].concat());
    bytes.extend([sequence.to_ne_bytes(), 0_u32.to_ne_bytes()].concat());
    bytes.extend(payload);
    bytes
}

/// A message of version 1.
pub fn message(kind: u16, flags: u16, sequence: u32, command: u8, body: &[u8]) -> Vec<u8> {
    plain(kind, flags, sequence, &[&[command, 1, 0, 0], body].concat())
}

/// The attributes of `bytes`: type with its flags, and value.
pub fn fields(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let head = bytes.get(..4)?;
        let length = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        let value = &bytes[4..length];
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((u16::from_ne_bytes([head[2], head[3]]), value))
    })
}

fn field(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + value.len()).unwrap();
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// The types of a message's nests and fields, flags and all, in order.
pub fn layout(message: &[u8]) -> Vec<(u16, Vec<u16>)> {
    let inner = |value| fields(value).map(|(kind, _)| kind).collect();
    fields(&message[28..]).map(|(kind, value)| (kind, inner(value))).collect()
}

/// CFG_CONTEXT.ctx_resource_name of what follows the genlmsghdr.
pub fn context_name(body: &[u8]) -> Option<String> {
    let (_, context) = fields(&body[8..]).find(|(kind, _)| kind & 0x3fff == 2)?;
    let (_, name) = fields(context).find(|(kind, _)| kind & 0x3fff == 2)?;
    Some(String::from_utf8(name.strip_suffix(b"\0").unwrap().to_vec()).unwrap())
}

/// CFG_CONTEXT.ctx_peer_addr and NET_CONF.two_primaries of what follows the genlmsghdr.
pub fn two_primaries(body: &[u8]) -> Option<(Vec<u8>, bool)> {
    let field = |nest: u16, field: u16| {
        let (_, fields_of) = fields(&body[8..]).find(|(kind, _)| kind & 0x3fff == nest)?;
        fields(fields_of).find(|(kind, _)| kind & 0x3fff == field).map(|(_, value)| value.to_vec())
    };
    Some((field(2, 4)?, field(5, 24)? != [0]))
}

/// The peer's address of a resource: the captured one, with a port of the resource's own.
pub fn peer_address(resource: &Resource) -> Vec<u8> {
    let template = template_of_status();
    let (_, context) = fields(&template[28..]).find(|(kind, _)| kind & 0x3fff == 2).unwrap();
    let (_, address) = fields(context).find(|(kind, _)| kind & 0x3fff == 4).unwrap();
    let mut address = address.to_vec();
    let port = 7789 + resource.volumes.first().map_or(0, |volume| volume.minor);
    address[2..4].copy_from_slice(&u16::try_from(port).unwrap().to_be_bytes());
    address
}

/// What becomes of a field of the template.
enum Put {
    Keep,
    Drop,
    Value(Vec<u8>),
}

fn number(value: u32) -> Put {
    Put::Value(value.to_ne_bytes().into())
}

fn flag(value: bool) -> Put {
    Put::Value(vec![value.into()])
}

fn text(value: &str) -> Put {
    Put::Value([value.as_bytes(), b"\0"].concat())
}

/// The template with its fields replaced, and without the nests in `without`.
fn fill(template: &[u8], without: &[u16], put: impl Fn(u16, u16) -> Put) -> Vec<u8> {
    let mut body = Vec::new();
    for (nest, value) in fields(&template[28..]) {
        if without.contains(&(nest & 0x3fff)) {
            continue;
        }
        let mut inner = Vec::new();
        for (kind, value) in fields(value) {
            match put(nest & 0x3fff, kind & 0x3fff) {
                Put::Keep => inner.extend(field(kind, value)),
                Put::Drop => {}
                Put::Value(value) => inner.extend(field(kind, &value)),
            }
        }
        body.extend(field(nest, &inner));
    }
    body
}

fn answer(sequence: u32, command: u8, minor: u32, attributes: &[u8]) -> Vec<u8> {
    let header = [minor.to_ne_bytes(), 101_u32.to_ne_bytes()].concat();
    message(DRBD, 2, sequence, command, &[&header, attributes].concat())
}

/// An answer to GETFAMILY: without the lists of operations and groups.
pub fn family(sequence: u32, version: u32) -> Vec<u8> {
    let mut body = field(2, b"drbd\0");
    body.extend(field(1, &DRBD.to_ne_bytes()));
    body.extend(field(3, &version.to_ne_bytes()));
    body.extend(field(4, &8_u32.to_ne_bytes()));
    message(CONTROLLER, 0, sequence, 1, &body)
}

/// An answer of GET_RESOURCES.
pub fn resource(sequence: u32, resource: &Resource) -> Vec<u8> {
    let primary = resource.volumes.iter().any(|volume| volume.role == 1);
    let attributes = fill(&template_of_resource(), &[], |nest, kind| match (nest, kind) {
        (2, 2) => text(&resource.name),
        (15, 1) => number(if primary { 1 } else { 2 }),
        (15, 2..=4) => flag(resource.suspended[usize::from(kind) - 2]),
        (19, 1) => number(resource.write_ordering),
        _ => Put::Keep,
    });
    answer(sequence, GET_RESOURCES, u32::MAX, &attributes)
}

/// The answers of GET_STATUS about one resource.
pub fn statuses(sequence: u32, resource: &Resource) -> Vec<Vec<u8>> {
    if resource.volumes.is_empty() {
        return vec![status_without_volumes(sequence, resource)];
    }
    let each = |volume| status(sequence, resource, volume);
    resource.volumes.iter().map(each).collect()
}

fn status(sequence: u32, resource: &Resource, volume: &Volume) -> Vec<u8> {
    let mut without = Vec::new();
    without.extend((volume.disk == 0).then_some(3));
    without.extend((volume.conn == 0).then_some(5));
    let attributes = fill(&template_of_status(), &without, |nest, kind| {
        match (nest, kind) {
            (2, 1) => number(volume.number),
            (2, 2) => text(&resource.name),
            (2, 3 | 4) if volume.conn == 0 => Put::Drop,
            (2, 4) => Put::Value(peer_address(resource)),
            (3, 1 | 2) => text(&volume.backing),
            (3, 7) => number(resource.fencing),
            (3, kind) if volume.flags.contains_key(&kind) => flag(volume.flags[&kind]),
            (5, 6) => number(resource.protocol),
            (5, 24) => flag(resource.two_primaries),
            (8, 2) => number(volume.word()),
            // What only an attached disk has.
            (8, 7..=10) if volume.disk == 0 => Put::Drop,
            (8, 7) => {
                let uuids = [volume.current_uuid, volume.bitmap_uuid, 0, 0];
                Put::Value(uuids.map(u64::to_ne_bytes).concat())
            }
            _ => Put::Keep,
        }
    });
    answer(sequence, GET_STATUS, volume.minor, &attributes)
}

fn status_without_volumes(sequence: u32, resource: &Resource) -> Vec<u8> {
    let attributes = fill(&template_of_status(), &[3, 4, 5, 8], |nest, kind| match (nest, kind) {
        (2, 2) => text(&resource.name),
        _ => Put::Drop,
    });
    answer(sequence, GET_STATUS, u32::MAX, &attributes)
}

/// An answer to PRIMARY or SECONDARY: the request's CFG_CONTEXT comes back as it
/// was (drbd_adm_prepare), then a text, if any.
pub fn role_answer(sequence: u32, command: u8, request: &[u8], code: i32, info: Option<&str>) -> Vec<u8> {
    let mut body = [&request[..4], &code.to_ne_bytes()].concat();
    for (kind, value) in fields(&request[8..]).filter(|(kind, _)| kind & 0x3fff == 2) {
        body.extend(field(kind, value));
    }
    if let Some(info) = info {
        let text = field(0x4001, &[info.as_bytes(), b"\0"].concat());
        body.extend(field(1, &text));
    }
    message(DRBD, 0, sequence, command, &body)
}
