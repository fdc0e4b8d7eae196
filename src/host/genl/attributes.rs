//! Netlink attributes: reading them out of bytes and writing them.
//!
//! Pure. It must not know what any attribute means.

use netlink_packet_core::{NLA_F_NESTED, NLA_HEADER_SIZE, NlasIterator};

/// The attributes in `bytes`: type without its flag bits, and value.
///
/// One that is cut short or lies about its length is an error and the last item.
pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = Result<(u16, &[u8]), String>> {
    NlasIterator::new(bytes).map(|attribute| {
        let attribute = attribute.map_err(|error| error.to_string())?;
        let (kind, length) = (attribute.kind(), usize::from(attribute.length()));
        let value = attribute.into_inner().get(NLA_HEADER_SIZE..length);
        Ok((kind, value.ok_or("attribute is shorter than its header")?))
    })
}

/// One attribute as it goes over the wire, padded; `None` if the value is too long for one.
///
/// `kind` must not have bit 14: the kernel reads it as "network byte order".
pub fn attribute(kind: u16, value: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(NLA_HEADER_SIZE + value.len()).ok()?;
    let mut bytes = Vec::with_capacity(usize::from(length).next_multiple_of(4));
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    Some(bytes)
}

/// An attribute whose value is made of attributes, marked so: kernels since
/// 5.2 answer EINVAL to one that is not (`nla_parse_nested` with strict validation).
pub fn nest(kind: u16, attributes: &[u8]) -> Option<Vec<u8>> {
    attribute(kind | NLA_F_NESTED, attributes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_without_flags() {
        let inner = attribute(2, b"abc\0").unwrap();
        let outer = nest(7, &inner).unwrap();
        assert_eq!(outer[2..4], 0x8007_u16.to_ne_bytes());
        assert_eq!(attributes(&outer).collect::<Result<Vec<_>, _>>(), Ok(vec![(7, &inner[..])]));
    }

    #[test]
    fn values_are_padded_to_four_bytes() {
        assert_eq!(attribute(1, &[9]).unwrap(), [5, 0, 1, 0, 9, 0, 0, 0]);
    }

    #[test]
    fn lengths_that_lie_are_errors() {
        for lie in [0_u16, 3, 9, 0xffff] {
            let mut bytes = attribute(1, &[1, 2, 3, 4]).unwrap();
            bytes[..2].copy_from_slice(&lie.to_ne_bytes());
            assert!(attributes(&bytes).next().unwrap().is_err(), "{lie}");
        }
    }

    #[test]
    fn a_value_too_long_for_an_attribute_is_none() {
        assert_eq!(attribute(1, &[0; 65532]), None);
    }
}
