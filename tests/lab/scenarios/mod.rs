//! One file a scenario.

pub mod boot;
pub mod create_destroy;
pub mod degraded_reboot;
pub mod device_held;
pub mod drbd_conformance;
pub mod drives;
pub mod failed_add_rolls_back;
pub mod flush_gap_secondary;
pub mod flush_lost_cache_view;
pub mod flush_lost_diskless;
pub mod flush_lost_md_flushes_off;
pub mod flush_lost_protocol;
pub mod flush_lost_write_order_downgraded;
pub mod flush_lost_write_order_drain;
pub mod flush_lost_write_order_none;
pub mod flush_safe;
pub mod kill_add;
pub mod old_script;
pub mod pvh;
pub mod pygrub;
pub mod reboot;
pub mod refused_disk_inconsistent;
pub mod refused_durability;
pub mod refused_peer_primary;
pub mod xenstore_conformance;
