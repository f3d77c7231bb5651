//! Which way packets take: a path of namespaces, with a narrow line in the middle.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use messnetz::lab::Namespace;
use serde_json::{Value, json};

use crate::lab::enter;
use crate::program::{messnetz, stderr, stdout};

/// What fits through the line in the middle.
const NARROW: u16 = 1400;

/// A host and a server with two routers between them.
struct Route {
    host: Namespace,
    folder: tempfile::TempDir,
    // Kept, so that they stay.
    routers: [Namespace; 2],
    server: Namespace,
}

impl Route {
    fn new() -> Self {
        let lab = enter();
        let [host, near, far, server] =
            ["host", "near", "far", "server"].map(|name| lab.namespace(name).unwrap());
        for one in [&host, &near, &far, &server] {
            // Addresses are good at once: until they are, nobody asks for his neighbour's.
            for whom in ["all", "default"] {
                let setting = format!("net/ipv6/conf/{whom}/accept_dad");
                one.sysctl(&setting, "0").unwrap();
            }
        }
        Namespace::cable((&host, "ahead"), (&near, "behind")).unwrap();
        Namespace::cable((&near, "ahead"), (&far, "behind")).unwrap();
        Namespace::cable((&far, "ahead"), (&server, "behind")).unwrap();
        for router in [&near, &far] {
            router.sysctl("net/ipv4/ip_forward", "1").unwrap();
            router.sysctl("net/ipv6/conf/all/forwarding", "1").unwrap();
        }
        host.ip(
            "addr add 10.1.0.1/24 dev ahead\naddr add fd01::1/64 dev ahead nodad\n\
             link set ahead up\n\
             route add default via 10.1.0.2\nroute add default via fd01::2\n",
        )
        .unwrap();
        near.ip(&format!(
            "addr add 10.1.0.2/24 dev behind\naddr add fd01::2/64 dev behind nodad\n\
             addr add 10.2.0.1/24 dev ahead\naddr add fd02::1/64 dev ahead nodad\n\
             link set behind up\nlink set ahead up\nlink set ahead mtu {NARROW}\n\
             route add default via 10.2.0.2\nroute add default via fd02::2\n"
        ))
        .unwrap();
        far.ip(&format!(
            "addr add 10.2.0.2/24 dev behind\naddr add fd02::2/64 dev behind nodad\n\
             addr add 10.3.0.1/24 dev ahead\naddr add fd03::1/64 dev ahead nodad\n\
             link set behind up\nlink set ahead up\nlink set behind mtu {NARROW}\n\
             route add default via 10.2.0.1\nroute add default via fd02::1\n"
        ))
        .unwrap();
        server
            .ip(
                "addr add 10.3.0.2/24 dev behind\naddr add fd03::2/64 dev behind nodad\n\
                 link set behind up\n\
                 route add default via 10.3.0.1\nroute add default via fd03::1\n",
            )
            .unwrap();
        Self {
            host,
            folder: tempfile::tempdir().unwrap(),
            routers: [near, far],
            server,
        }
    }

    fn probe(&self, arguments: &[&str]) -> (Value, Option<i32>) {
        let all = [&["probe", "path", "--json"], arguments].concat();
        let command = self.host.command(messnetz(self.folder.path(), &all));
        let output = { command }.output().unwrap();
        let said = stdout(&output);
        let document = serde_json::from_str(&said);
        let document = document.unwrap_or_else(|_| panic!("{said}{}", stderr(&output)));
        (document, output.status.code())
    }
}

/// The addresses that each hop answered from, each once.
fn ways(said: &Value) -> Vec<Vec<&str>> {
    let hops = said["report"]["hops"].as_array().unwrap();
    hops.iter()
        .map(|hop| {
            let answers = hop["answers"].as_array().unwrap().iter();
            let mut from: Vec<_> = answers.map(|one| one["from"].as_str().unwrap()).collect();
            from.dedup();
            from
        })
        .collect()
}

#[test]
fn every_hop_is_found_by_both_methods_over_both_protocols_as_stock_traceroute_finds_it() {
    let route = generous();
    for (method, target, expected) in [
        ("udp", "10.3.0.2", ["10.1.0.2", "10.2.0.2", "10.3.0.2"]),
        ("icmp", "10.3.0.2", ["10.1.0.2", "10.2.0.2", "10.3.0.2"]),
        ("udp", "fd03::2", ["fd01::2", "fd02::2", "fd03::2"]),
        ("icmp", "fd03::2", ["fd01::2", "fd02::2", "fd03::2"]),
    ] {
        let (said, code) = route.probe(&[target, "--method", method]);
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(said["report"]["end"], "reached", "{said}");
        assert_eq!(ways(&said), expected.map(|hop| vec![hop]), "{said}");
    }
    let mut stock = Command::new("traceroute");
    stock.args(["-n", "-q", "1", "10.3.0.2"]);
    let output = route.host.command(stock).output().unwrap_or_else(|error| {
        panic!("traceroute, the reference: {error}; apt-get install traceroute")
    });
    let stock: Vec<String> = stdout(&output)
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().nth(1).map(ToOwned::to_owned))
        .collect();
    assert_eq!(stock, ["10.1.0.2", "10.2.0.2", "10.3.0.2"]);
}

