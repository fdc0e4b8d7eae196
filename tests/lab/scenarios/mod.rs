//! One file a scenario.

pub mod boot;
pub mod create_destroy;
pub mod device_held;
pub mod drbd_conformance;
pub mod failed_add_rolls_back;
pub mod kill_add;
pub mod old_script;
pub mod pvh;
pub mod pygrub;
pub mod reboot;
pub mod refused_disk_inconsistent;
pub mod refused_peer_primary;
pub mod xenstore_conformance;
