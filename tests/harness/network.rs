//! A home network of its own: hosts with a cable each to one switch, seen by nobody else.
//!
//! Multicast is real there, and no test hears another one. Needs root; `HomeNetwork::missing` says what is not there.
//! Namespaces end with the processes that hold them.

use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};

/// A switch with hosts.
pub struct HomeNetwork {
    switch: Child,
    hosts: Vec<Child>,
}

impl HomeNetwork {
    /// Why there can be no such network here; nothing where there can.
    pub fn missing() -> Option<String> {
        if !rustix::process::geteuid().is_root() {
            return Some("not root".to_owned());
        }
        let probe = "ip link add br0 type bridge && ip link add a0 type veth peer name b0";
        let probe = Command::new("unshare").args(["-n", "sh", "-c", probe]).output();
        match probe {
            Ok(output) if output.status.success() => None,
            Ok(output) => Some(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => Some(error.to_string()),
        }
    }

    /// A network with so many hosts. Host `n` has the address `10.77.0.(n + 1)` and the default route goes to nobody.
    ///
    /// # Panics
    /// When it cannot be set up.
    pub fn new(hosts: usize) -> Self {
        let network = Self { switch: namespace(), hosts: (0..hosts).map(|_| namespace()).collect() };
        run(&network.switch, "ip link add br0 type bridge && ip link set br0 up");
        for (at, host) in network.hosts.iter().enumerate() {
            let cable = format!("ip link add port{at} type veth peer name eth0 netns {}", host.id());
            run(
                &network.switch,
                &format!("{cable} && ip link set port{at} master br0 && ip link set port{at} up"),
            );
            run(host, "ip link set lo up && ip link set eth0 up");
            network.set_address(at, network.address(at));
        }
        network
    }

    /// The address that a host has from the beginning.
    ///
    /// # Panics
    /// When there are more hosts than numbers.
    pub fn address(&self, host: usize) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, u8::try_from(host + 1).expect("a small network"))
    }

    /// Gives a host this address and takes the others away, as a router does.
    ///
    /// # Panics
    /// When the host does not take it.
    pub fn set_address(&self, host: usize, address: Ipv4Addr) {
        let give = format!("ip addr flush dev eth0 scope global && ip addr add {address}/24 brd + dev eth0");
        run(&self.hosts[host], &format!("{give} && ip route add default via 10.77.0.254"));
    }

    /// How a command gets onto a host.
    pub fn on(&self, host: usize) -> Vec<String> {
        entering(&self.hosts[host])
    }
}

impl Drop for HomeNetwork {
    fn drop(&mut self) {
        for holder in self.hosts.iter_mut().chain([&mut self.switch]) {
            let _ = holder.kill();
            let _ = holder.wait();
        }
    }
}

fn entering(holder: &Child) -> Vec<String> {
    ["nsenter", "-n", "-t", &holder.id().to_string(), "--"].map(str::to_owned).to_vec()
}

fn namespace() -> Child {
    let mut holder = Command::new("unshare");
    // `cat` ends with the pipe, should this process be killed.
    let holder = holder.args(["-n", "sh", "-c", "echo; exec cat"]);
    let mut holder =
        holder.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a namespace of its own");
    let mut ready = [0];
    let out = holder.stdout.as_mut().expect("a pipe");
    std::io::Read::read_exact(out, &mut ready).expect("the namespace is there");
    holder
}

fn run(holder: &Child, script: &str) {
    let prefix = entering(holder);
    let output = Command::new(&prefix[0]).args(&prefix[1..]).args(["sh", "-c", script]).output();
    let output = output.expect("it runs");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}
