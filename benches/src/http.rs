//! One question over HTTP, on a connection of its own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::BoxError;

/// Longer than anything that is answered.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The status and the document of the answer.
pub(crate) fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> Result<(u16, Value), BoxError> {
    let (status, text) = text(address, (method, path), "*/*", body)?;
    Ok((status, serde_json::from_str(&text).unwrap_or(Value::Null)))
}

/// The status and the text of the answer.
pub(crate) fn text(
    address: SocketAddr,
    (method, path): (&str, &str),
    accept: &str,
    body: &str,
) -> Result<(u16, String), BoxError> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let (kind, length) = (if body.is_empty() { "" } else { "Content-Type: application/json\r\n" }, body.len());
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAccept: {accept}\r\nConnection: close\r\n{kind}Content-Length: {length}\r\n\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("the answer was cut off")?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or("the answer is no HTTP")?;
    Ok((status, body.to_owned()))
}

/// A stream of events, whose reads do not wait.
pub(crate) fn stream(address: SocketAddr, path: &str) -> Result<TcpStream, BoxError> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream
        .write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n\r\n").as_bytes())?;
    let mut head = [0; 12];
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.read_exact(&mut head)?;
    if head != *b"HTTP/1.1 200" {
        return Err(format!("no stream: {}", String::from_utf8_lossy(&head)).into());
    }
    stream.set_nonblocking(true)?;
    Ok(stream)
}
