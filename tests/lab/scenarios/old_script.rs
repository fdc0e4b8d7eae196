//! A guest writes through Debian's own script, and the peer has what it wrote:
//! this proves the lab, not the binary under test.

use super::create_destroy::write_here_read_there;
use crate::guest::OLD;
use crate::pair::Pair;
use anyhow::Result;

pub fn run(pair: &Pair) -> Result<()> {
    write_here_read_there(pair, "r0", OLD)
}
