//! Writes records on a block device, one flush each, and finds them again.
//!
//! The guest and dom0's writer (`lab-agent write DEVICE FIRST LAST`) are the
//! same code: in both a record is acknowledged when the fsync(2) behind it has
//! returned, and the next one is written only then. That order is what the
//! harness reads out of a drive's history.

use crate::record;
use anyhow::{Context, Result, bail};
use std::fs::File;
use std::io::Read;
use std::ops::RangeInclusive;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What dom0's shell asks for.
pub fn run(words: &[String]) -> Result<()> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["write", device, first, last] => {
            write(Path::new(device), first.parse()?..=last.parse()?, |number| {
                println!("fsynced {number}");
            })
        }
        ["find"] => find(),
        _ => bail!("write DEVICE FIRST LAST, or find <IMAGE"),
    }
}

/// Writes these records and says of each that it is acknowledged.
pub fn write(device: &Path, numbers: RangeInclusive<u64>, acknowledged: impl Fn(u64)) -> Result<()> {
    let disk = File::options().write(true).open(device).with_context(|| device.display().to_string())?;
    for number in numbers {
        disk.write_all_at(&record::block(number), record::offset(number))
            .with_context(|| format!("writing record {number}"))?;
        disk.sync_all().with_context(|| format!("fsync of record {number}"))?;
        acknowledged(number);
    }
    Ok(())
}

/// Prints the number of every record in the image on the standard input.
fn find() -> Result<()> {
    let mut image = Vec::new();
    std::io::stdin().read_to_end(&mut image)?;
    for number in record::found(&image) {
        println!("{number}");
    }
    Ok(())
}
