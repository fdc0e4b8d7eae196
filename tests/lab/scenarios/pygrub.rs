//! A bootloader reads the guest's disk first: libxl attaches it to dom0 itself,
//! runs the bootloader, detaches it, and attaches it to the guest.
//!
//! The bootloader is a script in pygrub's place, because pygrub would bring
//! python; libxl treats both alike. It takes the ramdisk from the replicated disk.

use crate::drbd;
use crate::guest::Guest;
use crate::pair::Pair;
use anyhow::{Result, ensure};

/// pygrub's "simple0": fields that end with a zero byte. libxl removes the files afterwards.
const BOOTLOADER: &str = r#"#!/bin/bash
set -e
for word; do
  case $word in
    --output=*) output=${word#*=} ;;
    --output-directory=*) directory=${word#*=} ;;
  esac
  disk=$word
done
echo "$disk" >>/run/lab-bootloader
mount -t ext4 -o ro "$disk" /mnt
cp /mnt/guest.cpio "$directory/ramdisk"
umount /mnt
cp /lab/vmlinux "$directory/kernel"
printf 'kernel %s\0ramdisk %s\0args console=hvc0 panic=1 quiet lab.do=stay\0' "$directory/kernel" "$directory/ramdisk" >"$output"
"#;

pub fn run(pair: &Pair) -> Result<()> {
    let a = &pair.a;
    pair.connect("r3")?;
    pair.make_file_system("r3")?;
    let minor = drbd::minor("r3");
    a.ok(&format!(
        "drbdadm primary r3 && mount -t ext4 /dev/drbd{minor} /mnt && cp /lab/guest.cpio /mnt/ \
         && umount /mnt && drbdadm secondary r3 && /sbin/modprobe xen-blkfront && rm -f /run/lab-bootloader"
    ))?;
    a.put("/lab/bootloader", BOOTLOADER.as_bytes())?;
    let guest = Guest { more: "bootloader=\"/lab/bootloader\"\n", ..Guest::new("pygrub", "", "r3") };
    guest.create(a)?;
    guest.wait_for(a, "up")?;
    let disk = a.ok("cat /run/lab-bootloader")?;
    ensure!(disk.trim() == "/dev/xvda", "the bootloader read {disk}, not a disk attached to dom0");
    a.drbd_is("r3", "ro:Primary/Secondary")?;
    a.ok("! xenstore-ls /local/domain/0/backend/vbd/0 | grep .")?;

    a.ok("xl shutdown pygrub")?;
    guest.wait_until_gone(a)?;
    a.wait_for_drbd("r3", "ro:Secondary/Secondary")
}
