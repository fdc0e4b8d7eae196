//! The generations of a disk as DRBD 8.4.5 and newer show them in debugfs.
//!
//! A handler reads them here and not over netlink: while fence-peer runs, DRBD may hold the locks that
//! netlink waits for. The file takes only the spinlock of the meta data, for a moment, and to be opened
//! the lock of its directory (drbd_debugfs.c, device_data_gen_id_show and drbd_single_open).

use crate::facts::OwnGenerations;
use crate::host::Host;
use anyhow::{Context, Result, ensure};

/// The generations of one volume; `None` where debugfs is not mounted or the module is older. An error where
/// they are there and cannot be read or understood, as without a disk. The name of the resource has been
/// checked.
pub fn read(host: &Host, resource: &str, volume: u32) -> Result<Option<OwnGenerations>> {
    let path = format!("/sys/kernel/debug/drbd/resources/{resource}/volumes/{volume}/data_gen_id");
    let Some(text) = host.read_optional(&path)? else { return Ok(None) };
    parse(&text).map(Some).with_context(|| format!("{path} cannot be understood"))
}

/// Four lines `0x%016llX`: current, bitmap, and two of the history.
fn parse(text: &str) -> Result<OwnGenerations> {
    let uuid = |line: &str| {
        let hex = |digits: &&str| digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let digits = line.strip_prefix("0x").filter(hex);
        let uuid = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        uuid.with_context(|| format!("{line:?} is not a generation"))
    };
    let uuids = text.lines().map(uuid).collect::<Result<Vec<u64>>>()?;
    ensure!(uuids.len() == 4, "it has {} generations in place of 4", uuids.len());
    Ok(OwnGenerations { current_uuid: uuids[0], bitmap_uuid: uuids[1], history: [uuids[2], uuids[3]] })
}

/// The volumes of a resource, by their numbers, that DRBD has; none where it does not show them.
pub fn volumes(host: &Host, resource: &str) -> Result<Vec<u32>> {
    let names = host.list_optional(&format!("/sys/kernel/debug/drbd/resources/{resource}/volumes"))?;
    Ok(names.unwrap_or_default().iter().filter_map(|name| name.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUR: &str = "0xB0B0000000000002\n0x215C47A0B39CA630\n0x0000000000000004\n0x0000000000000000\n";

    #[test]
    fn four_generations_are_read() {
        let history = [4, 0];
        let expected = OwnGenerations {
            current_uuid: 0xB0B0_0000_0000_0002,
            bitmap_uuid: 0x215C_47A0_B39C_A630,
            history,
        };
        assert_eq!(parse(FOUR).unwrap(), expected);
        assert_eq!(parse(FOUR.trim_end()).unwrap(), expected);
    }

    #[test]
    fn everything_else_is_not_understood() {
        let (three, five) =
            (FOUR.replacen("0x0000000000000004\n", "", 1), format!("{FOUR}0x0000000000000000\n"));
        let (short, sign) = (FOUR.replace("0xB0B0", "0xB0B"), FOUR.replace("0xB0B0", "0x+0B0"));
        for text in ["", "\n", "v: 0\n", &three, &five, &FOUR.replace("0x", ""), &short, &sign] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
