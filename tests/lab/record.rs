//! The records that writers put on a replicated disk, one flush each.
//!
//! The harness, dom0's writer and the guest compile this one file. A record is a
//! block whose every byte depends on its number, at a place of its own: whether
//! an image has a record can be seen in the image alone.

use std::collections::BTreeSet;

/// The size of a record: a page, so that the page cache writes it as one.
pub const SIZE: usize = 4096;

/// How many records there is room for.
pub const ROOM: u64 = EXTENTS * (EXTENT / SIZE as u64) - 1;

/// What one entry of DRBD's activity log covers.
const EXTENT: u64 = 4 << 20;

/// Neighbouring records lie in different extents.
const EXTENTS: u64 = 7;

/// Where the record lies on the disk.
pub fn offset(number: u64) -> u64 {
    number % EXTENTS * EXTENT + number / EXTENTS * SIZE as u64
}

/// The whole block.
pub fn block(number: u64) -> Vec<u8> {
    let line = format!("record {number}\n").into_bytes();
    line.iter().copied().cycle().take(SIZE).collect()
}

/// The records that an image of the disk holds whole and in their places.
pub fn found(image: &[u8]) -> BTreeSet<u64> {
    within(image, 0).collect()
}

/// The records in bytes that lie at this offset of the disk.
pub fn within(bytes: &[u8], offset: usize) -> impl Iterator<Item = u64> {
    // A record cut at the start or end is none.
    let skip = offset.next_multiple_of(SIZE) - offset;
    let blocks = bytes.get(skip..).unwrap_or_default().chunks_exact(SIZE);
    blocks.enumerate().filter_map(move |(index, block)| at(block, offset + skip + index * SIZE))
}

fn at(bytes: &[u8], place: usize) -> Option<u64> {
    let line = bytes.strip_prefix(b"record ")?.split(|&byte| byte == b'\n').next()?;
    let number = std::str::from_utf8(line).ok()?.parse().ok()?;
    (number <= ROOM && offset(number) == place as u64 && bytes == block(number)).then_some(number)
}
