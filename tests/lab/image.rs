//! What the machines boot: Xen, the kernel, the nodes' root and the guest's.
//!
//! The nodes' root is two archives in one file. The large one depends only on
//! the packages and is cached; the small one in front of it holds what is under
//! test, so that a new binary costs no rebuild.

use crate::cpio::Archive;
use crate::modules::{self, Modules};
use crate::packages::{self, Packages};
use crate::{drbd, paths, payload};
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const INIT: &[u8] = include_bytes!("dom0-init");
const FENCE_PEER: &[u8] = include_bytes!("fence-peer");

/// The programs that are built from this crate.
pub struct Programs {
    /// The node's agent and the guest's init.
    pub agent: PathBuf,
    /// The binary under test, where it has been built.
    pub binary: Option<PathBuf>,
}

/// The files that QEMU is given.
#[derive(Clone)]
pub struct Image {
    /// The hypervisor.
    pub xen: PathBuf,
    /// dom0's kernel, unpacked: TCG takes seconds to unpack it in the machine.
    pub kernel: PathBuf,
    /// dom0's root.
    pub root: PathBuf,
}

/// Builds what is missing or out of date; the small archive is always new.
pub fn build(programs: &Programs, directory: &Path) -> Result<Image> {
    let packages = packages::unpacked()?;
    let base = paths::lab("base");
    let makers = [include_str!("image.rs"), include_str!("modules.rs"), include_str!("cpio.rs")];
    let key = (&packages.versions, makers);
    let stamp = paths::lab("base.stamp");
    if !paths::is_made_from(&stamp, &key) {
        println!("lab: building the nodes' root");
        build_base(&packages, &base)?;
        paths::stamp(&stamp, &key)?;
    }
    let root = directory.join("root.cpio");
    let mut file = File::create(&root)?;
    file.write_all(&overlay(programs, &base)?)?;
    std::io::copy(&mut File::open(base.join("root.zst"))?, &mut file)?;
    Ok(Image { xen: base.join("xen"), kernel: base.join("vmlinux"), root })
}

fn build_base(packages: &Packages, base: &Path) -> Result<()> {
    paths::empty_directory(base)?;
    let root = &packages.root;
    let modules = Modules::of(root)?;
    let xen = paths::output(Command::new("gzip").arg("-dc").arg(root.join("boot/xen-4.17-amd64.gz")))?;
    fs::write(base.join("xen"), xen)?;
    let packed = fs::read(root.join(format!("boot/vmlinuz-{}", modules.version)))?;
    let kernel = unpack_kernel(&packed)?;
    fs::write(base.join("vmlinux"), &kernel)?;
    let archive = node_root(root, &modules, &kernel)?;
    pipe(Command::new("zstd").args(["-q", "-T0", "-3"]), &archive, &base.join("root.zst"))?;
    fs::write(base.join("modules"), modules::NODE.join(" "))?;
    guest_modules(root, &modules, &base.join("guest-modules"))
}

/// The ELF file inside a bzImage, where its header says (Documentation/x86/boot.rst).
fn unpack_kernel(packed: &[u8]) -> Result<Vec<u8>> {
    let word = |at: usize| -> Result<usize> {
        let bytes = packed.get(at..at + 4).context("a kernel that is too short")?;
        Ok(usize::try_from(u32::from_le_bytes(bytes.try_into()?))?)
    };
    let sectors = usize::from(*packed.get(0x1f1).context("an empty kernel")?);
    let start = (sectors + 1) * 512 + word(0x248)?;
    // The last four bytes are the unpacked size, which xz would take for a second stream.
    let end = start + word(0x24c)? - 4;
    let payload = packed.get(start..end).context("a kernel cut short")?;
    let file = paths::lab("vmlinux.tmp");
    pipe(Command::new("xz").args(["-dc"]), payload, &file)?;
    let kernel = fs::read(&file)?;
    fs::remove_file(&file)?;
    if !kernel.starts_with(b"\x7fELF") {
        bail!("the kernel's payload is not an ELF file");
    }
    Ok(kernel)
}

fn pipe(command: &mut Command, input: &[u8], output: &Path) -> Result<()> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(File::create(output)?)
        .spawn()
        .with_context(|| format!("starting {command:?}"))?;
    let mut stdin = child.stdin.take().context("a child without stdin")?;
    stdin.write_all(input)?;
    drop(stdin);
    let status = child.wait()?;
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(())
}

