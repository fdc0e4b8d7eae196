//! The replication link breaks while a guest moves: before both nodes are Primary,
//! while they are, and after the guest runs on the target.
//!
//! The memory comes over the management network, so that xl sees nothing of it.

use super::orphan_released::{hold_device, let_go};
use crate::block_lock;
use crate::moving::{self, RESOURCE};
use crate::node::LIMIT;
use crate::pair::Pair;
use crate::settled;
use anyhow::{Result, ensure};

pub fn run(pair: &Pair) -> Result<()> {
    before(pair)?;
    pair.clean_up(&[RESOURCE])?;
    inside(pair)?;
    pair.clean_up(&[RESOURCE])?;
    after(pair)
}

fn cut(pair: &Pair) -> Result<()> {
    pair.link.cut();
    pair.both(|node| node.wait_for_drbd(RESOURCE, "cs:WFConnection "))
}

/// The target cannot know what the source does: it refuses, and the guest goes on at the source.
fn before(pair: &Pair) -> Result<()> {
    let guest = moving::guest_on_a(pair, "cut-before")?;
    cut(pair)?;
    moving::begin(pair, &guest)?;
    moving::fails(pair)?;
    settled::with_guest(pair, &pair.a, guest.name, RESOURCE)?;
    ensure!(moving::reconnect(pair, RESOURCE)?, "both halves have been written to");
    moving::destroy(pair, &guest, &pair.a)
}

/// Both are Primary, and neither sees the other: the target steps back.
fn inside(pair: &Pair) -> Result<()> {
    let guest = moving::guest_on_a(pair, "cut-inside")?;
    moving::begin_and_stop_in_window(pair, &guest)?;
    cut(pair)?;
    block_lock::release(&pair.b)?;
    moving::fails(pair)?;
    ensure!(moving::reconnect(pair, RESOURCE)?, "both halves have been written to");
    settled::with_guest(pair, &pair.a, guest.name, RESOURCE)?;
    moving::destroy(pair, &guest, &pair.a)
}

/// The guest runs on the target, and the source has not demoted yet: it does when it can, and the
/// two find each other again without a difference.
fn after(pair: &Pair) -> Result<()> {
    let guest = moving::guest_on_a(pair, "cut-after")?;
    hold_device(&pair.a, RESOURCE)?;
    moving::begin(pair, &guest)?;
    let runs = format!("xl list | grep -q '^{} .*-b----\\|^{} .*r-----'", guest.name, guest.name);
    pair.b.wait_until("with the guest running", &runs, LIMIT)?;
    cut(pair)?;
    let_go(&pair.a)?;
    moving::end(pair)?;
    ensure!(moving::reconnect(pair, RESOURCE)?, "both halves have been written to");
    settled::with_guest(pair, &pair.b, guest.name, RESOURCE)?;
    moving::destroy(pair, &guest, &pair.b)
}
