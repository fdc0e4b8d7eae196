//! Debian's packages, unpacked into one directory.
//!
//! Nothing is installed into the host: the packages are what runs inside the
//! nodes. The list is explicit and not the closure of the dependencies, which
//! would bring udev, python and systemd.

use crate::paths;
use anyhow::{Context, Result};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const PACKAGES: &str = "\
    xen-hypervisor-4.17-amd64 xen-utils-4.17 xen-utils-common xenstore-utils \
    libxenstore4 libxenmisc4.17 libxencall1 libxendevicemodel1 libxenevtchn1 \
    libxenforeignmemory1 libxengnttab1 libxenhypfs1 libxentoolcore1 libxentoollog1 libyajl2 \
    drbd-utils busybox-static kmod strace e2fsprogs bash coreutils sed grep util-linux bsdutils \
    libc6 libgcc-s1 libstdc++6 libncurses6 libtinfo6 liblzma5 libssl3 libzstd1 libkmod2 \
    libunwind8 libblkid1 libcom-err2 libext2fs2 libss2 libuuid1 zlib1g libbz2-1.0 liblzo2-2 \
    libpcre2-8-0 libselinux1 libacl1 libattr1 libgmp10 libmount1 libsmartcols1 libcap2 \
    libsystemd0 libgcrypt20 libgpg-error0 liblz4-1 libdw1 libelf1 libnl-3-200 libnl-route-3-200 \
    libcrypt1 dmsetup libdevmapper1.02.1 libudev1 \
    lvm2 libaio1 libdevmapper-event1.02.1 libedit2 libbsd0 libmd0";

/// qemu as Xen's device model, and what it needs besides.
const DEVICE_MODEL: &str = "\
    qemu-system-xen qemu-system-data libfdt1 libffi8 libglib2.0-0 libgstreamer1.0-0 libgstreamer-plugins-base1.0-0 \
    libjpeg62-turbo libopus0 liborc-0.4-0 libpixman-1-0 libsasl2-2 libspice-server1 libusb-1.0-0";

/// The unpacked packages.
pub struct Packages {
    /// Their common root directory.
    pub root: PathBuf,
    /// Names and versions: what an image made of them is cached under.
    pub versions: String,
}

/// What every node runs; downloads and unpacks what is not there yet.
pub fn unpacked() -> Result<Packages> {
    let mut names: Vec<String> = PACKAGES.split_whitespace().map(str::to_owned).collect();
    names.push(kernel_package()?);
    unpack(&names, "root")
}

/// The same for what a node runs that has an HVM guest.
pub fn device_model() -> Result<Packages> {
    let names: Vec<String> = DEVICE_MODEL.split_whitespace().map(str::to_owned).collect();
    unpack(&names, "device-model")
}

fn unpack(names: &[String], place: &str) -> Result<Packages> {
    let versions = available(names)?;
    let root = paths::lab(place);
    let stamp = paths::lab(&format!("{place}.stamp"));
    if !paths::is_made_from(&stamp, &versions) {
        let store = paths::lab(&format!("{place}.packages"));
        paths::empty_directory(&store)?;
        paths::empty_directory(&root)?;
        println!("lab: downloading {} packages", names.len());
        apt("apt-get", &["download"], names, &store)?;
        println!("lab: unpacking them");
        for package in fs::read_dir(&store)? {
            let package = package?.path();
            paths::output(Command::new("dpkg").arg("-x").arg(package).arg(&root))?;
        }
        paths::stamp(&stamp, &versions)?;
    }
    Ok(Packages { root, versions })
}

/// `linux-image-amd64` only depends on the kernel of the day.
fn kernel_package() -> Result<String> {
    let text = apt("apt-cache", &["depends", "linux-image-amd64"], &[], &paths::lab(""))?;
    text.lines()
        .find_map(|line| line.trim().strip_prefix("Depends: "))
        .map(str::to_owned)
        .context("linux-image-amd64 depends on no kernel: is this Debian 12?")
}

/// One line a package: its file name carries the version.
fn available(names: &[String]) -> Result<String> {
    let text = apt("apt-get", &["download", "--print-uris"], names, &paths::lab(""))?;
    let mut files: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    files.sort_unstable();
    Ok(files.join("\n"))
}

fn apt(program: &str, arguments: &[&str], names: &[String], directory: &std::path::Path) -> Result<String> {
    fs::create_dir_all(directory)?;
    // The sandbox user could not write into our directory.
    let text = paths::output(
        Command::new(program)
            .args(["-q", "-o", "APT::Sandbox::User="])
            .args(arguments)
            .args(names)
            .current_dir(directory),
    )
    .context("asking apt for packages (Debian 12 with its index is needed: `apt-get update`)")?;
    Ok(String::from_utf8(text)?)
}
