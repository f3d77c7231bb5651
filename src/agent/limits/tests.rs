//! What the limits let pass, and what they say of the rest.

use messnetz_metric::Direction;
use messnetz_probes::address::{Scope, scope};
use proptest::prelude::*;

use super::*;

fn task(every_ms: u64, probe: Probe) -> Task {
    Task {
        every_ms,
        phase_ms: 0,
        interface: None,
        hours: None,
        slots: None,
        probe,
    }
}

fn tcp(target: &str) -> Task {
    task(
        60_000,
        Probe::Tcp {
            target: target.to_owned(),
        },
    )
}

fn refused(limits: &Limits, task: &Task) -> String {
    let failure = limits.check(task).unwrap_err();
    assert_eq!(failure.reason, FailureReason::Permission);
    failure.detail
}

fn read(text: &str) -> Result<Limits, Problem> {
    toml_file::read("limits.toml", text)
}

#[test]
fn the_documented_file_says_what_holds_without_one() {
    let page = include_str!("../../../docs/limits.md");
    let file = page
        .split("```")
        .find_map(|part| part.strip_prefix("toml\n"));
    assert_eq!(read(file.unwrap()).unwrap(), Limits::default());
    assert_eq!(read("").unwrap(), Limits::default());
    let written = toml::to_string(&Limits::default()).unwrap();
    assert_eq!(read(&written).unwrap(), Limits::default());
}

#[test]
fn a_misspelt_limit_is_no_limit_and_is_named() {
    let said = read("[targets]\npublc = false\n").unwrap_err().to_string();
    assert!(said.contains("limits.toml:2"), "{said}");
    assert!(said.contains("did you mean `public`"), "{said}");
    assert!(read("probes = [\"icpm\"]").is_err());
    assert!(read("[targets]\nnetworks = [\"10.0.0.0/33\"]").is_err());
}

#[test]
fn a_file_that_was_asked_for_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("limits.toml");
    assert_eq!(Limits::load(&path, false).unwrap(), Limits::default());
    let said = Limits::load(&path, true).unwrap_err().to_string();
    assert!(said.contains("limits.toml"), "{said}");
    fs::write(&path, "tasks = 3\n").unwrap();
    assert_eq!(Limits::load(&path, true).unwrap().tasks, 3);
}

#[test]
fn each_limit_names_itself() {
    let ndt7 = |duration_ms| Probe::Ndt7 {
        direction: Direction::Down,
        duration_ms,
        congestion: None,
    };
    let limits = read(
        "probes = [\"ndt7\", \"tcp\", \"icmp\"]\ninterfaces = [\"eth0\"]\n\
         [tests]\nlongest_ms = 5_000\n[targets]\nhosts = [\"a.example\", \"*.b.example\"]\n",
    )
    .unwrap();
    let burst = Burst {
        count: 1,
        interval_ms: 1,
        timeout_ms: 1,
    };
    let flood = Probe::Icmp {
        peer: crate::wire::Peer::Collector,
        burst,
    };
    let wlan = Task {
        interface: Some("wlan0".to_owned()),
        ..tcp("a.example:1")
    };
    for (task, expected) in [
        (task(600_000, Probe::Link), "`probes`"),
        (task(1_000, ndt7(1_000)), "`every_ms`"),
        (task(600_000, ndt7(5_001)), "`tests.longest_ms`"),
        (task(600_000, flood), "`packet_interval_ms`"),
        (wlan, "`interfaces`"),
        (tcp("c.example:1"), "`targets.hosts`"),
        (tcp("b.example:1"), "`targets.hosts`"),
        (tcp("xb.example:1"), "`targets.hosts`"),
    ] {
        let said = refused(&limits, &task);
        assert!(said.contains(expected), "{said}");
    }
    limits.check(&task(600_000, ndt7(5_000))).unwrap();
    limits.check(&tcp("A.example:443")).unwrap();
    limits.check(&tcp("x.b.example.:443")).unwrap();
}

#[test]
fn tasks_beyond_the_most_are_left_out() {
    let limits = read("tasks = 1\n").unwrap();
    let schedule = Schedule {
        upload_every_ms: 1,
        budgets: Vec::new(),
        tasks: vec![tcp("a.example:1"), tcp("b.example:1")],
    };
    let admitted: Vec<bool> = limits.admit(&schedule).map(|(_, it)| it.is_ok()).collect();
    assert_eq!(admitted, [true, false]);
}

#[test]
fn without_a_file_no_network_of_a_school_can_be_scanned() {
    let own: Vec<IpNetwork> = ["10.1.2.3/24", "2620:fe:7:1::5/64"]
        .map(|one| one.parse().unwrap())
        .into();
    let resolvers = ["10.1.0.53".parse().unwrap()];
    let reaches = Limits::default().reaches(&own, &resolvers);
    let Reaches {
        services,
        resolvers,
        endpoints,
    } = reaches;
    for (address, expected) in [
        ("1.1.1.1", (true, true, false)),
        ("10.1.2.9", (false, false, true)),
        ("10.1.3.9", (false, false, false)),
        ("10.1.0.53", (false, true, false)),
        ("2620:fe:7:1::9", (false, false, true)),
        ("2620:fe:7:2::9", (false, false, false)),
        ("127.0.0.1", (false, false, false)),
    ] {
        let address = address.parse().unwrap();
        let is = (
            services.includes(address),
            resolvers.includes(address),
            endpoints.includes(address),
        );
        assert_eq!(is, expected, "{address}");
    }
}

proptest! {
    #[test]
    fn no_address_but_a_public_one_or_a_listed_one_is_ever_in_reach(
        bits: u128,
        is_v4: bool,
        own in (any::<u32>(), 8..=32_u8),
        public: bool,
        listed in (any::<u32>(), 1..=32_u8),
    ) {
        let v4 = |bits: u32| IpAddr::from(bits.to_be_bytes());
        let address = if is_v4 { v4(bits as u32) } else { IpAddr::from(bits.to_be_bytes()) };
        let network = |(bits, prefix)| IpNetwork::new(v4(bits), prefix).unwrap();
        let mut limits = Limits::default();
        limits.targets.public = public;
        limits.targets.networks = vec![network(listed)];
        let (own, listed) = ([network(own)], network(listed));
        let reaches = limits.reaches(&own, &[]);
        let is_listed = listed.contains(address.to_canonical());
        if reaches.services.includes(address) && !is_listed {
            prop_assert!(public && scope(address) == Scope::Public && !own[0].contains(address));
        }
        if reaches.endpoints.includes(address) && !is_listed {
            prop_assert!(own[0].contains(address.to_canonical()));
        }
    }
}
