//! Writes "newc" archives: what the kernel unpacks as its first root.
//!
//! Written here because cpio(1) needs real device nodes and owners, that is
//! root, and the lab needs no root.

use anyhow::{Context, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const DIRECTORY: u32 = 0o040_755;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_777;
const CONSOLE: u32 = 0o020_600;

/// An archive in the making.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// A directory; its parents must have been added before.
    pub fn directory(&mut self, path: &str) -> Result<()> {
        self.entry(path, DIRECTORY, (0, 0), &[])
    }

    /// A file that anybody may read and execute.
    pub fn program(&mut self, path: &str, content: &[u8]) -> Result<()> {
        self.entry(path, FILE | 0o755, (0, 0), content)
    }

    /// A symbolic link.
    pub fn link(&mut self, path: &str, target: &str) -> Result<()> {
        self.entry(path, LINK, (0, 0), target.as_bytes())
    }

    /// `/dev` with the console that the kernel opens for the first process.
    pub fn console(&mut self) -> Result<()> {
        self.directory("dev")?;
        self.entry("dev/console", CONSOLE, (5, 1), &[])
    }

    /// Everything below `root` whose path `wanted` accepts.
    pub fn tree(&mut self, root: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<()> {
        self.children(root, "", wanted)
    }

    fn children(&mut self, root: &Path, below: &str, wanted: &dyn Fn(&str) -> bool) -> Result<()> {
        for entry in fs::read_dir(root.join(below)).with_context(|| below.to_owned())? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_str().context("a file name that is not UTF-8")?;
            let path = match below {
                "" => name.to_owned(),
                _ => format!("{below}/{name}"),
            };
            if !wanted(&path) {
                continue;
            }
            self.copy(&entry.path(), &path)?;
            if entry.file_type()?.is_dir() {
                self.children(root, &path, wanted)?;
            }
        }
        Ok(())
    }

    fn copy(&mut self, source: &Path, path: &str) -> Result<()> {
        let metadata = fs::symlink_metadata(source)?;
        if metadata.is_dir() {
            return self.directory(path);
        }
        if metadata.is_symlink() {
            let target = fs::read_link(source)?;
            return self.link(path, target.to_str().context("a link that is not UTF-8")?);
        }
        let mode = FILE | (metadata.permissions().mode() & 0o777);
        let content = fs::read(source).with_context(|| source.display().to_string())?;
        self.entry(path, mode, (0, 0), &content)
    }

    fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), content: &[u8]) -> Result<()> {
        self.entries += 1;
        let size = u32::try_from(content.len())?;
        let name_size = u32::try_from(path.len() + 1)?;
        let numbers = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_size, 0];
        self.bytes.extend(b"070701");
        for number in numbers {
            self.bytes.extend(format!("{number:08X}").bytes());
        }
        self.bytes.extend(path.bytes());
        self.bytes.push(0);
        self.pad(4);
        self.bytes.extend(content);
        self.pad(4);
        Ok(())
    }

    fn pad(&mut self, alignment: usize) {
        let length = self.bytes.len().next_multiple_of(alignment);
        self.bytes.resize(length, 0);
    }

    /// The finished archive; another one may follow it in the same file.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        self.entry("TRAILER!!!", 0, (0, 0), &[])?;
        self.pad(512);
        Ok(self.bytes)
    }
}
