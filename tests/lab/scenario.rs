//! The list of scenarios, and what one is.

use crate::pair::Pair;
use crate::scenarios as s;
use anyhow::Result;

/// Something that must hold on real machines.
pub struct Scenario {
    /// How it is called on the command line.
    pub name: &'static str,
    /// What it uses; down before it starts and after it ends.
    pub resources: &'static [&'static str],
    /// Whether it needs the binary under test.
    pub ours: bool,
    /// Whether it runs when no scenario is named.
    pub essential: bool,
    /// Does it and asserts.
    pub run: fn(&Pair) -> Result<()>,
}

const fn lab(
    name: &'static str,
    resources: &'static [&'static str],
    run: fn(&Pair) -> Result<()>,
) -> Scenario {
    Scenario { name, resources, ours: false, essential: true, run }
}

const fn ours(
    name: &'static str,
    resources: &'static [&'static str],
    run: fn(&Pair) -> Result<()>,
) -> Scenario {
    Scenario { name, resources, ours: true, essential: true, run }
}

/// The same, only for `make lab-all`: another scenario shows nearly as much, or it takes long.
const fn extra(scenario: Scenario) -> Scenario {
    Scenario { essential: false, ..scenario }
}

/// `make demo`.
pub const DEMO: Scenario = ours("demo", &["r1"], crate::demo::run);

/// `make bench`.
pub const BENCH: Scenario = ours("bench", &["r6"], crate::bench::run);

/// `make lab-campaign`.
pub const CAMPAIGN: Scenario = ours("campaign", &["r7"], crate::campaign::run);

/// The resources that share a disk.
const SMALL: &[&str] = &[
    "s00", "s01", "s02", "s03", "s04", "s05", "s06", "s07", "s08", "s09", "s10", "s11", "s12", "s13", "s14",
    "s15", "s16", "s17", "s18", "s19",
];

