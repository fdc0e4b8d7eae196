//! The lab: two real Xen hosts with DRBD, in QEMU.
fn main() {}
