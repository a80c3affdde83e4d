//! The check for a captive portal: a page that answers 204 and nothing else. A portal answers something of its own.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::tcp;
use crate::defaults::NAT_TCP_WITHIN;

/// Whom to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Portal {
    /// Its address.
    pub address: SocketAddr,
    /// Its name, for the header `Host`.
    pub host: String,
    /// The path of a page that answers 204.
    pub path: String,
}

/// As much of an answer as is read: a header and no body.
const MOST: usize = 4_096;

impl Portal {
    /// Whether something else than the page answers. No answer is none of a portal.
    pub(super) async fn is_captive(&self, local: IpAddr, interface: Option<&str>) -> bool {
        let challenge = format!("{:016x}", rand::random::<u64>());
        self.fetch(local, interface, &challenge).await.is_ok_and(|answer| !is_genuine(&answer, &challenge))
    }

    async fn fetch(&self, local: IpAddr, interface: Option<&str>, challenge: &str) -> io::Result<Vec<u8>> {
        let socket = tcp::open(local, interface)?;
        let mut stream = timeout(NAT_TCP_WITHIN, socket.connect(self.address)).await??;
        // The challenge keeps caches from answering; a server that knows it gives it back.
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nX-Routepool-Challenge: {challenge}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
            self.path, self.host
        );
        let mut answer = Vec::new();
        // What has come by then is looked at, whether or not it is all.
        let exchanged = timeout(NAT_TCP_WITHIN, exchange(&mut stream, request.as_bytes(), &mut answer)).await;
        match exchanged {
            Ok(Err(error)) if answer.is_empty() => Err(error),
            _ if answer.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(answer),
        }
    }
}

/// Reads up to the end of the header.
async fn exchange(stream: &mut TcpStream, request: &[u8], answer: &mut Vec<u8>) -> io::Result<()> {
    stream.write_all(request).await?;
    let mut chunk = [0; 512];
    while answer.len() < MOST && !answer.windows(4).any(|w| w == b"\r\n\r\n") {
        match stream.read(&mut chunk).await? {
            0 => break,
            len => answer.extend(&chunk[..len]),
        }
    }
    Ok(())
}

/// A 204; and where the answer has a header for the challenge, the right one.
fn is_genuine(answer: &[u8], challenge: &str) -> bool {
    let text = String::from_utf8_lossy(answer);
    let mut lines = text.lines();
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.")).and_then(|rest| rest.get(1..));
    let is_204 = status.is_some_and(|rest| rest.trim_start().starts_with("204"));
    let mut echoed = lines.filter_map(|line| line.split_once(':')).filter_map(|(name, value)| {
        let name = name.trim().to_ascii_lowercase();
        (name == "x-routepool-response").then(|| value.trim().to_owned())
    });
    is_204 && echoed.all(|value| value == format!("response {challenge}"))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::runtime::Lease;

    #[test]
    fn a_page_of_its_own_is_a_portal_and_silence_is_none() {
        for (answer, captive) in [
            ("HTTP/1.1 204 No Content\r\n\r\n", false),
            ("HTTP/1.1 204 No Content\r\nX-Routepool-Response: response CHALLENGE\r\n\r\n", false),
            ("HTTP/1.1 204 No Content\r\nX-Routepool-Response: response 0\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\n\r\n<html>", true),
            ("HTTP/1.1 302 Found\r\nLocation: http://login/\r\n\r\n", true),
            ("", false),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
            let address = listener.local_addr().expect("bound");
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().expect("a connection");
                let mut request = [0; 1_024];
                let len = stream.read(&mut request).expect("a request");
                let text = String::from_utf8_lossy(&request[..len]).into_owned();
                let challenge = text.split("Challenge: ").nth(1).and_then(|t| t.lines().next()).unwrap_or("");
                stream.write_all(answer.replace("CHALLENGE", challenge).as_bytes()).expect("an answer");
            });
            let portal = Portal { address, host: "check.example".into(), path: "/generate_204".into() };
            let found = portal.is_captive("127.0.0.1".parse().expect("an address"), None);
            assert_eq!(Lease::take().expect("threads").block_on(found), captive, "{answer}");
            server.join().expect("no panic");
        }
    }
}