#[test]
fn a_router_that_says_nothing_is_a_hop_without_an_answer_and_no_loss_behind_it() {
    let route = Route::new();
    // It answers nobody, but forwards as before.
    let mute = "route add unreachable 10.1.0.0/24 table 9\nrule add iif lo table 9 priority 1\n";
    route.routers[1].ip(mute).unwrap();
    let (said, code) = route.probe(&["10.3.0.2", "--timeout", "0.5"]);
    assert_eq!(code, Some(0), "{said}");
    let expected = [vec!["10.1.0.2"], vec![], vec!["10.3.0.2"]];
    assert_eq!(ways(&said), expected, "{said}");
}

#[test]
fn a_router_that_limits_its_answers_is_told_from_a_line_that_loses() {
    let route = generous();
    let [near, far] = &route.routers;
    // One error message a minute, beyond the six that are granted at once (icmp(7)).
    near.sysctl("net/ipv4/icmp_ratelimit", "60000").unwrap();
    let arguments = [
        "10.3.0.2",
        "--method",
        "icmp",
        "--probes",
        "10",
        "--timeout",
        "0.5",
    ];
    let (said, code) = route.probe(&arguments);
    assert_eq!(code, Some(0), "{said}");
    let hops = said["report"]["hops"].as_array().unwrap();
    assert_eq!(hops[0]["standing"], "rate-limited-answers", "{said}");
    assert_eq!(hops[0]["sent"], 10, "{said}");
    assert!(hops[0]["answered"].as_u64().unwrap() < 10, "{said}");
    assert_eq!(hops[2]["standing"], "whole", "{said}");
    let rtt = ["min_us", "median_us", "max_us"].map(|one| hops[2]["rtt"][one].as_u64().unwrap());
    assert!(rtt.is_sorted(), "{said}");
    let loss = &said["report"]["loss"];
    assert_eq!(
        (&loss["lost"], &loss["share_ppm"]),
        (&json!(0), &json!(0)),
        "{said}"
    );

    // The second router passes on only every other packet that is not its own to answer.
    let mut lossy = Command::new("nft");
    lossy.arg(
        "table ip t { chain c { type filter hook forward priority 0; \
         iifname behind numgen inc mod 2 == 0 drop; }; }",
    );
    let output = far.command(lossy).output().unwrap_or_else(|error| {
        panic!("nft, which loses packets: {error}; apt-get install nftables")
    });
    assert!(output.status.success(), "{}", stderr(&output));
    let (said, code) = route.probe(&arguments);
    assert_eq!(code, Some(0), "{said}");
    let hops = said["report"]["hops"].as_array().unwrap();
    assert_eq!(hops[0]["standing"], "rate-limited-answers", "{said}");
    assert_eq!(hops[1]["standing"], "whole", "{said}");
    assert_eq!(hops[2]["standing"], "losing", "{said}");
    let loss = &said["report"]["loss"];
    assert_eq!(loss["from_hop"], 3, "{said}");
    assert_eq!(loss["certainty"], "measured", "{said}");
    assert_eq!(loss["share_ppm"], hops[2]["loss_ppm"], "{said}");
    let share = loss["share_ppm"].as_u64().unwrap();
    assert!((300_000..=700_000).contains(&share), "{said}");
}

#[test]
fn a_refusal_is_told_with_who_said_it_and_ends_with_1() {
    let route = Route::new();
    let ban = "route add prohibit 10.3.0.2\n";
    route.routers[1].ip(ban).unwrap();
    let (said, code) = route.probe(&["10.3.0.2"]);
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(said["report"]["end"]["refused"], "prohibited", "{said}");
    assert_eq!(ways(&said), [["10.1.0.2"], ["10.2.0.2"]], "{said}");
}

/// A route on which the error messages of the first router are not limited: a test asks more often than
/// people do.
fn generous() -> Route {
    let route = Route::new();
    for host in route.routers.iter().chain([&route.server]) {
        host.sysctl("net/ipv4/icmp_ratelimit", "0").unwrap();
        host.sysctl("net/ipv6/icmp/ratelimit", "0").unwrap();
    }
    route
}

#[test]
fn a_narrow_line_is_told_by_its_router_over_both_protocols() {
    let route = Route::new();
    for (target, method, by) in [
        ("10.3.0.2", "udp", "10.1.0.2"),
        ("10.3.0.2", "icmp", "10.1.0.2"),
        ("fd03::2", "udp", "fd01::2"),
    ] {
        let (said, code) = route.probe(&[target, "--method", method, "--mtu"]);
        assert_eq!(code, Some(0), "{said}");
        let found = &said["report"]["mtu"]["found"];
        assert_eq!(found["mtu_bytes"], NARROW, "{said}");
        assert_eq!(found["interface_bytes"], 1500, "{said}");
        assert_eq!(found["limit"]["router"]["by"], by, "{said}");
    }
}

