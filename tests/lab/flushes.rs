//! What the scenarios about flushes share: to write records, to find them, and
//! to ask a drive's history whether an acknowledgement was worth anything.

use crate::drbd;
use crate::drive::Event;
use crate::node::{LIMIT, Node};
use crate::pair::Pair;
use crate::record;
use anyhow::{Result, ensure};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// Numbers of records.
pub type Records = BTreeSet<u64>;

/// Writes them from dom0, each with its flush; when this returns, all are acknowledged.
pub fn write(node: &Node, resource: &str, numbers: RangeInclusive<u64>) -> Result<()> {
    let (first, last) = numbers.into_inner();
    node.ok(&format!("/lab/agent write /dev/drbd{} {first} {last}", drbd::minor(resource)))?;
    Ok(())
}

/// What the device holds; the node must be Primary.
pub fn find(node: &Node, resource: &str) -> Result<Records> {
    let numbers = node.ok(&format!(
        "set -o pipefail; dd if=/dev/drbd{} iflag=direct bs=64k status=none | /lab/agent find",
        drbd::minor(resource)
    ))?;
    Ok(numbers.lines().map(str::parse).collect::<Result<_, _>>()?)
}

/// Which of the records are not there.
pub fn missing(numbers: RangeInclusive<u64>, found: &Records) -> Vec<u64> {
    numbers.filter(|number| !found.contains(number)).collect()
}

/// Changes disk options of a running resource, on one node only.
pub fn disk_options(node: &Node, resource: &str, options: &str) -> Result<()> {
    node.ok(&format!("drbdsetup disk-options {} {options}", drbd::minor(resource)))?;
    Ok(())
}

/// Makes the other node Primary, in order, and returns what it holds.
pub fn hand_over(from: &Node, to: &Node, resource: &str) -> Result<Records> {
    from.ok(&format!("drbdadm secondary {resource}"))?;
    to.ok(&format!("drbdadm primary {resource}"))?;
    find(to, resource)
}

/// Switches the node on and the resource up; returns once DRBD calls both copies good.
pub fn come_back(pair: &Pair, node: &Node, resource: &str) -> Result<()> {
    node.power_on()?;
    node.wait_for_boot()?;
    join(pair, node, resource)
}

/// Brings the resource up; returns once DRBD calls both copies good.
pub fn join(pair: &Pair, node: &Node, resource: &str) -> Result<()> {
    node.ok(&format!("drbdadm up {resource}"))?;
    are_equal(pair, resource)
}

/// Waits until DRBD calls both copies good and knows of no block that differs: both in one look,
/// because a node that has just connected is called UpToDate for a moment, until the
/// bitmaps are compared.
pub fn are_equal(pair: &Pair, resource: &str) -> Result<()> {
    let minor = drbd::minor(resource);
    let equal =
        format!("grep -A1 '^ *{minor}: cs:Connected .* ds:UpToDate/UpToDate ' /proc/drbd | grep -q 'oos:0$'");
    pair.both(|node| node.wait_until(&format!("{resource} equal on both nodes"), &equal, LIMIT))
}

/// What a drive's history says.
pub struct Audit {
    /// How many flushes reached the drive.
    pub flushes: usize,
    /// The last record that was written. The one before it had been acknowledged by then.
    pub last: u64,
    /// A record that was acknowledged and not on the medium at some moment.
    pub lost: Option<u64>,
}

/// Goes through the history of the Primary's drive, flush by flush.
///
/// Every writer waits for the acknowledgement of one record before it writes the
/// next. So when a record comes to the drive, all before it, from `first` on,
/// are acknowledged, and the medium must hold them at that moment.
pub fn audit(history: &[Event], size: usize, first: u64) -> Audit {
    let mut medium = vec![0; size];
    let mut cache = Vec::new();
    let mut durable = Records::new();
    let mut audit = Audit { flushes: 0, last: 0, lost: None };
    for event in history {
        match event {
            Event::Write(offset, data) => {
                cache.push((*offset, data));
                for number in record::within(data, *offset).filter(|number| *number >= first) {
                    audit.last = audit.last.max(number);
                    audit.lost = audit.lost.or_else(|| (first..number).find(|n| !durable.contains(n)));
                }
            }
            Event::Flush => {
                audit.flushes += 1;
                for (offset, data) in cache.drain(..) {
                    medium[offset..offset + data.len()].copy_from_slice(data);
                }
                durable = record::found(&medium);
            }
        }
    }
    audit
}

/// Asserts that acknowledged records are gone, which is what such a scenario proves.
pub fn are_lost(what: &str, numbers: RangeInclusive<u64>, found: &Records) -> Result<()> {
    let count = numbers.clone().count();
    let lost = missing(numbers, found);
    println!("lab:   {what}: {} of {count} acknowledged records are lost", lost.len());
    ensure!(!lost.is_empty(), "{what}: nothing is lost");
    Ok(())
}

/// Asserts that no acknowledged record is gone.
pub fn are_kept(what: &str, numbers: RangeInclusive<u64>, found: &Records) -> Result<()> {
    let count = numbers.clone().count();
    let lost = missing(numbers, found);
    println!("lab:   {what}: all of {count} acknowledged records but {}", lost.len());
    ensure!(lost.is_empty(), "{what}: lost are {lost:?}");
    Ok(())
}
