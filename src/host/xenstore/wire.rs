//! The messages of the xenstore protocol, as bytes (xen/include/public/io/xs_wire.h).
//!
//! Nothing here sends or receives.

use super::error::Cause;

/// The longest payload; xenstored drops the connection at a longer one (XENSTORE_PAYLOAD_MAX).
pub(super) const PAYLOAD_MAX: usize = 4096;
/// The length of `struct xsd_sockmsg`.
pub(super) const HEADER: usize = 16;
/// XENSTORE_ABS_PATH_MAX and XENSTORE_REL_PATH_MAX.
const ABSOLUTE_PATH_MAX: usize = 3072;
const RELATIVE_PATH_MAX: usize = 2048;
/// What xenstored takes relative paths to start from (docs/misc/xenstore.txt).
pub(super) const HOME: &str = "/local/domain/0/";

/// `enum xsd_sockmsg_type`, as far as it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Op {
    Directory = 1,
    Read = 2,
    Watch = 4,
    Unwatch = 5,
    TransactionStart = 6,
    TransactionEnd = 7,
    Write = 11,
    Rm = 13,
    DirectoryPart = 22,
}

/// Messages that only the daemon sends.
pub(super) const WATCH_EVENT: u32 = 15;
pub(super) const ERROR: u32 = 16;

/// A message from the daemon.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub kind: u32,
    pub request: u32,
    pub payload: Vec<u8>,
}

/// The bytes of a request.
pub(super) fn encode(op: Op, request: u32, transaction: u32, payload: &[u8]) -> Result<Vec<u8>, Cause> {
    let len = u32::try_from(payload.len()).ok().filter(|_| payload.len() <= PAYLOAD_MAX);
    let len = len.ok_or_else(|| too_long(payload.len(), PAYLOAD_MAX))?;
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    for field in [op as u32, request, transaction, len] {
        bytes.extend_from_slice(&field.to_ne_bytes());
    }
    bytes.extend_from_slice(payload);
    Ok(bytes)
}

/// Why a payload of `len` bytes is not sent.
pub(super) fn too_long(len: usize, limit: usize) -> Cause {
    Cause::Invalid(format!("a request of {len} bytes is over the limit of {limit}"))
}

/// Takes the first message off `bytes`, once all of it is there.
pub(super) fn take(bytes: &mut Vec<u8>) -> Result<Option<Message>, Cause> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let [kind, request, _transaction, len] = fields(header);
    let len = len as usize;
    if len > PAYLOAD_MAX {
        return Err(Cause::Protocol(format!(
            "xenstored sent a message of {len} bytes, over the limit of {PAYLOAD_MAX}"
        )));
    }
    let Some(payload) = rest.get(..len) else {
        return Ok(None);
    };
    let message = Message { kind, request, payload: payload.to_vec() };
    bytes.drain(..HEADER + len);
    Ok(Some(message))
}

fn fields(header: &[u8; HEADER]) -> [u32; 4] {
    let field = |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    [field(0), field(4), field(8), field(12)]
}

/// Strings that each end with a NUL: names, error, path and token of an event.
pub(super) fn strings(payload: &[u8]) -> Result<Vec<String>, Cause> {
    let Some(payload) = payload.strip_suffix(b"\0") else {
        return if payload.is_empty() { Ok(Vec::new()) } else { Err(unexpected("a string without an end")) };
    };
    let words = payload.split(|byte| *byte == 0).map(|word| String::from_utf8(word.to_vec()));
    words.collect::<Result<_, _>>().map_err(|_| unexpected("a name that is not text"))
}

/// The one string of an answer: an error's name, a transaction's number, "OK".
pub(super) fn string(payload: &[u8]) -> Result<String, Cause> {
    let payload = payload.strip_suffix(b"\0").unwrap_or(payload);
    match std::str::from_utf8(payload) {
        Ok(word) if !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            Ok(word.to_owned())
        }
        _ => Err(unexpected("an answer that is not a word")),
    }
}

/// A breach of the protocol by the daemon.
pub(super) fn unexpected(what: &str) -> Cause {
    Cause::Protocol(format!("xenstored sent {what}"))
}

/// Refuses what xenstored would refuse with nothing but EINVAL (is_valid_nodename).
pub(super) fn check_path(path: &str) -> Result<(), Cause> {
    let limit = if path.starts_with('/') { ABSOLUTE_PATH_MAX } else { RELATIVE_PATH_MAX };
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-/_@".contains(&byte);
    let why = if path.is_empty() {
        "the path is empty"
    } else if path.len() > limit {
        "the path is too long"
    } else if !path.bytes().all(allowed) {
        "the path has a character that xenstore does not allow"
    } else if path.contains("//") || (path.ends_with('/') && path != "/") {
        "the path has an empty component"
    } else {
        return Ok(());
    };
    Err(Cause::Invalid(why.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_four_words_and_the_payload() {
        let bytes = encode(Op::Write, 7, 9, b"a\0b").unwrap();
        let words: Vec<u32> =
            bytes[..16].chunks(4).map(|w| u32::from_ne_bytes(w.try_into().unwrap())).collect();
        assert_eq!(words, [11, 7, 9, 3]);
        assert_eq!(&bytes[16..], b"a\0b");
    }

    #[test]
    fn a_request_may_be_4096_bytes_and_no_more() {
        assert!(encode(Op::Write, 1, 0, &[b'x'; 4096]).is_ok());
        let refusal = encode(Op::Write, 1, 0, &[b'x'; 4097]).unwrap_err();
        assert_eq!(refusal.to_string(), "a request of 4097 bytes is over the limit of 4096");
    }

    #[test]
    fn a_message_is_taken_once_it_is_complete() {
        let whole = encode(Op::Read, 258, 0, b"value").unwrap();
        for cut in 0..whole.len() {
            let mut part = whole[..cut].to_vec();
            assert_eq!(take(&mut part), Ok(None));
            assert_eq!(part.len(), cut);
        }
        let mut two = [whole.clone(), whole[..3].to_vec()].concat();
        let message = take(&mut two).unwrap().unwrap();
        assert_eq!(message, Message { kind: 2, request: 258, payload: b"value".to_vec() });
        assert_eq!(two, whole[..3]);
    }

    #[test]
    fn a_message_over_the_limit_is_a_breach() {
        let mut bytes = [2u32, 1, 0, 4097].map(u32::to_ne_bytes).concat();
        assert!(matches!(take(&mut bytes), Err(Cause::Protocol(_))));
    }

    #[test]
    fn strings_end_with_a_nul() {
        assert_eq!(strings(b"").unwrap(), Vec::<String>::new());
        assert_eq!(strings(b"a\0bc\0").unwrap(), ["a", "bc"]);
        assert!(strings(b"a\0b").is_err());
        assert!(strings(b"\xff\0").is_err());
        assert_eq!(string(b"ENOENT\0").unwrap(), "ENOENT");
        assert!(string(b"no such\0").is_err());
        assert!(string(b"").is_err());
    }

    #[test]
    fn paths_are_checked_before_they_are_sent() {
        for good in ["/", "/a", "a/b-c_d@e", "/local/domain/0", "@releaseDomain", &"a".repeat(2048)] {
            assert_eq!(check_path(good), Ok(()), "{good}");
        }
        let long = format!("/{}", "a".repeat(3072));
        for bad in ["", "/a/", "//a", "a//b", "a b", "a\0b", "a.b", "ä", &"a".repeat(2049), &long] {
            assert!(check_path(bad).is_err(), "{bad}");
        }
    }
}
