//! The host names that drbd.conf gives to addresses, for messages and nothing else.
//!
//! 8.4's module knows a peer by its address alone. No rule may rest on this:
//! what is in force is what the module says.

use crate::host::Host;
use anyhow::Result;

/// The files that drbd-utils reads: /etc/drbd.conf and what its usual include lines name.
pub fn texts(host: &Host) -> Result<Vec<String>> {
    let mut paths = vec!["/etc/drbd.conf".to_string()];
    let names = host.list("/etc/drbd.d")?;
    paths
        .extend(names.iter().filter(|name| name.ends_with(".res")).map(|name| format!("/etc/drbd.d/{name}")));
    paths.iter().filter_map(|path| host.read_optional(path).transpose()).collect()
}

/// The host whose `on` section of `resource` has `address` (`10.0.0.2:7792`).
pub fn host_at(text: &str, resource: &str, address: &str) -> Option<String> {
    let mut open: Vec<Vec<String>> = Vec::new();
    let mut words: Vec<String> = Vec::new();
    for word in tokens(text) {
        match word.as_str() {
            "{" => open.push(std::mem::take(&mut words)),
            "}" => {
                open.pop();
                words.clear();
            }
            ";" => {
                if let (Some(host), true) = (host_section(&open, resource), is_address(&words, address)) {
                    return Some(host);
                }
                words.clear();
            }
            _ => words.push(word),
        }
    }
    None
}

/// The host of `resource NAME { on HOST {`, if that is where we are.
fn host_section(open: &[Vec<String>], resource: &str) -> Option<String> {
    match open {
        [outer, inner, ..] => match (&outer[..], &inner[..]) {
            ([kind, name], [on, host, ..]) if kind == "resource" && name == resource && on == "on" => {
                Some(host.clone())
            }
            _ => None,
        },
        _ => None,
    }
}

/// `address IP:PORT` or `address FAMILY IP:PORT`.
fn is_address(words: &[String], address: &str) -> bool {
    words.first().is_some_and(|word| word == "address") && words.last().is_some_and(|word| word == address)
}

/// Words, quoted or not, and the three signs that structure them; comments are left out.
fn tokens(text: &str) -> Vec<String> {
    let code = text.lines().map(|line| line.split('#').next().unwrap_or(""));
    let spaced = code.map(|line| line.replace('{', " { ").replace('}', " } ").replace(';', " ; "));
    let words = |line: String| line.split_whitespace().map(unquoted).collect::<Vec<_>>();
    spaced.flat_map(words).collect()
}

fn unquoted(word: &str) -> String {
    word.trim_matches('"').to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONF: &str = r#"
        # resource r0 { on wrong { address 10.0.0.2:7792; } }
        common { net { protocol C; } }
        resource "r0" { device /dev/drbd3; on a { address 10.0.0.1:7792; }
          on "b" { volume 0 { disk /dev/vda; } address ipv4 10.0.0.2:7792; } }
        resource r1 { on c { address 10.0.0.2:7792; } }
    "#;

    #[test]
    fn an_address_has_a_host_within_its_resource() {
        for (resource, address, host) in [
            ("r0", "10.0.0.1:7792", Some("a")),
            ("r0", "10.0.0.2:7792", Some("b")),
            ("r1", "10.0.0.2:7792", Some("c")),
            ("r0", "10.0.0.3:7792", None),
            ("r2", "10.0.0.2:7792", None),
        ] {
            assert_eq!(host_at(CONF, resource, address).as_deref(), host, "{resource} {address}");
        }
    }

    #[test]
    fn no_text_makes_it_panic() {
        for end in 0..CONF.len() {
            let _ = host_at(&CONF[..end], "r0", "10.0.0.2:7792");
            let _ = host_at(&CONF[end..], "r0", "10.0.0.2:7792");
        }
        assert_eq!(host_at("}}}};;;{{{", "r0", "x"), None);
    }
}
