//! Both networks break when everything of a guest has arrived but the word that it may run.
//!
//! Found by the campaign (SEED=1, round 51): the half on the target stands still for as long as xl
//! there waits for that word, and its node stays Primary, as the source is. It ends the window alone,
//! and must not forget why it is Primary; nor may it take the half, when it is gone, for a guest that
//! has written here without the peer and may be started again.

use crate::block_lock;
use crate::guest::Guest;
use crate::moving::{self, RESOURCE};
use crate::node::{LIMIT, Node};
use crate::pair::Pair;
use crate::settled;
use anyhow::{Result, ensure};

const LOOKS: &str = "/run/lab-looks";

pub fn run(pair: &Pair) -> Result<()> {
    let guest = moving::guest_on_a(pair, "networks-cut")?;
    arrives_and_waits(pair, &guest)?;
    watch(&pair.b)?;
    pair.link.cut();
    pair.management.cut();
    pair.both(|node| node.wait_for_drbd(RESOURCE, "cs:WFConnection "))?;

    let one = format!("! drbdsetup show {RESOURCE} | grep -q 'allow-two-primaries.*yes'");
    pair.b.wait_until("allowing one Primary again", &one, LIMIT)?;
    let looked = looks(&pair.b)?;
    let more = format!("[ $(wc -l <{LOOKS}) -ge {} ]", looked + 20);
    pair.b.wait_until("looked at twenty times more", &more, LIMIT)?;
    let wrong = pair.b.run(&format!("grep -m 1 without {LOOKS}"))?;
    ensure!(wrong.code != 0, "the half on b had no window on record: {}", wrong.text());
    let said = pair.b.run("block-drbd status")?.text();
    ensure!(said.contains("--incoming") && said.contains("window ended"), "status: {said}");

    pair.b.ok("rm -f /run/lab-watch; kill -KILL $(pidof xl); xl destroy networks-cut--incoming")?;
    settled::is_free(&pair.b, RESOURCE)?;
    let said = guest.create_is_refused(&pair.b)?;
    ensure!(said.contains("[peer-unfenced]"), "xl does not name the rule: {said}");
    pair.a.ok("kill -KILL $(pidof xl); xl destroy networks-cut")?;
    pair.management.restore();
    ensure!(moving::reconnect(pair, RESOURCE)?, "both halves have been written to");
    settled::without_guest(pair, RESOURCE)
}

/// The target has everything, xl at the source does not get to say that it may run there, and xl at
/// the target does not notice: with ssh between them that is so until TCP gives up.
fn arrives_and_waits(pair: &Pair, guest: &Guest) -> Result<()> {
    moving::begin_and_stop_in_window(pair, guest)?;
    pair.a.ok("kill -STOP $(pidof xl)")?;
    block_lock::release(&pair.b)?;
    let connected = "xenstore-ls /local/domain/0/backend/vbd | grep -q 'hotplug-status = \"connected\"'";
    pair.b.wait_until("with the disk", connected, LIMIT)?;
    pair.b.ok("kill -STOP $(pidof xl)").map(drop)
}

/// Notes twice a second what this node knows of the half that it is Primary for. The record is read
/// first: it is there before the half, and goes after it.
fn watch(node: &Node) -> Result<()> {
    let (window, primary) = (moving::window_of(RESOURCE), settled::is_primary(RESOURCE));
    node.ok(&format!(
        "rm -f {LOOKS}; touch /run/lab-watch
         ( while [ -e /run/lab-watch ]; do
             word=without; {window} && word=with
             {primary} && xl list | grep -q -- --incoming && echo half $word a window >>{LOOKS}
             sleep 0.5
           done ) >/dev/null 2>&1 &"
    ))?;
    node.wait_until("looked at", &format!("[ -s {LOOKS} ]"), LIMIT)
}

fn looks(node: &Node) -> Result<u64> {
    Ok(node.ok(&format!("wc -l <{LOOKS}"))?.trim().parse()?)
}
