//! A layer that drops flushes although a disk below it needs them.
//!
//! The block layer removes a flush, with success, at every queue that says
//! "write through" (block/blk-core.c:742-753). A hand, or a udev rule, can write
//! that into a queue without changing anything in the drive. What was written as
//! "temporary write through" into scsi_disk/*/cache_type cannot be seen: it
//! changes the only place that tells.

use super::side::Side;
use super::{Check, Group, Judgement, Lowering, Rule, Severity, refuse, unknown};
use crate::facts::Known;
use crate::facts::storage::{Device, WriteCache, stack, volatile_below};

/// The rule.
pub const RULE: Rule = Rule {
    id: "cache-view",
    group: Group::Durability,
    severity: Severity::Refuse,
    lowering: Lowering::Anywhere,
    reason: "a queue that claims write through over a cache that is not drops every flush with success: what the guest has flushed is gone at the next power cut (shown by the lab: flush-lost-cache-view)",
    remedy: "write \"write back\" into queue/write_cache of the device, and remove the udev rule that set it",
    check: Check::Side(check),
};

/// The first kernel with queue/write_cache (Linux 4.7): before it no hand could set it apart from the drive.
const CAN_BE_SET: [u32; 3] = [4, 7, 0];

fn check(side: &Side) -> Judgement {
    if !side.has_disk() {
        return Judgement::Pass;
    }
    let drbd = format!("drbd{}", side.volume.minor);
    let roots = [Some(&drbd), side.volume.data.value(), side.volume.meta.value()];
    let mut unreadable = None;
    for root in roots.into_iter().flatten() {
        let stack = stack(side.devices, root);
        unreadable = unreadable.or(stack.unknown);
        let volatile = volatile_below(side.devices, root);
        for (name, device) in stack.found {
            match drops_flushes(volatile.get(name).copied(), device) {
                Drops::Nothing => {}
                Drops::All(why) => return weak(side, name, &why),
                Drops::Unknown(why) => unreadable = Some(why),
            }
        }
    }
    match unreadable {
        Some(why) if side.kernel().is_none_or(|kernel| kernel >= CAN_BE_SET) => unknown(
            &format!("whether every layer below {drbd} on {} passes a flush on", side.name),
            &why,
            "make /sys/block readable".into(),
        ),
        _ => Judgement::Pass,
    }
}

fn weak(side: &Side, name: &str, why: &str) -> Judgement {
    let remedy = match why {
        FILE => format!("on {} mount its file system with barriers", side.name),
        _ => format!(
            "on {} run: echo \"write back\" > /sys/block/{name}/queue/write_cache, and remove the udev rule that set it",
            side.name
        ),
    };
    refuse(format!("{name} on {} drops the flushes of {}: {why}", side.name, side.resource.name), remedy)
        .about(name)
}

enum Drops {
    Nothing,
    All(String),
    Unknown(String),
}

const FILE: &str = "its file's file system is mounted without barriers";

/// What a device does to a flush, where a disk below it, or it itself, needs one.
fn drops_flushes(disk: Option<&str>, device: &Device) -> Drops {
    let Some(disk) = disk else { return Drops::Nothing };
    if let Some(file) = &device.file {
        match &file.flushes {
            Known::Is(true) => {}
            Known::Is(false) => return Drops::All(FILE.into()),
            Known::Unknown(why) => return Drops::Unknown(why.clone()),
        }
    }
    match &device.write_cache {
        Known::Is(WriteCache::WriteBack) => Drops::Nothing,
        Known::Is(WriteCache::WriteThrough) => {
            Drops::All(format!("its queue claims write through, and the cache of {disk} is volatile"))
        }
        // A partition has the queue of its disk.
        Known::Unknown(_) if device.kind == crate::facts::storage::DeviceKind::Partition => Drops::Nothing,
        Known::Unknown(why) => Drops::Unknown(why.clone()),
    }
}
