//! The links on which the appliance can be found, and a socket for each.

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use tokio::net::UdpSocket;

use if_addrs::{IfAddr, Interface};
use larder_format::mdns::ADDRESSES_MAX;

const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
/// The port of multicast DNS.
pub(super) const PORT: u16 = 5353;
/// A router would take one off; so whoever sees less than this was not asked on their own link.
const HOPS: u32 = 255;
/// A box with many containers has hundreds of interfaces; each link costs a socket.
const LINKS_MAX: usize = 16;

/// One interface under one version of IP.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct NetworkLink {
    pub(super) interface: String,
    index: u32,
    /// Whether messages go over IPv6.
    is_v6: bool,
    /// Where devices reach the appliance on this interface, the same for both versions.
    pub(super) addresses: Vec<IpAddr>,
    /// Bits of the network's part of each address.
    prefixes: Vec<u8>,
}

/// The links on which a device can reach an agent that listens at `listen`.
pub(super) fn links(listen: SocketAddr) -> io::Result<Vec<NetworkLink>> {
    Ok(links_of(listen.ip().to_canonical(), if_addrs::get_if_addrs()?))
}

fn links_of(listen: IpAddr, mut interfaces: Vec<Interface>) -> Vec<NetworkLink> {
    interfaces
        .retain(|one| one.is_oper_up() && !one.is_loopback() && !one.is_p2p && serves(listen, one.ip()));
    // The same interfaces in another order are no news.
    interfaces.sort_by_key(|one| (one.index, one.ip()));
    let mut links: Vec<NetworkLink> = Vec::new();
    for interface in &interfaces {
        let Some(index) = interface.index else { continue };
        let here = interfaces.iter().filter(|other| other.index == interface.index).take(ADDRESSES_MAX);
        let link = NetworkLink {
            interface: interface.name.clone(),
            index,
            is_v6: interface.ip().is_ipv6(),
            addresses: here.clone().map(Interface::ip).collect(),
            prefixes: here.map(prefix).collect(),
        };
        if links.len() < LINKS_MAX && !links.contains(&link) {
            links.push(link);
        }
    }
    links
}

/// Whether an agent that listens at `listen` answers at `address`, for a device that was told no more than this.
fn serves(listen: IpAddr, address: IpAddr) -> bool {
    match (listen, address) {
        // An address that is good on one link alone cannot be written down without the name of an interface.
        (_, IpAddr::V6(address)) if address.is_unicast_link_local() => false,
        (IpAddr::V6(Ipv6Addr::UNSPECIFIED), _) | (IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V4(_)) => true,
        _ => listen == address,
    }
}

fn prefix(interface: &Interface) -> u8 {
    match &interface.addr {
        IfAddr::V4(address) => address.prefixlen,
        IfAddr::V6(address) => address.prefixlen,
    }
}

impl NetworkLink {
    #[cfg(test)]
    pub(super) fn of(interface: &str, index: u32, address: Ipv4Addr) -> Self {
        let (interface, addresses) = (interface.to_owned(), vec![address.into()]);
        Self { interface, index, is_v6: false, addresses, prefixes: vec![24] }
    }

    /// Everybody on the link.
    pub(super) fn group(&self) -> SocketAddr {
        if self.is_v6 {
            SocketAddrV6::new(GROUP_V6, PORT, 0, self.index).into()
        } else {
            (GROUP_V4, PORT).into()
        }
    }

    /// A socket that hears and speaks on this link alone.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn open(&self) -> io::Result<UdpSocket> {
        let domain = if self.is_v6 { Domain::IPV6 } else { Domain::IPV4 };
        let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        // Other programs of the box speak multicast DNS too, at the same port.
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        if self.is_v6 {
            socket.set_only_v6(true)?;
            socket.set_multicast_hops_v6(HOPS)?;
            socket.set_unicast_hops_v6(HOPS)?;
            socket.set_multicast_if_v6(self.index)?;
            socket.join_multicast_v6(&GROUP_V6, self.index)?;
        } else {
            socket.set_multicast_ttl_v4(HOPS)?;
            socket.set_ttl_v4(HOPS)?;
            if let Some(address) = self.addresses.iter().find_map(v4) {
                socket.set_multicast_if_v4(&address)?;
            }
            socket.join_multicast_v4_n(&GROUP_V4, &InterfaceIndexOrAddress::Index(self.index))?;
            // Otherwise the socket hears whatever any program of the box has joined, on every interface.
            socket.set_multicast_all_v4(false)?;
        }
        // Bound to the group and not to every address: what is sent to this box alone, perhaps from the internet, is for
        // another program, or for nobody.
        socket.bind(&SockAddr::from(self.group()))?;
        UdpSocket::from_std(socket.into())
    }

    /// Whether a message from there came from this link: an answer to a made-up address would hit a bystander.
    pub(super) fn has(&self, source: IpAddr) -> bool {
        let source = source.to_canonical();
        let is_near = |(address, prefix): (&IpAddr, &u8)| match (address, source) {
            (IpAddr::V4(address), IpAddr::V4(source)) => {
                let differ = u64::from(address.to_bits() ^ source.to_bits());
                differ >> 32_u32.saturating_sub(u32::from(*prefix)) == 0
            }
            (IpAddr::V6(address), IpAddr::V6(source)) => {
                let differ = address.to_bits() ^ source.to_bits();
                differ.checked_shr(128_u32.saturating_sub(u32::from(*prefix))).unwrap_or(0) == 0
            }
            _ => false,
        };
        matches!(source, IpAddr::V6(source) if source.is_unicast_link_local())
            || self.addresses.iter().zip(&self.prefixes).any(is_near)
    }
}

