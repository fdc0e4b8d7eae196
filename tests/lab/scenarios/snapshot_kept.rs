//! The link is lost in the middle of a resync, again and again: the LVM snapshot of what was there
//! before the first one stays as it is until the resync has ended.
//!
//! The disk is Inconsistent by then, and the snapshot is the only copy on this node that is whole.

use crate::drbd::LVM_DISK;
use crate::flushes::{self, Records};
use crate::handled;
use crate::node::{LIMIT, Node};
use crate::pair::Pair;
use anyhow::{Result, bail, ensure};
use std::ops::RangeInclusive;

const RESOURCE: &str = "lv";

/// What both nodes have, and what only b has when the resync begins.
const OLD: RangeInclusive<u64> = 1..=7;
const NEW: RangeInclusive<u64> = 8..=400;

/// No udev makes the device nodes here. Without the filter LVM opens each DRBD device, too.
const LVM: &str = "activation { udev_sync = 0 udev_rules = 0 }\n\
     devices { filter = [ \"a|^/dev/vdo$|\", \"r|.*|\" ] obtain_device_list_from_udev = 0 }\n";

/// The resync takes about half a minute so, and is cut before that.
const SLOW: &str = "--resync-rate=50k";
const FAST: &str = "--resync-rate=100M";

pub fn run(pair: &Pair) -> Result<()> {
    let (a, b) = (&pair.a, &pair.b);
    pair.both(make_volume)?;
    handled::install(pair, "[handlers]\nsnapshot-percent = 50\n")?;
    pair.connect(RESOURCE)?;
    b.ok(&format!("drbdadm primary {RESOURCE}"))?;
    flushes::write(b, RESOURCE, OLD)?;
    cut(pair, "UpToDate")?;
    flushes::write(b, RESOURCE, NEW)?;
    pair.both(|node| flushes::disk_options(node, RESOURCE, SLOW))?;

    let snapshot = resync_and_cut(pair, 1)?;
    for count in 2..=3 {
        let now = resync_and_cut(pair, count)?;
        ensure!(now == snapshot, "the snapshot was {snapshot}, and resync {count} has left {now}");
    }

    pair.both(|node| flushes::disk_options(node, RESOURCE, FAST))?;
    pair.link.restore();
    flushes::are_equal(pair, RESOURCE)?;
    handled::wait_for(a, RESOURCE, "after-resync-target", 1)?;
    handled::answered(a, RESOURCE, "after-resync-target", 0)?;
    ensure!(snapshots(a)?.is_empty(), "the snapshot is there after the resync: {}", snapshots(a)?);
    handled::tell_times(pair, RESOURCE)
}

fn make_volume(node: &Node) -> Result<()> {
    node.put("/etc/lvm/lvmlocal.conf", LVM.as_bytes())?;
    node.ok(&format!(
        "/sbin/modprobe -a dm-mod dm-snapshot
         /sbin/lvs lab/lv || {{ /sbin/pvcreate /dev/{LVM_DISK} && /sbin/vgcreate lab /dev/{LVM_DISK} &&
           /sbin/lvcreate --yes --extents 8 --name lv lab; }}
         /sbin/lvremove --yes --select 'origin=lv'
         dd if=/dev/zero of=/dev/lab/lv bs=1M oflag=direct status=none || true"
    ))?;
    Ok(())
}

fn cut(pair: &Pair, disk: &str) -> Result<()> {
    pair.link.cut();
    pair.b.wait_for_drbd(RESOURCE, "cs:WFConnection ")?;
    pair.a.wait_for_drbd(RESOURCE, &format!("cs:WFConnection ro:Secondary/Unknown ds:{disk}/DUnknown"))
}

/// Lets a resync overwrite something more on a, and cuts it. Returns the snapshot, which must hold what was there
/// before the first resync.
fn resync_and_cut(pair: &Pair, count: usize) -> Result<String> {
    let a = &pair.a;
    let before = on(a, "lab/lv")?;
    pair.link.restore();
    handled::wait_for(a, RESOURCE, "before-resync-target", count)?;
    handled::answered(a, RESOURCE, "before-resync-target", 0)?;
    let more = format!("[ $({} | wc -l) -gt {} ]", find("lab/lv"), before.len());
    a.wait_until("overwritten a little more", &more, LIMIT)?;
    cut(pair, "Inconsistent")?;
    let snapshot = snapshots(a)?;
    let [name, _] = snapshot.split_whitespace().collect::<Vec<_>>()[..] else {
        bail!("there is not one snapshot after resync {count}: {snapshot:?}");
    };
    let held = on(a, &format!("lab/{name}"))?;
    ensure!(held == OLD.collect(), "the snapshot after resync {count} holds {held:?}");
    Ok(snapshot)
}

/// The records on a device of the node.
fn on(node: &Node, device: &str) -> Result<Records> {
    let found = node.ok(&find(device))?;
    Ok(found.lines().map(str::parse).collect::<Result<_, _>>()?)
}

fn find(device: &str) -> String {
    format!("dd if=/dev/{device} iflag=direct bs=64k status=none | /lab/agent find")
}

/// One line a snapshot: its name and LVM's UUID of it.
fn snapshots(node: &Node) -> Result<String> {
    let list = node.ok("/sbin/lvs --noheadings --options lv_name,lv_uuid --select 'origin=lv'")?;
    Ok(list.trim().to_owned())
}
