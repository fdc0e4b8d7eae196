//! Domain configurations, line by line.

use super::*;
use crate::gather::domu;
use crate::guest::*;
use std::sync::Arc;

const GATE: &str = "vdev=xvda,access=rw,script=block-drbd,target=r0";

/// A configuration with these lines on a host in good order.
fn guest(text: &str) -> GuestFacts {
    GuestFacts {
        config: domu::parse("/etc/xen/vm.cfg", text).unwrap(),
        xen: Known::Is((4, 17)),
        script: Known::Is(Script::Program),
        run_hotplug_scripts: Known::Is(None),
        volumes: Known::Is(Arc::new([DrbdVolume {
            resource: "r0".into(),
            number: 0,
            minor: 3,
            below: vec!["vg/r0".into(), "vg-r0".into(), "dm-0".into()],
        }])),
        others: Vec::new(),
        same_uuid: Vec::new(),
    }
}

fn fires(guest: &GuestFacts) -> String {
    let mark = |finding: &Finding| {
        let grave = if finding.severity == Severity::Warn { "warn:" } else { "" };
        format!("{grave}{}{}", finding.rule, if finding.found.unknown { "?" } else { "" })
    };
    let verdict = evaluate_guest(guest, &Settings::default());
    verdict.findings.iter().map(mark).collect::<Vec<_>>().join(" ")
}

/// What fires for a guest with these disks.
fn disks(disks: &[&str]) -> String {
    let disks: Vec<String> = disks.iter().map(|disk| format!("'{disk}'")).collect();
    fires(&guest(&format!("name = 'vm'\ndisk = [ {} ]", disks.join(", "))))
}

/// The same for one gated disk and a changed host or configuration.
fn with(change: impl Fn(&mut GuestFacts)) -> String {
    let mut facts = guest(&format!("name = 'vm'\ndisk = [ '{GATE}' ]"));
    change(&mut facts);
    fires(&facts)
}

#[test]
#[rustfmt::skip]
fn where_a_disk_leads() {
    assert_eq!(disks(&[]), "");
    assert_eq!(disks(&[GATE]), "");
    assert_eq!(disks(&["drbd:r0,xvda,w"]), "");
    assert_eq!(disks(&["vdev=xvda,script=/etc/xen/scripts/block-drbd,target=r0/0"]), "");
    for past in ["phy:/dev/drbd3,xvda,w", "/dev/drbd3,raw,xvda,rw", "phy:drbd3,xvda,w", "phy:/dev/drbd/by-res/r0,xvda,w",
                 "phy:/dev/drbd/by-res/r0/0,xvda,w", "phy:/dev/drbd9,xvda,w", "vdev=xvda,script=block-other,target=r0"] {
        assert_eq!(disks(&[past]), "bypass", "{past}");
    }
    for below in ["phy:/dev/vg/r0,xvda,w", "phy:/dev/mapper/vg-r0,xvda,w", "phy:/dev/dm-0,xvda,w"] {
        assert_eq!(disks(&[below]), "bypass", "{below}");
    }
    assert_eq!(disks(&["phy:/dev/vg/other,xvda,w"]), "", "a guest without replicated disks is its owner's matter");
    assert_eq!(disks(&[GATE, "phy:/dev/vg/swap,xvdb,w"]), "warn:unreplicated-disk");
    assert_eq!(disks(&["phy:/dev/drbd3,xvda,w", "phy:/dev/vg/swap,xvdb,w"]), "bypass warn:unreplicated-disk");
    assert_eq!(disks(&[GATE, "file:/srv/cd.iso,hdc:cdrom,r"]), "");
}

/// Two disks of one guest on one volume, by whatever names.
#[test]
#[rustfmt::skip]
fn one_volume_twice() {
    assert_eq!(disks(&[GATE, "vdev=xvdb,script=block-drbd,target=r0"]), "other-guest");
    assert_eq!(disks(&[GATE, "vdev=xvdb,script=block-drbd,target=r0/0"]), "other-guest");
    assert_eq!(disks(&[GATE, "drbd:r0,xvdb,w"]), "other-guest");
    assert_eq!(disks(&[GATE, "phy:/dev/drbd3,xvdb,w"]), "other-guest bypass");
    assert_eq!(disks(&[GATE, "phy:/dev/vg/r0,xvdb,w"]), "other-guest bypass");
    assert_eq!(disks(&["vdev=xvda,script=block-drbd,target=r0/0", "vdev=xvdb,script=block-drbd,target=r0/1"]), "");
    assert_eq!(disks(&[GATE, "vdev=xvdb,script=block-drbd,target=r1"]), "");
}

