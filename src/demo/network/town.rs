//! The town as it stands: namespaces, addresses, routes and lines.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use messnetz_sites::site::SiteId;

use crate::lab::{Lab, LabError, Link, Namespace, has_ipv6};

use super::{Network, School};

/// The interface of every host.
const HOST_INTERFACE: &str = "eth0";
const AGENT: u8 = 10;
const FIRST_HOST: u8 = 21;

/// The example town, built. Dropping it leaves nothing behind.
#[derive(Debug)]
pub struct Town {
    /// Where collector and test server live.
    pub server: Server,
    /// The router of the town hall, where all lines end.
    pub hall: Namespace,
    /// The schools, in the order of the file.
    pub schools: Vec<TownSchool>,
}

/// The server of the town hall.
#[derive(Debug)]
pub struct Server {
    /// Sockets opened on this namespace are reached from the schools.
    pub namespace: Namespace,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its address for IPv6, where the kernel speaks it.
    pub address_v6: Option<Ipv6Addr>,
}

/// A school of the town.
#[derive(Debug)]
pub struct TownSchool {
    /// Its site in the file.
    pub site: SiteId,
    /// Where its agent runs.
    pub agent: Namespace,
    /// The agent's interface.
    pub interface: &'static str,
    /// The agent's address.
    pub address: Ipv4Addr,
    /// The school's router, as the agent sees it.
    pub gateway: Ipv4Addr,
    /// The router.
    pub router: Namespace,
    /// The other hosts on the LAN.
    pub hosts: Vec<Namespace>,
    /// The line to the town hall, down towards the school.
    pub link: Link,
}

impl Town {
    /// Builds the town in namespaces of `lab`.
    ///
    /// # Errors
    /// What the kernel or iproute2 refused; what was built before is gone again.
    pub fn build(lab: &Lab, network: &Network) -> Result<Self, LabError> {
        let v6 = has_ipv6();
        let (server, hall) = (host(lab, "server")?, router(lab, "hall")?);
        Namespace::cable((&hall, "server"), (&server, HOST_INTERFACE))?;
        server.ip(&address_plan(HOST_INTERFACE, 0, 2, Some(1), v6))?;
        hall.ip(&address_plan("server", 0, 1, None, v6))?;
        let mut schools = Vec::with_capacity(network.schools.len());
        for (school, number) in network.schools.iter().zip(1..) {
            let seed = network.seed.wrapping_add(u64::from(number));
            schools.push(build_school(lab, &hall, school, number, seed, v6)?);
        }
        Ok(Self {
            server: Server {
                namespace: server,
                address: v4(0, 2),
                address_v6: v6.then(|| v6_of(0, 2)),
            },
            hall,
            schools,
        })
    }
}

fn build_school(
    lab: &Lab,
    hall: &Namespace,
    school: &School,
    number: u8,
    seed: u64,
    v6: bool,
) -> Result<TownSchool, LabError> {
    let name = |what: &str| format!("{}/{what}", school.site);
    let router = router(lab, &name("router"))?;
    router.ip("link add lan type bridge\nlink set lan up\n")?;
    router.ip(&address_plan("lan", number, 1, None, v6))?;
    let attach = |what: &str, port: &str, last: u8| {
        let namespace = host(lab, &name(what))?;
        Namespace::cable((&router, port), (&namespace, HOST_INTERFACE))?;
        router.ip(&format!("link set {port} master lan\n"))?;
        namespace.ip(&address_plan(HOST_INTERFACE, number, last, Some(1), v6))?;
        Ok(namespace)
    };
    let agent = attach("agent", "agent", AGENT)?;
    let hosts = (0..school.hosts)
        .map(|n| attach(&format!("host{n}"), &format!("host{n}"), FIRST_HOST + n))
        .collect::<Result<_, LabError>>()?;

    let uplink = format!("line{number}");
    let link = Link::join(lab, (hall, &uplink), (&router, "wan"), &school.line(seed))?;
    hall.ip(&transit_plan(&uplink, number, true, v6))?;
    router.ip(&transit_plan("wan", number, false, v6))?;
    Ok(TownSchool {
        site: school.site.clone(),
        agent,
        interface: HOST_INTERFACE,
        address: v4(number, AGENT),
        gateway: v4(number, 1),
        router,
        hosts,
        link,
    })
}

/// A namespace that uses its addresses at once and lets every process of its user send echo requests.
fn host(lab: &Lab, name: &str) -> Result<Namespace, LabError> {
    let namespace = lab.namespace(name)?;
    namespace.sysctl("net/ipv4/ping_group_range", "0 0")?;
    if has_ipv6() {
        // Nobody else is here: looking for duplicates would make IPv6 wait two seconds.
        namespace.sysctl("net/ipv6/conf/default/accept_dad", "0")?;
        namespace.sysctl("net/ipv6/conf/default/accept_ra", "0")?;
    }
    Ok(namespace)
}

fn router(lab: &Lab, name: &str) -> Result<Namespace, LabError> {
    let namespace = host(lab, name)?;
    namespace.sysctl("net/ipv4/ip_forward", "1")?;
    if has_ipv6() {
        namespace.sysctl("net/ipv6/conf/all/forwarding", "1")?;
    }
    Ok(namespace)
}

/// Address `last` of LAN `net` on `interface`, and the default route where there is a gateway.
fn address_plan(interface: &str, net: u8, last: u8, gateway: Option<u8>, v6: bool) -> String {
    let mut batch = format!("addr add {}/24 dev {interface}\n", v4(net, last));
    if v6 {
        let _ = writeln!(
            batch,
            "addr add {}/64 dev {interface} nodad",
            v6_of(net, last)
        );
    }
    if let Some(gateway) = gateway {
        let _ = writeln!(batch, "route add default via {}", v4(net, gateway));
        if v6 {
            let _ = writeln!(batch, "route add default via {}", v6_of(net, gateway));
        }
    }
    batch
}

/// One end of the line to school `number`: its address, and the route to what lies behind the other.
fn transit_plan(interface: &str, number: u8, at_hall: bool, v6: bool) -> String {
    let (own, other) = if at_hall { (1, 2) } else { (2, 1) };
    let transit_v4 = |last| Ipv4Addr::new(10, 255, number, last);
    let transit_v6 = |last| v6_net(0xff00 | u16::from(number), last);
    let mut batch = format!("addr add {}/30 dev {interface}\n", transit_v4(own));
    let behind = if at_hall {
        format!("{}/24", v4(number, 0))
    } else {
        "default".to_owned()
    };
    let _ = writeln!(batch, "route add {behind} via {}", transit_v4(other));
    if v6 {
        let behind = if at_hall {
            format!("{}/64", v6_of(number, 0))
        } else {
            "default".to_owned()
        };
        let _ = writeln!(
            batch,
            "addr add {}/64 dev {interface} nodad",
            transit_v6(own)
        );
        let _ = writeln!(batch, "route add {behind} via {}", transit_v6(other));
    }
    batch
}

fn v4(net: u8, last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, net, 0, last)
}

fn v6_of(net: u8, last: u8) -> Ipv6Addr {
    v6_net(u16::from(net), last)
}

fn v6_net(net: u16, last: u8) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0x6d65, 0x7373, net, 0, 0, 0, u16::from(last))
}
