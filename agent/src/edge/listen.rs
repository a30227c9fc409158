//! The address for devices, taken before the port answers.

use rustix::io::Errno;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::net::TcpSocket;

/// Takes the address for devices, without listening: a device that connects while the disks are being opened is refused at
/// once and does not wait.
///
/// # Errors
/// Those of the system: another program has the address, or this box does not.
pub(crate) fn take_address(address: SocketAddr) -> io::Result<TcpSocket> {
    let has_none = |error: &io::Error| {
        let is_unknown = error.raw_os_error() == Some(Errno::AFNOSUPPORT.raw_os_error());
        is_unknown || error.kind() == ErrorKind::AddrNotAvailable
    };
    match take(address) {
        // A kernel without IPv6 still has every other address of the box.
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && has_none(&error) => {
            take((Ipv4Addr::UNSPECIFIED, address.port()).into())
        }
        taken => taken,
    }
}

fn take(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections of a former agent that are still closing must not keep the address for a minute.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_address_is_one_of_the_old_kind_too() {
        let any =
            take_address((Ipv6Addr::UNSPECIFIED, 0).into()).and_then(|socket| socket.listen(1)).unwrap();
        let port = any.local_addr().unwrap().port();
        let (connected, accepted) =
            tokio::join!(tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)), any.accept());
        assert!(connected.is_ok() && accepted.is_ok());
    }
}
