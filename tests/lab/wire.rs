//! The frames that the harness and the agent inside a node exchange.
//!
//! Both compile this one file, so they cannot disagree. A message is a list of
//! byte strings, and what they mean is the business of the two ends: request
//! `[number, verb, arguments…]`, reply `[number, exit code, stdout, stderr]`.

use std::io::{self, Read, Write};

/// Sends one message in one write.
pub fn send(output: &mut impl Write, fields: &[&[u8]]) -> io::Result<()> {
    let mut body = Vec::new();
    for field in fields {
        body.extend(length(field)?);
        body.extend(*field);
    }
    let mut frame = length(&body)?.to_vec();
    frame.extend(body);
    output.write_all(&frame)
}

/// Receives one message.
pub fn receive(input: &mut impl Read) -> io::Result<Vec<Vec<u8>>> {
    let mut body = vec![0; read_length(input)?];
    input.read_exact(&mut body)?;
    let mut rest = body.as_slice();
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let mut field = vec![0; read_length(&mut rest)?];
        rest.read_exact(&mut field)?;
        fields.push(field);
    }
    Ok(fields)
}

fn length(bytes: &[u8]) -> io::Result<[u8; 4]> {
    let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    Ok(length.to_be_bytes())
}

fn read_length(input: &mut impl Read) -> io::Result<usize> {
    let mut length = [0; 4];
    input.read_exact(&mut length)?;
    usize::try_from(u32::from_be_bytes(length)).map_err(io::Error::other)
}