fn node_root(root: &Path, modules: &Modules, kernel: &[u8]) -> Result<Vec<u8>> {
    let names = [modules::NODE, modules::NODE_EXTRA].concat();
    let wanted_modules = modules.closure(&names)?;
    let mut archive = Archive::default();
    archive.tree(root, &|path| wanted(path, &modules.version, &wanted_modules))?;
    for directory in [
        "proc",
        "sys",
        "run",
        "tmp",
        "mnt",
        "root",
        "var",
        "var/lib",
        "var/log",
        "var/lock",
        "var/log/xen",
        "var/lib/xen",
        "var/lib/xenstored",
        "var/lib/drbd",
    ] {
        archive.directory(directory)?;
    }
    archive.console()?;
    archive.link("bin/sh", "bash")?;
    archive.program("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n")?;
    archive.program("etc/hosts", b"127.0.0.1 localhost\n10.0.1.1 a\n10.0.1.2 b\n")?;
    let old = fs::read(root.join("etc/xen/scripts/block-drbd"))?;
    archive.program("etc/xen/scripts/block-drbd-old", &old)?;
    applets(root, &mut archive)?;
    archive.directory("lab")?;
    archive.program("lab/vmlinux", kernel)?;
    archive.finish()
}

/// Busybox stands in for what the packages lack, never for what they have.
fn applets(root: &Path, archive: &mut Archive) -> Result<()> {
    let list = paths::output(Command::new(root.join("bin/busybox")).arg("--list"))?;
    for applet in String::from_utf8(list)?.lines() {
        let there = ["bin", "sbin", "usr/bin", "usr/sbin"]
            .iter()
            .any(|place| root.join(place).join(applet).symlink_metadata().is_ok());
        if !there && applet != "sh" {
            archive.link(&format!("bin/{applet}"), "busybox")?;
        }
    }
    Ok(())
}

fn wanted(path: &str, version: &str, modules: &[String]) -> bool {
    const UNWANTED: &[&str] = &[
        "boot",
        "usr/share",
        "usr/lib/xen-4.17/boot",
        "var",
        "usr/lib/x86_64-linux-gnu/gconv",
        "lib/systemd",
        "etc/drbd.conf",
        "etc/xen/scripts/block-drbd",
    ];
    if UNWANTED.contains(&path) {
        return false;
    }
    match path.strip_prefix(&format!("lib/modules/{version}/")) {
        Some(module) if module.ends_with(".ko") => modules.iter().any(|wanted| wanted == module),
        _ => true,
    }
}

fn guest_modules(root: &Path, modules: &Modules, directory: &Path) -> Result<()> {
    paths::empty_directory(directory)?;
    let place = root.join("lib/modules").join(&modules.version);
    for (number, path) in modules.closure(modules::GUEST)?.iter().enumerate() {
        fs::copy(place.join(path), directory.join(format!("{number:02}.ko")))?;
    }
    Ok(())
}

fn overlay(programs: &Programs, base: &Path) -> Result<Vec<u8>> {
    let agent = fs::read(&programs.agent)?;
    let mut archive = Archive::default();
    for directory in ["lab", "etc", "etc/xen", "etc/xen/scripts", "usr", "usr/bin", "usr/sbin"] {
        archive.directory(directory)?;
    }
    archive.program("init", INIT)?;
    archive.program("lab/modules", &fs::read(base.join("modules"))?)?;
    archive.program("lab/guest.cpio", &guest_root(&agent, base)?)?;
    archive.program("lab/agent", &agent)?;
    archive.link("usr/bin/ssh", "/lab/agent")?;
    archive.link("usr/sbin/block-drbd", "/etc/xen/scripts/block-drbd")?;
    archive.program("lab/fence-peer", FENCE_PEER)?;
    archive.program("lab/idle", &payload::idle())?;
    archive.program("lab/crash", &payload::crash())?;
    archive.program("lab/soft-reset", &payload::soft_reset())?;
    archive.program("etc/drbd.conf", drbd::configuration().as_bytes())?;
    if let Some(binary) = &programs.binary {
        archive.program("etc/xen/scripts/block-drbd", &fs::read(binary)?)?;
    }
    archive.finish()
}

fn guest_root(agent: &[u8], base: &Path) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    archive.console()?;
    for directory in ["proc", "sys", "mnt", "sbin", "modules"] {
        archive.directory(directory)?;
    }
    for module in fs::read_dir(base.join("guest-modules"))? {
        let module = module?;
        let name = module.file_name();
        let name = name.to_str().context("a module's name")?;
        archive.program(&format!("modules/{name}"), &fs::read(module.path())?)?;
    }
    archive.program("init", agent)?;
    archive.link("sbin/poweroff", "/init")?;
    archive.finish()
}
