//! The guest is destroyed at the source while it moves: it is gone on both nodes, and nothing is left.

use crate::block_lock;
use crate::moving::{self, RESOURCE};
use crate::node::LIMIT;
use crate::pair::Pair;
use crate::settled;
use anyhow::Result;

pub fn run(pair: &Pair) -> Result<()> {
    let guest = moving::guest_on_a(pair, "gone-sending")?;
    moving::begin(pair, &guest)?;
    pair.b.wait_until("receiving", "xl list | grep -q -- '--incoming'", LIMIT)?;
    pair.a.ok("xl destroy gone-sending")?;
    moving::fails(pair)?;
    settled::without_guest(pair, RESOURCE)?;
    pair.clean_up(&[RESOURCE])?;

    let guest = moving::guest_on_a(pair, "gone-in-window")?;
    moving::begin_and_stop_in_window(pair, &guest)?;
    pair.a.ok("xl destroy gone-in-window")?;
    block_lock::release(&pair.b)?;
    let (_, said) = moving::end(pair)?;
    // Whether the copy was let run before the source noticed is xl's decision; there is at most one.
    let on_b = pair.b.run("xl list gone-in-window")?.code == 0;
    println!("lab:   destroyed in the window: the copy {}", if on_b { "runs" } else { "is gone, too" });
    match on_b {
        true => settled::with_guest(pair, &pair.b, guest.name, RESOURCE)
            .and_then(|()| moving::destroy(pair, &guest, &pair.b)),
        false => settled::without_guest(pair, RESOURCE),
    }
    .map_err(|error| error.context(said))
}
