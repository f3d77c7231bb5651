//! The Debian packages that the tests need: the one list, with the reason for each.

use anyhow::{Result, bail};

use crate::cargo::{Call, is_installed, is_root};

/// A package, and how it is seen that it is there.
pub(crate) struct Package {
    name: &'static str,
    programs: &'static [&'static str],
    reason: &'static str,
}

/// What only a bench needs.
pub(crate) const VICTORIA_METRICS: Package = Package {
    name: "victoria-metrics",
    programs: &["victoria-metrics"],
    reason: "the store that taking batches in is compared with",
};

const PACKAGES: [Package; 12] = [
    Package {
        name: "curl",
        programs: &["curl"],
        reason: "a client of HTTP that is not ours: for the objects of responsiveness, and for the examples of docs/wire.md",
    },
    Package {
        name: "faketime",
        programs: &["faketime"],
        reason: "gives agent and collector clocks that the tests can set",
    },
    Package {
        name: "iperf3",
        programs: &["iperf3"],
        reason: "the reference that our own goodput is compared with",
    },
    Package {
        name: "iproute2",
        programs: &["ip", "tc"],
        reason: "shapes the lines between the schools of the demo and of the tests",
    },
    Package {
        name: "iputils-ping",
        programs: &["ping"],
        reason: "the reference that our own round-trip times are compared with",
    },
    Package {
        name: "jq",
        programs: &["jq"],
        reason: "reads tickets and batches in the examples of docs/wire.md, which a test runs",
    },
    Package {
        name: "nodejs",
        programs: &["node"],
        reason: "runs M-Lab's own ndt7 client against our servers",
    },
    Package {
        name: "npm",
        programs: &["npm"],
        reason: "fetches M-Lab's own ndt7 client",
    },
    Package {
        name: "nftables",
        programs: &["nft"],
        reason: "changes the class of packets on the way, where a path is to be seen to do so",
    },
    Package {
        name: "openssl",
        programs: &["openssl"],
        reason: "makes keys and signatures that ours are held against, in the examples of docs/wire.md",
    },
    Package {
        name: "strace",
        programs: &["strace"],
        reason: "writes down what a spool asks of the kernel, so that the power can be cut between any two of it",
    },
    Package {
        name: "traceroute",
        programs: &["traceroute"],
        reason: "the reference that the hops of our own paths are compared with",
    },
];

/// Installs what of the tests' is missing where this is root, and names it where it is not.
pub(crate) fn provide() -> Result<()> {
    provide_all(&PACKAGES)
}

/// The same for what only a bench needs.
pub(crate) fn provide_for_bench(package: &Package) -> Result<()> {
    provide_all(std::slice::from_ref(package))
}

fn provide_all(packages: &[Package]) -> Result<()> {
    let missing: Vec<&Package> = packages
        .iter()
        .filter(|package| !package.programs.iter().all(|name| is_installed(name)))
        .collect();
    if missing.is_empty() {
        println!("all {} Debian packages are there", packages.len());
        return Ok(());
    }
    for package in &missing {
        println!("missing: {} ({})", package.name, package.reason);
    }
    let names = missing
        .iter()
        .map(|package| package.name)
        .collect::<Vec<_>>()
        .join(" ");
    let install = format!("apt-get install --yes --no-install-recommends {names}");
    if !is_root()? {
        bail!("this needs Debian packages that are missing; run: sudo {install}");
    }
    if !is_installed("apt-get") {
        bail!("this needs {names}, and this is no Debian: install them by hand");
    }
    // A fresh image has no package lists at all.
    Call::new("apt-get update")
        .with("DEBIAN_FRONTEND", "noninteractive")
        .run()?;
    Call::new(&install)
        .with("DEBIAN_FRONTEND", "noninteractive")
        .run()
}
