//! block-drbd: the gate between a Xen guest and its DRBD disk.
//!
//! One event passes through the modules in this order: `event` says what
//! happened, `gather` asks the machine for `facts`, `rules` judge them,
//! `handlers` plan, `act` changes the machine, `report` tells.

// What is printed goes through `host::output`, which takes nothing but `printable`.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod act;
pub mod admin;
pub mod check;
pub mod cli;
pub mod clock;
pub mod config;
pub mod drbd_handler;
pub mod event;
pub mod expect;
pub mod facts;
pub mod gather;
pub mod guest;
pub mod handlers;
pub mod host;
pub mod hotplug;
pub mod migrate;
pub mod place;
pub mod printable;
pub mod quarantine;
pub mod report;
pub mod rules;
pub mod status;
pub mod sweep;
pub mod target;
