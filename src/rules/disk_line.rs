//! What the rules on domain configurations look at: one line of `disk`, and the
//! configuration around it.

use crate::facts::Known;
use crate::guest::{ConfigDisk, GuestFacts, LeadsTo};

/// One disk of a configuration.
pub struct DiskLine<'a> {
    /// The configuration and what is known of this host.
    pub guest: &'a GuestFacts,
    /// The line.
    pub disk: &'a ConfigDisk,
    /// Where it leads.
    pub leads_to: LeadsTo<'a>,
    /// Whether DRBD replicates any disk of the configuration.
    pub beside_replicated: bool,
}

impl<'a> DiskLine<'a> {
    /// Every disk of the configuration, where they are known.
    pub fn all(guest: &'a GuestFacts) -> Vec<DiskLine<'a>> {
        let disks = guest.config.disks.value().into_iter().flatten();
        let volumes = guest.volumes.value().map_or(&[][..], AsRef::as_ref);
        let line = |disk: &'a ConfigDisk| DiskLine {
            guest,
            disk,
            leads_to: disk.leads_to(volumes),
            beside_replicated: false,
        };
        let mut lines: Vec<DiskLine> = disks.map(line).collect();
        let beside_replicated = lines.iter().any(DiskLine::is_replicated);
        lines.iter_mut().for_each(|line| line.beside_replicated = beside_replicated);
        lines
    }

    /// How a message calls it: `disk xvda (line 5)`.
    pub fn name(&self) -> String {
        let vdev = self.disk.vdev.as_deref().unwrap_or("without vdev");
        format!("disk {vdev} (line {})", self.disk.place.line)
    }

    /// The resource that it leads to, where that is known.
    pub fn resource(&self) -> Option<&str> {
        self.leads_to.resource()
    }

    /// Whether this program is what Xen calls for it.
    pub fn is_gated(&self) -> bool {
        matches!(self.leads_to, LeadsTo::Gate(_))
    }

    /// Whether DRBD replicates it, by whatever way it leads there.
    pub fn is_replicated(&self) -> bool {
        matches!(self.leads_to, LeadsTo::Gate(_) | LeadsTo::Drbd(_))
    }

    /// Whether Xen is older than `version`; `None` when that is unknown.
    pub fn xen_is_before(&self, version: (u32, u32)) -> Option<bool> {
        match &self.guest.xen {
            Known::Is(xen) => Some(*xen < version),
            Known::Unknown(_) => None,
        }
    }
}
