//! `add` is killed after it has promoted, as libxl does when its patience ends:
//! the `remove` that xl runs to clean up demotes.

use crate::block_lock;
use crate::guest::Guest;
use crate::node::LIMIT;
use crate::pair::Pair;
use anyhow::{Result, ensure};

pub fn run(pair: &Pair) -> Result<()> {
    let a = &pair.a;
    pair.connect("r1")?;
    let create = Guest::new("killed-add", "stay", "r1").command(a)?;
    block_lock::hold(a)?;
    a.ok(&format!(
        "rm -f /run/lab-create-code
         ( {create}; echo $? >/run/lab-create-code ) >/run/lab-create 2>&1 &"
    ))?;
    a.wait_for_drbd("r1", "ro:Primary/Secondary")?;
    a.ok("kill -KILL $(pidof block-drbd)")?;
    block_lock::release(a)?;

    a.wait_until("done with xl create", "[ -s /run/lab-create-code ]", LIMIT)?;
    let code = a.ok("cat /run/lab-create-code")?;
    let said = a.ok("cat /run/lab-create")?;
    ensure!(code.trim() != "0", "xl create succeeded without its disk: {said}");
    ensure!(said.contains("fatal signal Killed"), "the add did not end by our signal: {said}");
    a.wait_for_drbd("r1", "ro:Secondary/Secondary")?;
    a.has_no_guest()
}
