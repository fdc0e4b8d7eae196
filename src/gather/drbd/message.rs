//! DRBD's frame around its attributes, the same in all generations: a header of
//! two numbers, then nests of fields.
//!
//! Pure. It must not know what a field means.

use crate::host::genl::{attribute, attributes, nest};
use anyhow::{Context, Result, anyhow};

/// "No minor" in the header.
pub const NO_MINOR: u32 = u32::MAX;

/// CFG_CONTEXT: which object the message is about.
const CFG_CONTEXT: u16 = 2;
/// CFG_CONTEXT.ctx_resource_name.
const CTX_RESOURCE_NAME: u16 = 2;
/// CFG_CONTEXT.ctx_my_addr and ctx_peer_addr.
const CTX_MY_ADDR: u16 = 3;
const CTX_PEER_ADDR: u16 = 4;
/// The longest resource name, without its NUL (drbd_genl.h: 128).
const NAME_MAX: usize = 127;

/// A message of the module.
pub struct Message<'a> {
    /// drbd_genlmsghdr.minor
    pub minor: u32,
    /// drbd_genlmsghdr.ret_code
    pub code: i32,
    nests: Vec<(u16, &'a [u8])>,
}

/// The fields of one nest.
pub struct Fields<'a> {
    nest: &'static str,
    fields: Vec<(u16, &'a [u8])>,
}

impl<'a> Message<'a> {
    /// Splits what follows the genlmsghdr.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        let (minor, rest) = bytes.split_first_chunk().context("drbd message without a header")?;
        let (code, rest) = rest.split_first_chunk().context("drbd message without a return code")?;
        let nests = list(rest).context("drbd message")?;
        Ok(Message { minor: u32::from_ne_bytes(*minor), code: i32::from_ne_bytes(*code), nests })
    }

    /// The first nest of this number, called `name` in errors.
    pub fn nest(&self, (kind, name): (u16, &'static str)) -> Result<Option<Fields<'a>>> {
        self.all((kind, name)).next().transpose()
    }

    /// Every nest of this number.
    pub fn all(&self, (kind, nest): (u16, &'static str)) -> impl Iterator<Item = Result<Fields<'a>>> {
        let values = self.nests.iter().filter(move |(number, _)| *number == kind);
        values.map(move |(_, bytes)| Ok(Fields { nest, fields: list(bytes).context(nest)? }))
    }
}

impl<'a> Fields<'a> {
    /// The value of a field.
    pub fn bytes(&self, (kind, _): (u16, &str)) -> Option<&'a [u8]> {
        self.fields.iter().find(|(number, _)| *number == kind).map(|(_, value)| *value)
    }

    /// A field that must be there, as a number.
    pub fn number(&self, field: (u16, &str)) -> Result<u32> {
        let value = self.present(field)?;
        let bytes = value.try_into().map_err(|_| self.wrong(field, value))?;
        Ok(u32::from_ne_bytes(bytes))
    }

    /// A field that must be there, as a yes or no.
    pub fn flag(&self, field: (u16, &str)) -> Result<bool> {
        match self.present(field)? {
            [value] => Ok(*value != 0),
            value => Err(self.wrong(field, value)),
        }
    }

    /// A field that must be there, as text up to its NUL.
    pub fn text(&self, field: (u16, &str)) -> Result<String> {
        let value = self.present(field)?;
        let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
        String::from_utf8(text.to_vec()).map_err(|_| self.wrong(field, value))
    }

    fn present(&self, field: (u16, &str)) -> Result<&'a [u8]> {
        self.bytes(field).ok_or_else(|| anyhow!("{} without {}", self.nest, field.1))
    }

    fn wrong(&self, field: (u16, &str), value: &[u8]) -> anyhow::Error {
        anyhow!("{}.{} has {} bytes that do not fit its type", self.nest, field.1, value.len())
    }
}

fn list(bytes: &[u8]) -> Result<Vec<(u16, &[u8])>> {
    attributes(bytes).collect::<Result<_, _>>().map_err(|error| anyhow!(error))
}

/// A connection by the two socket addresses that the module tells of it, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// ctx_my_addr
    pub mine: Vec<u8>,
    /// ctx_peer_addr
    pub peer: Vec<u8>,
}

/// A request of 8.4 about a connection, which must name neither a minor nor the resource
/// (drbd_nl.c, drbd_adm_prepare), with one field of a nest.
pub fn connection_request(connection: &Addresses, (kind, field): (u16, u16), value: u8) -> Result<Vec<u8>> {
    let flags = 0_u32;
    let mut bytes = [NO_MINOR.to_ne_bytes(), flags.to_ne_bytes()].concat();
    let mine = attribute(CTX_MY_ADDR, &connection.mine).context("our address is too long")?;
    let peer = attribute(CTX_PEER_ADDR, &connection.peer).context("the peer's address is too long")?;
    let option = attribute(field, &[value]).context("a field that is too long")?;
    for (kind, fields) in [(CFG_CONTEXT, [mine, peer].concat()), (kind, option)] {
        bytes.extend(nest(kind, &fields).context("a nest that is too long")?);
    }
    Ok(bytes)
}

/// A request about `minor`, with the resource's name for the module to filter or check by.
pub fn request(minor: u32, name: Option<&str>) -> Result<Vec<u8>> {
    let flags = 0_u32;
    let mut bytes = [minor.to_ne_bytes(), flags.to_ne_bytes()].concat();
    if let Some(name) = name {
        let fits = !name.is_empty() && name.len() <= NAME_MAX && !name.contains('\0');
        let field = Some([name.as_bytes(), b"\0"].concat()).filter(|_| fits);
        let field = field.and_then(|text| attribute(CTX_RESOURCE_NAME, &text));
        let context = field.and_then(|field| nest(CFG_CONTEXT, &field));
        bytes.extend(context.with_context(|| format!("not a resource name: {name:?}"))?);
    }
    Ok(bytes)
}
