//! Both nodes are up: DRBD connects them, xenstored and xl answer.

use crate::pair::Pair;
use anyhow::{Result, ensure};

pub fn run(pair: &Pair) -> Result<()> {
    pair.connect("r0")?;
    pair.both(|node| {
        node.drbd_is("r0", "cs:Connected ro:Secondary/Secondary ds:UpToDate/UpToDate C")?;
        let name = node.ok("xenstore-read /local/domain/0/name")?;
        ensure!(name.trim() == "Domain-0", "{}: xenstore says {name}", node.name);
        ensure!(node.ok("hostname")?.trim() == node.name, "the host name is wrong");
        node.has_no_guest()
    })
}