#[test]
#[rustfmt::skip]
fn options_of_a_disk() {
    assert_eq!(disks(&["script=block-drbd,target=r0,vdev=xvda"]), "target-options");
    assert_eq!(disks(&["vdev=xvda,script=block-drbd,target=all"]), "target-options");
    assert_eq!(disks(&["vdev=xvda,script=block-drbd,target=/dev/drbd3"]), "target-options");
    assert_eq!(disks(&["vdev=xvda,backendtype=phy,script=block-drbd,target=r0"]), "");
    assert_eq!(disks(&["vdev=xvda,backendtype=qdisk,script=block-drbd,target=r0"]), "backend");
    assert_eq!(disks(&["vdev=xvda,backend=storage,script=block-drbd,target=r0"]), "backend");
    assert_eq!(disks(&["vdev=xvda,backend=Domain-0,script=block-drbd,target=r0"]), "");
    assert_eq!(disks(&["vdev=hdc,devtype=cdrom,script=block-drbd,target=r0"]), "backend");
    assert_eq!(disks(&["vdev=xvda,format=qcow2,script=block-drbd,target=r0"]), "backend");
    assert_eq!(disks(&["drbd:r0,xvda,w!"]), "warn:backend");
}

#[test]
#[rustfmt::skip]
fn the_toolstack() {
    assert_eq!(with(|f| f.script = Known::Is(Script::Missing)), "script");
    assert_eq!(with(|f| f.script = Known::Is(Script::Shell)), "script");
    assert_eq!(with(|f| f.script = Known::Is(Script::NotExecutable)), "script");
    assert_eq!(with(|f| f.script = no()), "script?");
    assert_eq!(with(|f| { f.xen = Known::Is((4, 5)); f.run_hotplug_scripts = Known::Is(Some(false)) }), "script");
    assert_eq!(with(|f| { f.xen = Known::Is((4, 5)); f.run_hotplug_scripts = Known::Is(Some(true)) }), "");
    assert_eq!(with(|f| { f.xen = Known::Is((4, 5)); f.run_hotplug_scripts = no() }), "warn:script?");
    assert_eq!(with(|f| f.run_hotplug_scripts = Known::Is(Some(false))), "", "Xen 4.6 and later always call it");
    let other = |same_volume| vec![SharedWith { resource: "r0".into(), path: "/etc/xen/old.cfg".into(), same_volume }];
    assert_eq!(with(|f| f.others = other(true)), "warn:shared-between-configs");
    assert_eq!(with(|f| f.others = other(false)), "resource-shared");
    assert_eq!(with(|f| f.same_uuid = vec!["/etc/xen/old.cfg".into()]), "warn:same-uuid");
    assert_eq!(with(|f| f.others.clear()), "");
    assert_eq!(fires(&guest("disk = load_disks()")), "script?");
}

#[test]
#[rustfmt::skip]
fn eras() {
    let of = |more: &str, xen| {
        let facts = guest(&format!("name = 'vm'\n{more}\ndisk = [ '{GATE}' ]"));
        fires(&GuestFacts { xen, ..facts })
    };
    assert_eq!(of("type = 'hvm'", Known::Is((4, 6))), "warn:hvm-era");
    assert_eq!(of("builder = 'hvm'", Known::Is((4, 6))), "warn:hvm-era");
    assert_eq!(of("type = 'hvm'", Known::Is((4, 7))), "");
    assert_eq!(of("type = 'hvm'", no()), "warn:hvm-era?");
    assert_eq!(of("type = 'pvh'", Known::Is((4, 6))), "");
    assert_eq!(of("bootloader = 'pygrub'", Known::Is((4, 5))), "pygrub-era");
    assert_eq!(of("bootloader = 'pygrub'", Known::Is((4, 6))), "");
    assert_eq!(of("bootloader = 'pygrub'", no()), "pygrub-era?");
    assert_eq!(of("kernel = '/boot/vmlinuz'", Known::Is((4, 5))), "");
    let past = guest("bootloader = 'pygrub'\ndisk = [ 'phy:/dev/drbd3,xvda,w' ]");
    assert_eq!(fires(&GuestFacts { xen: Known::Is((4, 0)), ..past }), "bypass warn:pygrub-era");
}

#[test]
#[rustfmt::skip]
fn a_guest_that_is_told_not_to_flush() {
    let of = |more: &str| fires(&guest(&format!("{more}\ndisk = [ '{GATE}' ]")));
    for off in [" barrier=off", "quiet rootflags=barrier=0", "rootflags=data=ordered,nobarrier", "barriers=0"] {
        assert_eq!(of(&format!("extra = '{off}'")), "guest-barrier-off", "{off}");
        assert_eq!(of(&format!("cmdline = '{off}'")), "guest-barrier-off", "{off}");
    }
    for on in ["quiet", "rootflags=barrier=1", "nobarrierfoo", "xbarrier=0"] {
        assert_eq!(of(&format!("extra = '{on}'")), "", "{on}");
    }
    assert_eq!(of("root = '/dev/xvda2 ro'"), "");
    assert_eq!(of("extra = compute()"), "warn:guest-barrier-off?");
}
