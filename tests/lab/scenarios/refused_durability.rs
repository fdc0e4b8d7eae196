//! Whatever would lose a flushed write is refused before blkback attaches, with
//! the rule in the sentence that xl prints; once mended, the same guest starts.
//!
//! That each of these does lose one is shown by the scenarios `flush-lost-*`.

use crate::drbd;
use crate::drive::Fault;
use crate::flushes;
use crate::guest::Guest;
use crate::node::Node;
use crate::pair::Pair;
use anyhow::{Result, ensure};

const RESOURCE: &str = "r4";

pub fn write_order_none(pair: &Pair) -> Result<()> {
    options(
        pair,
        "write-order-none",
        "--disk-flushes=no --disk-drain=no",
        "--disk-flushes=yes --disk-drain=yes",
    )
}

pub fn write_order_drain(pair: &Pair) -> Result<()> {
    options(pair, "write-order-drain", "--disk-flushes=no", "--disk-flushes=yes")
}

pub fn md_flushes_off(pair: &Pair) -> Result<()> {
    options(pair, "md-flushes-off", "--md-flushes=no", "--md-flushes=yes")
}

pub fn al_updates_off(pair: &Pair) -> Result<()> {
    options(pair, "al-updates-off", "--al-updates=no", "--al-updates=yes")
}

/// A disk option of the running DRBD, set wrong and set right.
fn options(pair: &Pair, rule: &str, wrong: &str, right: &str) -> Result<()> {
    let set = |options: &str| format!("drbdsetup disk-options {} {options}", drbd::minor(RESOURCE));
    refused_until_mended(pair, rule, &set(wrong), &set(right))
}

pub fn cache_view(pair: &Pair) -> Result<()> {
    let disk = drbd::disk(RESOURCE);
    let set = |word: &str| format!("echo '{word}' > /sys/block/{disk}/queue/write_cache");
    refused_until_mended(pair, "cache-view", &set("write through"), &set("write back"))
}

pub fn protocol(pair: &Pair) -> Result<()> {
    let port = drbd::port(RESOURCE);
    let set = |letter| format!("drbdsetup net-options 10.0.0.1:{port} 10.0.0.2:{port} --protocol={letter}");
    refused_until_mended(pair, "protocol", &set('A'), &set('C'))
}

/// A disk that failed one flush while it received: attached anew, it is trusted again.
pub fn write_order_downgraded(pair: &Pair) -> Result<()> {
    let (a, b) = (&pair.a, &pair.b);
    pair.connect_erased("f0")?;
    b.ok("drbdadm primary f0")?;
    a.drive("vdk").begin_at(1, Fault::FailNextFlush);
    flushes::write(b, "f0", 1..=1)?;
    a.wait_for_counters("f0", "wo:d ")?;
    b.ok("drbdadm secondary f0")?;
    is_refused(a, "refused-write-order-downgraded", "f0", "write-order-downgraded")?;
    a.ok("drbdadm detach f0 && drbdadm attach f0")?;
    flushes::are_equal(pair, "f0")?;
    starts(pair, "mended-write-order-downgraded", "f0")
}

pub fn diskless(pair: &Pair) -> Result<()> {
    let wrong = format!("drbdadm detach {RESOURCE}");
    let right = format!("drbdadm attach {RESOURCE}");
    refused_until_mended(pair, "diskless", &wrong, &right)
}

fn refused_until_mended(pair: &Pair, rule: &str, wrong: &str, right: &str) -> Result<()> {
    pair.connect(RESOURCE)?;
    pair.a.ok(wrong)?;
    let name = format!("refused-{rule}");
    let refused = is_refused(&pair.a, &name, RESOURCE, rule);
    pair.a.ok(right)?;
    refused?;
    pair.a.wait_for_drbd(RESOURCE, "ds:UpToDate/UpToDate ")?;
    starts(pair, &format!("mended-{rule}"), RESOURCE)
}

fn starts(pair: &Pair, name: &str, resource: &str) -> Result<()> {
    let guest = Guest::new(name, "raw", resource);
    guest.create(&pair.a)?;
    guest.wait_for(&pair.a, "done")?;
    guest.wait_until_gone(&pair.a)
}

fn is_refused(node: &Node, name: &str, resource: &str, rule: &str) -> Result<()> {
    let check = node.run(&format!("/etc/xen/scripts/block-drbd check {resource}"))?;
    let told = check.text();
    ensure!(check.code == 1 && told.contains(&format!("[{rule}]")), "the dry run had not said so: {told}");
    let said = Guest::new(name, "raw", resource).create_is_refused(node)?;
    // libxl prints `script: SENTENCE`.
    let sentence = said.lines().find(|line| line.contains("script: ")).unwrap_or_default();
    ensure!(sentence.contains(&format!("[{rule}]")), "xl does not name the rule: {said}");
    println!("lab: {}", sentence.trim());
    node.drbd_is(resource, "ro:Secondary/")?;
    node.has_no_guest()
}