#[test]
fn a_narrow_line_about_which_nobody_says_anything_is_a_black_hole_and_ends_with_1() {
    let route = Route::new();
    // The router in front believes the line wide; the one behind drops what is too big for it.
    route.routers[0].ip("link set ahead mtu 1500\n").unwrap();
    let (said, code) = route.probe(&["10.3.0.2", "--method", "icmp", "--timeout", "0.3", "--mtu"]);
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(said["report"]["end"], "reached", "{said}");
    let found = &said["report"]["mtu"]["found"];
    assert_eq!(found["limit"], "black-hole", "{said}");
    let mtu = found["mtu_bytes"].as_u64().unwrap();
    // A veth lets a VLAN tag's four bytes pass on top.
    assert!((1400..=1404).contains(&mtu), "{said}");
}

#[test]
fn a_black_hole_is_found_over_ipv6_too() {
    let route = Route::new();
    // The router in front believes the line wide; the one behind drops what is too big for it.
    route.routers[0].ip("link set ahead mtu 1500\n").unwrap();
    let (said, code) = route.probe(&["fd03::2", "--method", "icmp", "--timeout", "0.3", "--mtu"]);
    assert_eq!(code, Some(1), "{said}");
    assert_eq!(said["report"]["end"], "reached", "{said}");
    let found = &said["report"]["mtu"]["found"];
    assert_eq!(found["limit"], "black-hole", "{said}");
    let mtu = found["mtu_bytes"].as_u64().unwrap();
    assert!((1400..=1404).contains(&mtu), "{said}");
}

#[test]
fn stamp_tells_that_the_way_back_is_longer_than_the_way_there() {
    let route = Route::new();
    let [near, far] = &route.routers;
    // Back from the server, packets take a detour over a third router.
    let detour = enter().namespace("detour").unwrap();
    Namespace::cable((far, "aside"), (&detour, "back")).unwrap();
    Namespace::cable((&detour, "home"), (near, "side")).unwrap();
    for router in [&detour, near, far] {
        router.sysctl("net/ipv4/ip_forward", "1").unwrap();
        for device in ["all", "default"] {
            let setting = format!("net/ipv4/conf/{device}/rp_filter");
            router.sysctl(&setting, "0").unwrap();
        }
    }
    far.ip(
        "addr add 10.4.0.1/24 dev aside\nlink set aside up\nroute add 10.1.0.0/24 via 10.4.0.2\n",
    )
    .unwrap();
    detour
        .ip(
            "addr add 10.4.0.2/24 dev back\naddr add 10.5.0.1/24 dev home\n\
             link set back up\nlink set home up\nroute add default via 10.5.0.2\n",
        )
        .unwrap();
    near.ip("addr add 10.5.0.2/24 dev side\nlink set side up\n")
        .unwrap();
    let mut serve = messnetz(
        route.folder.path(),
        &["serve", "--listen", "10.3.0.2", "--json"],
    );
    serve.stdout(Stdio::piped());
    let mut serving = route.server.spawn(serve).unwrap();
    let mut first = String::new();
    let mut said = BufReader::new(serving.stdout.take().unwrap());
    said.read_line(&mut first).unwrap();
    let (found, code) = route.probe(&["10.3.0.2", "--stamp=8862"]);
    let _ = serving.kill();
    let _ = serving.wait();
    assert_eq!(code, Some(0), "{found}{first}");
    let hops = &found["report"]["stamp"]["found"]["hops"];
    assert_eq!(hops["up"], json!({"fewest": 3, "most": 3}), "{found}");
    assert_eq!(hops["down"], json!({"fewest": 4, "most": 4}), "{found}");
}

#[test]
fn the_hop_is_found_at_which_the_class_of_packets_is_changed_over_both_protocols() {
    for (protocol, target) in [("ip", "10.3.0.2"), ("ip6", "fd03::2")] {
        let route = generous();
        let mut bleach = Command::new("nft");
        bleach.arg(format!(
            "table {protocol} t {{ chain c {{ type filter hook postrouting priority 0; \
         {protocol} daddr {target} {protocol} dscp 46 {protocol} dscp set 0; }}; }}"
        ));
        let output = route.routers[0]
            .command(bleach)
            .output()
            .unwrap_or_else(|error| {
                panic!("nft, which changes the class: {error}; apt-get install nftables")
            });
        assert!(output.status.success(), "{}", stderr(&output));
        let (said, code) = route.probe(&[target, "--dscp"]);
        assert_eq!(code, Some(0), "{said}");
        let markings = said["report"]["dscp"].as_array().unwrap();
        let changed: Vec<_> = markings
            .iter()
            .map(|one| (one["dscp"].as_u64(), one["changed"]["hop"].as_u64()))
            .collect();
        assert_eq!(
            changed,
            [(Some(0), None), (Some(34), None), (Some(46), Some(2))],
            "{said}"
        );
        assert_eq!(markings[2]["changed"]["dscp"], 0, "{said}");
        assert!(
            markings
                .iter()
                .all(|one| one["seen"].as_array().unwrap().len() >= 2),
            "{said}"
        );
    }
}
