//! The grammar of disk lines. The cases of xl's own check-xl-disk-parse are among them.

use super::super::config::{Value, settings};
use super::*;

/// The line as the value of a file that holds it in quotes.
fn read(line: &str) -> Result<ConfigDisk, Mistake> {
    let file = format!("a='{line}'");
    let settings = settings(&file).unwrap();
    match settings.get("a") {
        Ok(Some(Value::Text(text))) => disk(text),
        other => panic!("{other:?}"),
    }
}

/// The fields that are not as in a plain `target,raw,vdev,rw`, as one line.
fn shown(line: &str) -> String {
    let disk = read(line).unwrap_or_else(|mistake| panic!("{line}: {}", mistake.message));
    assert_eq!((disk.text.as_str(), disk.place), (line, Place { line: 1, column: 3 }));
    let mut words = vec![disk.target.clone(), disk.vdev.clone().unwrap_or("-".into())];
    let flags = [(disk.cdrom, "cdrom"), (disk.colo, "colo")];
    let texts = [("script", &disk.script), ("backend", &disk.backend), ("prefix", &disk.prefix)];
    words.extend((disk.access != Access::ReadWrite).then(|| format!("{:?}", disk.access)));
    words.extend((disk.format != Format::Raw).then(|| format!("{:?}", disk.format)));
    words.extend(disk.backendtype.as_ref().map(|kind| format!("{kind:?}")));
    words.extend(flags.iter().filter(|(set, _)| *set).map(|(_, name)| name.to_string()));
    words.extend(texts.iter().filter_map(|(key, text)| Some(format!("{key}={}", text.as_ref()?))));
    words.join(" ")
}

#[test]
fn every_form_of_a_disk() {
    for (line, expected) in [
        ("/dev/vg/g,,hda", "/dev/vg/g hda"),
        ("/dev/vg/g,raw,hda,rw", "/dev/vg/g hda"),
        ("format=raw, vdev=hda, access=rw, target=/dev/vg/g", "/dev/vg/g hda"),
        ("raw:/dev/vg/g,hda,w", "/dev/vg/g hda prefix=raw:"),
        ("/i.iso,,hdc,cdrom", "/i.iso hdc ReadOnly cdrom"),
        ("/i.iso,,hdc,,cdrom", "/i.iso hdc ReadOnly cdrom"),
        ("/i.iso,raw,hdc,devtype=cdrom", "/i.iso hdc ReadOnly cdrom"),
        ("access=w,cdrom,vdev=hdc,target=/i.iso", "/i.iso hdc ReadOnly cdrom"),
        ("raw:/i.iso,hdc:cdrom,ro", "/i.iso hdc ReadOnly cdrom prefix=raw:"),
        ("file:/i.iso,hdc:disk,w", "/i.iso hdc prefix=file:"),
        ("backendtype=phy,vdev=xvdb,access=w,target=/d", "/d xvdb Phy"),
        ("devtype=cdrom,,,hdc", " hdc ReadOnly Empty cdrom"),
        (",,hdc:cdrom,r", " hdc ReadOnly Empty cdrom"),
        (",hdc:cdrom,r", " hdc ReadOnly Empty cdrom"),
        (",empty,hdc:cdrom,r", " hdc ReadOnly Empty cdrom"),
        ("vdev=hdc,access=r,devtype=cdrom,target=", " hdc ReadOnly Empty cdrom"),
        ("vdev=hdc,devtype=cdrom,format=empty", " hdc ReadOnly Empty cdrom"),
        ("vdev=hdc,cdrom", " hdc ReadOnly Empty cdrom"),
        ("cdrom,devtype=disk,vdev=hdc,target=/d", "/d hdc"),
        (
            "iscsi:iqn.2001-05.com.e:0-8a-x,xvda,w",
            "iqn.2001-05.com.e:0-8a-x xvda script=block-iscsi prefix=iscsi:",
        ),
        ("drbd:r0,hda,w", "r0 hda script=block-drbd prefix=drbd:"),
        ("vdev=hda,drbd:r0/1,w", "r0/1 hda script=block-drbd prefix=drbd:"),
        ("script=block-drbd,vdev=hda,target=r0", "r0 hda script=block-drbd"),
        ("r0,,hda,script=block-drbd", "r0 hda script=block-drbd"),
        ("nbd:x,xvda,r", "x xvda ReadOnly script=block-nbd prefix=nbd:"),
        ("enbd:x,xvda,r", "x xvda ReadOnly script=block-enbd prefix=enbd:"),
        ("phy:/dev/drbd3,xvda2,w", "/dev/drbd3 xvda2 prefix=phy:"),
        ("phy:drbd3,xvda2,w!", "drbd3 xvda2 Forced prefix=phy:"),
        ("phy:/dev/drbd3,xvda2,w,driver,x86_64-abi", "/dev/drbd3 xvda2 backend=driver prefix=phy:"),
        ("tap:aio:/d,xvda,w", "/d xvda prefix=tap:aio:"),
        ("tap2:qcow2:/d,xvda,w", "/d xvda Qcow2 prefix=tap2:qcow2:"),
        ("ioemu:vhd:/d,xvda,w", "/d xvda Vhd prefix=ioemu:vhd:"),
        ("tapdisk:qcow:/d,xvda,w", "/d xvda Qcow prefix=tapdisk:qcow:"),
        ("/d,qed,xvda,ro", "/d xvda ReadOnly Qed"),
        ("backend=driver, /d,raw,xvda,w", "/d xvda backend=driver"),
        ("backend=,script=,/d,,xvda", "/d xvda"),
        ("backendtype=qdisk,/d,,xvda", "/d xvda Qdisk"),
        ("backendtype=tap,/d,,xvda", "/d xvda Tap"),
        ("backendtype=standalone,specification=virtio,/d,,xvda", "/d xvda Standalone"),
        ("backendtype=new,/d,,xvda", "/d xvda Other(\"new\")"),
        ("discard,no-discard,direct-io-safe,trusted,untrusted,grant_usage=1,/d,,xvda", "/d xvda"),
        ("/d,,xvda,colo,colo-host=h,colo-port=9,colo-export=e,active-disk=a,hidden-disk=b", "/d xvda colo"),
        ("/d,,xvda,colo,no-colo", "/d xvda"),
        ("/d,,xvda,access=r", "/d xvda ReadOnly"),
        ("access=r,/d,,xvda,w", "/d xvda"),
        (" \t/d, raw,  xvda , w,", "/d xvda "),
        ("/d,,xvda,w, ", "/d xvda"),
        (",raw,xvda,w,target=/d", "/d xvda"),
        ("foo:bar,,xvda", "foo:bar xvda"),
        ("vdev=xvda,target=a=b:c, ", "a=b:c,  xvda"),
        ("vdev=xvda,target=phy:/d,", "phy:/d xvda"),
    ] {
        // Blanks behind a word belong to it.
        assert_eq!(shown(line), expected, "{line}");
    }
}

