//! The `xl migrate` of the source is killed: while memory is sent, and while both
//! nodes are Primary.
//!
//! In the first case the guest runs on. In the second it is suspended for ever,
//! because nobody is left who would resume it or let the copy run; an
//! administrator destroys it. In neither may the target stay Primary.

use crate::block_lock;
use crate::moving::{self, RESOURCE};
use crate::node::LIMIT;
use crate::pair::Pair;
use crate::settled;
use anyhow::Result;

pub fn run(pair: &Pair) -> Result<()> {
    let guest = moving::guest_on_a(pair, "killed-sending")?;
    moving::begin(pair, &guest)?;
    pair.b.wait_until("receiving", "xl list | grep -q -- '--incoming'", LIMIT)?;
    kill(pair)?;
    settled::with_guest(pair, &pair.a, guest.name, RESOURCE)?;
    moving::destroy(pair, &guest, &pair.a)?;
    pair.clean_up(&[RESOURCE])?;

    let guest = moving::guest_on_a(pair, "killed-in-window")?;
    moving::begin_and_stop_in_window(pair, &guest)?;
    kill(pair)?;
    block_lock::release(&pair.b)?;
    settled::is_free(&pair.b, RESOURCE)?;
    moving::destroy(pair, &guest, &pair.a)
}

/// With all that it has started: what it had sent to ends of connections ends with them.
fn kill(pair: &Pair) -> Result<()> {
    pair.a.ok(
        "kill -KILL $(ps | grep -E 'xl migrate|libxl-save-helper' | grep -v grep | awk '{ print $1 }')",
    )?;
    Ok(())
}
