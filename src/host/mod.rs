//! The machine: the one place that touches it, or a directory in its place.
//!
//! Reading takes `&Host`, changing takes `&mut Host`. Nothing here knows what a
//! resource or a guest is.

mod deadline;
pub mod genl;
pub mod signals;
mod sys;

pub use deadline::{Deadline, Stop};
