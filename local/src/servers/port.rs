//! A port that stays ours while nobody listens on it.

use anyhow::Context as _;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::{TcpListener, TcpSocket};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// A port of the loopback address, which nobody else is given until this is dropped, also while its server is down.
///
/// The system hands a port without a socket to whoever connects to somewhere next, and its server could not come back.
/// So there is a socket that is bound to it and never listens: connections are refused, and a server that sets
/// `SO_REUSEADDR`, as they do, may listen beside it. Systems other than Linux know no such neighbours; there, the port is a number.
pub(super) struct Port {
    address: SocketAddr,
    _held: Option<TcpSocket>,
}

impl Port {
    /// Holds `port`, or a free one for 0.
    ///
    /// # Errors
    /// Somebody listens on it.
    pub(super) fn hold(port: u16) -> anyhow::Result<Self> {
        let socket = bind(port)?;
        let address = socket.local_addr()?;
        Ok(Self { address, _held: cfg!(target_os = "linux").then_some(socket) })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Opens it.
    ///
    /// # Errors
    /// It is open.
    pub(super) fn listen(&self) -> anyhow::Result<TcpListener> {
        let port = self.address.port();
        bind(port)?.listen(BACKLOG).with_context(|| taken(port))
    }
}

fn bind(port: u16) -> anyhow::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into()).with_context(|| taken(port))?;
    Ok(socket)
}

fn taken(port: u16) -> String {
    format!("port {port} of 127.0.0.1 is taken")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn a_port_that_is_held_refuses_connections_and_opens_again_and_again() {
        let port = Port::hold(0).unwrap();
        for _ in 0..2 {
            assert!(TcpStream::connect(port.address()).await.is_err());
            let listener = port.listen().unwrap();
            let client = TcpStream::connect(port.address()).await.unwrap();
            drop((listener, client));
        }
    }

    #[tokio::test]
    async fn a_port_that_is_open_can_neither_be_held_nor_opened() {
        let port = Port::hold(0).unwrap();
        let _listener = port.listen().unwrap();
        let number = port.address().port();
        for error in [Port::hold(number).err().unwrap(), port.listen().err().unwrap()] {
            assert_eq!(error.to_string(), format!("port {number} of 127.0.0.1 is taken"));
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_port_that_is_held_is_given_to_nobody_who_connects() {
        let everybody = Port::hold(0).unwrap();
        let _listener = everybody.listen().unwrap();
        let port = Port::hold(0).unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        assert!(socket.bind(port.address()).is_err(), "it is not for those who ask for it by name");
        let mut clients = Vec::new();
        for _ in 0..200 {
            let client = TcpStream::connect(everybody.address()).await.unwrap();
            assert_ne!(client.local_addr().unwrap(), port.address());
            clients.push(client);
        }
    }
}