fn v4(address: &IpAddr) -> Option<Ipv4Addr> {
    if let IpAddr::V4(address) = address { Some(*address) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use if_addrs::{IfOperStatus, Ifv4Addr, Ifv6Addr};

    fn interface(name: &str, index: u32, address: &str) -> Interface {
        let addr = match address.parse().unwrap() {
            IpAddr::V4(ip) => {
                IfAddr::V4(Ifv4Addr { ip, netmask: Ipv4Addr::BROADCAST, prefixlen: 24, broadcast: None })
            }
            IpAddr::V6(ip) => {
                IfAddr::V6(Ifv6Addr { ip, netmask: Ipv6Addr::UNSPECIFIED, prefixlen: 64, broadcast: None })
            }
        };
        let (name, index, oper_status) = (name.to_owned(), Some(index), IfOperStatus::Up);
        Interface { name, addr, index, oper_status, is_p2p: false }
    }

    fn home() -> Vec<Interface> {
        vec![
            interface("lo", 1, "127.0.0.1"),
            interface("lo", 1, "::1"),
            interface("eth0", 2, "192.168.1.20"),
            interface("eth0", 2, "fd00::20"),
            interface("eth0", 2, "fe80::20"),
            interface("docker0", 3, "172.17.0.1"),
        ]
    }

    fn told(listen: &str, interfaces: Vec<Interface>) -> Vec<String> {
        let tell = |link: &NetworkLink| {
            let version = if link.is_v6 { 6 } else { 4 };
            format!("{} v{version} {:?}", link.interface, link.addresses)
        };
        links_of(listen.parse().unwrap(), interfaces).iter().map(tell).collect()
    }

    #[test]
    fn only_where_the_agent_listens_is_it_announced() {
        let check = |listen, expect: &[&str]| assert_eq!(told(listen, home()), expect, "{listen}");
        let both = "[192.168.1.20, fd00::20]";
        check("::", &[&format!("eth0 v4 {both}"), &format!("eth0 v6 {both}"), "docker0 v4 [172.17.0.1]"]);
        check("0.0.0.0", &["eth0 v4 [192.168.1.20]", "docker0 v4 [172.17.0.1]"]);
        check("192.168.1.20", &["eth0 v4 [192.168.1.20]"]);
        check("fd00::20", &["eth0 v6 [fd00::20]"]);
        check("127.0.0.1", &[]);
        check("192.168.1.21", &[]);
    }

    #[test]
    fn links_are_few_and_in_order() {
        let many = (1..200).map(|at| interface(&format!("veth{at}"), at, &format!("10.0.{at}.1"))).collect();
        assert_eq!(links_of(Ipv4Addr::UNSPECIFIED.into(), many).len(), LINKS_MAX);
        let many = (1..200).map(|at| interface("eth0", 2, &format!("10.0.0.{at}"))).collect();
        assert_eq!(links_of(Ipv4Addr::UNSPECIFIED.into(), many)[0].addresses.len(), ADDRESSES_MAX);
        let mut turned = home();
        turned.reverse();
        assert_eq!(told("::", turned), told("::", home()));
    }

    #[test]
    fn strangers_from_elsewhere_are_known_by_their_address() {
        let links = links_of(Ipv6Addr::UNSPECIFIED.into(), home());
        let check =
            |source: &str, expect| assert_eq!(links[0].has(source.parse().unwrap()), expect, "{source}");
        check("192.168.1.77", true);
        check("192.168.2.77", false);
        check("8.8.8.8", false);
        check("fd00::abcd", true);
        check("fe80::7", true);
        check("2001:db8::1", false);
    }
}