#[test]
fn what_target_swallows_can_be_seen() {
    for (line, vdev, swallowed) in [
        ("vdev=xvda,target=r0", Some("xvda"), &[][..]),
        ("vdev=xvda,target=r0,", Some("xvda"), &[]),
        ("vdev=xvda,target=r0,access=r, script=block-drbd", Some("xvda"), &["access=r", "script=block-drbd"]),
        ("target=r0,vdev=xvda", None, &["vdev=xvda"]),
        ("drbd:r0,xvda,w", Some("xvda"), &[]),
    ] {
        let disk = read(line).unwrap();
        assert_eq!((disk.vdev.as_deref(), &disk.swallowed()[..]), (vdev, swallowed), "{line}");
    }
}

#[test]
fn what_xl_refuses_is_a_mistake_in_its_place() {
    for (line, column, message) in [
        ("", 3, "no target"),
        ("foo", 3, "no vdev"),
        ("/d,raw", 3, "no vdev"),
        ("/d,raw,,w", 3, "no vdev"),
        ("target=r0", 3, "no vdev"),
        ("vdev=xvda", 3, "no target"),
        ("/d,xvda,w", 7, "`format` cannot be `xvda`"),
        ("/d,raw,xvda,x", 16, "`access` cannot be `x`"),
        ("/d,raw,xvda,w ", 16, "`access` cannot be `w `"),
        ("/d,raw,xvda,r!", 16, "`access` cannot be `r!`"),
        ("/d,raw,xvda,w,w", 18, "`w` is one word too many"),
        ("phy:/d,xvda,w,driver,proto,x", 31, "`x` is one word too many"),
        ("/d,raw,xvda,w,  foo=bar", 20, "unknown key `foo`"),
        ("/d,raw,xvda,w,Vdev=xvdb", 18, "unknown key `Vdev`"),
        ("/dev/a=b,raw,xvda,w", 4, "unknown key `/dev/a`"),
        ("/d,,xvda:tape,w", 8, "`devtype` cannot be `tape`"),
        ("/d,,xvda,devtype=floppy", 13, "`devtype` cannot be `floppy`"),
        ("specification=new,/d,,xvda", 4, "`specification` cannot be `new`"),
        ("grant_usage=2,/d,,xvda", 4, "`grant_usage` cannot be `2`"),
        ("vdev=a,/d,,w,vdev=b", 17, "`vdev` is given twice"),
        ("script=a,drbd:r0,xvda,w", 13, "`script` is given twice"),
        ("/d,,xvda,target=/e", 13, "`target` is given twice"),
        ("qcow:raw:/d,xvda,w", 9, "`format` is given twice"),
        ("backendtype=phy,backendtype=tap,/d,,xvda", 20, "`backendtype` is given twice"),
        ("vmdk:/d,xvda,w", 4, "unknown prefix `vmdk:`"),
        ("tap:vmdk:/d,xvda,w", 8, "unknown prefix `vmdk:`"),
        ("/d,raw,xvda:,w", 11, "unknown prefix `xvda:`"),
    ] {
        let mistake = read(line).unwrap_err();
        assert!(mistake.message.contains(message), "{line}: {}", mistake.message);
        assert_eq!(mistake.place, Place { line: 1, column }, "{line}: {}", mistake.message);
    }
}