/// In the order in which they run: first what proves the lab itself.
pub const ALL: &[Scenario] = &[
    lab("boot", &["r0"], s::boot::run),
    lab("drives", &[], s::drives::run),
    extra(lab("registers-kept", &["f0"], s::registers_kept::run)),
    lab("old-script", &["r0"], s::old_script::run),
    ours("create-destroy", &["r1"], s::create_destroy::run),
    ours("reboot", &["r2"], s::reboot::run),
    ours("refused-peer-primary", &["r3"], s::refused_peer_primary::run),
    ours("refused-disk-inconsistent", &["r4"], s::refused_disk_inconsistent::run),
    ours("device-held", &["r5"], s::device_held::run),
    extra(ours("degraded-reboot", &["r2"], s::degraded_reboot::run)),
    ours("failed-add-rolls-back", &["r6"], s::failed_add_rolls_back::run),
    ours("kill-add", &["r1"], s::kill_add::run),
    lab("xenstore-conformance", &[], s::xenstore_conformance::run),
    lab("drbd-conformance", &["r7"], s::drbd_conformance::run),
    ours("pvh", &["r2"], s::pvh::run),
    extra(ours("hvm", &["r6"], s::hvm::run)),
    ours("pygrub", &["r3"], s::pygrub::run),
    extra(ours("save-restore", &["r6"], s::save_restore::run)),
    extra(ours("localhost-migrate", &["r6"], s::localhost_migrate::run)),
    extra(ours("preserve", &["r6"], s::preserve::run)),
    extra(ours("read-only", &["r6"], s::read_only::run)),
    extra(ours("multi-volume", &["multi"], s::multi_volume::run)),
    extra(ours("two-guests-one-resource", &["multi"], s::two_guests_one_resource::run)),
    extra(ours("same-uuid", &["r6"], s::same_uuid::run)),
    ours("primary-by-hand-open", &["r3"], s::primary_by_hand_open::run),
    extra(ours("guest-on-lower-device", &["r3", "s00", "f1"], s::guest_on_lower_device::run)),
    extra(ours("block-attach", &["r1", "r6"], s::block_attach::run)),
    extra(ours("orphan-released", &["r5"], s::orphan_released::run)),
    ours("split-hosts", &["r0"], s::split_hosts::run),
    extra(ours("boot-storm", SMALL, s::boot_storm::run)),
    ours("migrate", &["r6"], s::migrate::run),
    extra(ours("migrate-back", &["r6"], s::migrate::run_back)),
    extra(ours("migrate-blackout", &["r6"], s::migrate_blackout::run)),
    extra(ours("migrate-writer", &["f0"], s::migrate_writer::run)),
    extra(ours("migrate-target-refuses", &["r6"], s::migrate_target_refuses::run)),
    extra(ours("migrate-source-killed", &["r6"], s::migrate_source_killed::run)),
    extra(ours("migrate-link-cut", &["r6"], s::migrate_link_cut::run)),
    ours("migrate-networks-cut", &["r6"], s::migrate_networks_cut::run),
    ours("incoming-wrong-disk", &["r6", "r1"], s::incoming_wrong_disk::run),
    extra(ours("incoming-nobody-has-it", &["r6", "r1", "multi"], s::incoming_nobody_has_it::run)),
    extra(ours("destroy-during-migrate", &["r6"], s::destroy_during_migrate::run)),
    extra(ours("node-reset", &["r5"], s::node_reset::run)),
    extra(ours("fence-link-cut", &["r1"], s::fence_link_cut::run)),
    ours("fence-newer-peer", &["r3"], s::fence_newer_peer::run),
    extra(ours("fence-every-exit-code", &["r3"], s::fence_every_exit_code::run)),
    ours("split-brain-quarantine", &["r0", "r1"], s::split_brain_quarantine::run),
    extra(ours("local-io-error", &["s00"], s::local_io_error::run)),
    extra(ours("incon-degr", &["r2"], s::incon_degr::run)),
    extra(ours("resync-target-in-use", &["r4"], s::resync_target_in_use::run)),
    extra(ours("sendpage-holds-pages", &["r1"], s::sendpage_holds_pages::run)),
    extra(ours("snapshot-kept", &["lv"], s::snapshot_kept::run)),
    extra(ours("usermode-helper-newline", &["r5"], s::usermode_helper_newline::run)),
    extra(ours("handler-missing", &["r5"], s::handler_missing::run)),
    ours("refused-write-order-none", &["r4"], s::refused_durability::write_order_none),
    extra(ours("refused-write-order-drain", &["r4"], s::refused_durability::write_order_drain)),
    extra(ours("refused-write-order-downgraded", &["f0"], s::refused_durability::write_order_downgraded)),
    extra(ours("refused-md-flushes-off", &["r4"], s::refused_durability::md_flushes_off)),
    extra(ours("refused-al-updates-off", &["r4"], s::refused_durability::al_updates_off)),
    ours("refused-cache-view", &["r4"], s::refused_durability::cache_view),
    extra(ours("refused-protocol", &["r4"], s::refused_durability::protocol)),
    extra(ours("refused-diskless", &["r4"], s::refused_durability::diskless)),
    // Last: they leave machines that were booted again.
    ours("flush-safe", &["f0"], s::flush_safe::run),
    extra(ours("flush-safe-secondary", &["f0"], s::flush_safe::run_secondary)),
    extra(lab("flush-gap-secondary", &["f0"], s::flush_gap_secondary::run)),
    lab("flush-lost-write-order-none", &["f0"], s::flush_lost_write_order_none::run),
    extra(lab("flush-lost-write-order-drain", &["f0"], s::flush_lost_write_order_drain::run)),
    extra(lab("flush-lost-write-order-downgraded", &["f0"], s::flush_lost_write_order_downgraded::run)),
    extra(lab("flush-lost-md-flushes-off", &["f1"], s::flush_lost_md_flushes_off::run)),
    extra(lab("flush-lost-cache-view", &["f0"], s::flush_lost_cache_view::run)),
    lab("flush-lost-diskless", &["f0"], s::flush_lost_diskless::run),
    extra(lab("flush-lost-protocol", &["f0"], s::flush_lost_protocol::run)),
];
