//! block-drbd: the gate between a Xen guest and its DRBD disk.
//!
//! The modules stand in the order in which an event passes through them.

pub mod host;

pub mod facts;

pub mod gather;
