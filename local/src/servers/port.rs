//! A port that stays reserved while nothing listens on it.

use anyhow::Context as _;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::{TcpListener, TcpSocket};

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// A reserved port of the loopback address. No other program gets it until this is dropped, even while its server is
/// down.
///
/// The system may give a port without a socket to the next outgoing connection; then the server could not come back. So
/// a socket is bound to the port and never listens. Connections are refused, and a server that sets `SO_REUSEADDR`, as
/// these servers do, can listen beside it. Only Linux allows two such sockets; on other systems the port is not
/// reserved.
pub(super) struct Port {
    address: SocketAddr,
    _reservation: Option<TcpSocket>,
}

impl Port {
    /// Reserves `port` (0 for a free one).
    ///
    /// # Errors
    /// Another socket listens on the port.
    pub(super) fn hold(port: u16) -> anyhow::Result<Self> {
        let socket = bind(port)?;
        let address = socket.local_addr()?;
        Ok(Self { address, _reservation: cfg!(target_os = "linux").then_some(socket) })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens on the port.
    ///
    /// # Errors
    /// Another socket listens on the port.
    pub(super) fn listen(&self) -> anyhow::Result<TcpListener> {
        listen(self.address.port())
    }
}

/// Listens on a port that is reserved.
///
/// # Errors
/// Another socket listens on the port.
pub(super) fn listen(port: u16) -> anyhow::Result<TcpListener> {
    bind(port)?.listen(BACKLOG).with_context(|| in_use(port))
}

fn bind(port: u16) -> anyhow::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into()).with_context(|| in_use(port))?;
    Ok(socket)
}

fn in_use(port: u16) -> String {
    format!("port {port} of 127.0.0.1 is in use; stop the other program, or choose another port")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn a_reserved_port_refuses_connections_and_can_be_opened_repeatedly() {
        let port = Port::hold(0).unwrap();
        for _ in 0..2 {
            assert!(TcpStream::connect(port.address()).await.is_err());
            let listener = port.listen().unwrap();
            let client = TcpStream::connect(port.address()).await.unwrap();
            drop((listener, client));
        }
    }

    #[tokio::test]
    async fn an_open_port_can_neither_be_reserved_nor_opened() {
        let port = Port::hold(0).unwrap();
        let _listener = port.listen().unwrap();
        let number = port.address().port();
        for error in [Port::hold(number).err().unwrap(), port.listen().err().unwrap()] {
            assert_eq!(error.to_string(), in_use(number));
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_reserved_port_is_never_given_to_an_outgoing_connection() {
        let destination = Port::hold(0).unwrap();
        let _listener = destination.listen().unwrap();
        let port = Port::hold(0).unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        assert!(socket.bind(port.address()).is_err(), "another socket cannot bind the reserved port");
        let mut clients = Vec::new();
        for _ in 0..200 {
            let client = TcpStream::connect(destination.address()).await.unwrap();
            assert_ne!(client.local_addr().unwrap(), port.address());
            clients.push(client);
        }
    }
}
