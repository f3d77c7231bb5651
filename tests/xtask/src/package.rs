//! `cargo xtask package`: both Debian packages, whether they hold what they should and nothing else, and whether they
//! can be installed and removed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::cargo::{Call, is_installed, root, target_dir};

/// What packages may depend on: libc6 itself depends on libgcc-s1.
const DEPENDS: [&str; 2] = ["libc6", "libgcc-s1"];

/// The libraries of those two packages, by the beginnings of their names; what a program needs beyond them, a box
/// of another architecture may not have.
const LIBRARIES: [&str; 4] = ["libc.so.", "libm.so.", "libgcc_s.so.", "ld-linux"];

struct Package {
    variant: &'static str,
    unit: &'static str,
}

const PACKAGES: [Package; 2] = [
    Package {
        variant: "agent",
        unit: "messnetz-agent.service",
    },
    Package {
        variant: "collector",
        unit: "messnetz-collector.service",
    },
];

/// Builds the packages in this profile of cargo, and checks them.
pub(crate) fn run(profile: &str) -> Result<()> {
    for (tool, from) in [
        ("cargo-deb", "cargo install --locked cargo-deb"),
        ("dpkg-deb", "Debian's package dpkg"),
        ("readelf", "Debian's package binutils"),
    ] {
        ensure!(
            is_installed(tool),
            "NOT CHECKED: packages need {tool} ({from})"
        );
    }
    let folder = target_dir()?.join("packages");
    let maintainer = maintainer()?;
    println!("maintainer of the packages: {maintainer}");
    for package in &PACKAGES {
        let name = format!("messnetz-{}", package.variant);
        let deb = folder.join(format!("{name}.deb"));
        let mut call = Call::new(&format!(
            "cargo deb --locked --package messnetz --variant {} --profile {profile} --output {}",
            package.variant,
            deb.display()
        ));
        call.words
            .extend(["--maintainer".to_owned(), maintainer.clone()]);
        call.run()?;
        let is_not_right = || format!("{} is not right", deb.display());
        check(package, &name, &deb).with_context(is_not_right)?;
        lint(&deb).with_context(is_not_right)?;
        install(package, &name, &deb).with_context(is_not_right)?;
        println!("{}: as it should be", deb.display());
    }
    Ok(())
}

/// Who stands in the packages: as Debian's own tools have it, or as git has it.
fn maintainer() -> Result<String> {
    let asked = |variable: &str, key: &str| {
        let said = std::env::var(variable).or_else(|_| said("git", &["config", key]));
        said.map(|text| text.trim().to_owned()).with_context(|| {
            format!("who builds the packages? set {variable}, or git config {key}")
        })
    };
    let name = asked("DEBFULLNAME", "user.name")?;
    let address = asked("DEBEMAIL", "user.email")?;
    check_maintainer(&name, &address)?;
    Ok(format!("{name} <{address}>"))
}

fn check_maintainer(name: &str, address: &str) -> Result<()> {
    let is_one_line = |text: &str| !text.contains(|c: char| c.is_control() || "<>".contains(c));
    ensure!(
        !name.is_empty()
            && is_one_line(name)
            && is_one_line(address)
            && address.contains('@')
            && !address.ends_with(".invalid"),
        "'{name} <{address}>' is nobody whom users of a package could write to: set DEBFULLNAME and DEBEMAIL"
    );
    Ok(())
}

/// What lintian finds and this project does not have: manual pages, and a changelog in Debian's own form.
const LINTIAN_LEAVES: &str = "no-manual-page,no-changelog";

/// Has Debian's own checker look at a package, where it is there.
fn lint(deb: &Path) -> Result<()> {
    if !is_installed("lintian") {
        println!(
            "NOT CHECKED: {} by lintian, which is not here",
            deb.display()
        );
        return Ok(());
    }
    let deb = deb.display().to_string();
    let arguments = [
        "--suppress-tags",
        LINTIAN_LEAVES,
        "--fail-on",
        "error,warning",
    ];
    let found = said("lintian", &[&arguments[..], &[&deb]].concat())?;
    ensure!(found.trim().is_empty(), "lintian says: {found}");
    Ok(())
}

/// Installs a package over this system, in a place that ends with the call, and removes it again.
const INSTALL: &str = r#"set -eu
mount -t tmpfs tmpfs /mnt || exit 77
mkdir /mnt/upper /mnt/work /mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work /mnt/root || exit 77
mount -t proc proc /mnt/root/proc
cp "$1" /mnt/root/tmp/package.deb
in_root() { chroot /mnt/root "$@"; }
in_root dpkg --force-conflicts -i /tmp/package.deb >&2
in_root messnetz --version
in_root systemctl is-enabled "$2"
in_root systemd-analyze verify --man=no "/usr/lib/systemd/system/$2"
in_root dpkg --purge "$3" >&2
test ! -e /mnt/root/usr/bin/messnetz
echo gone
"#;

/// Exit code of [`INSTALL`] where this machine cannot lay one file system over another.
const NO_OVERLAY: i32 = 77;

fn install(package: &Package, name: &str, deb: &Path) -> Result<()> {
    let not_checked = |why: &str| {
        println!("NOT CHECKED: whether {name} can be installed and removed: {why}");
        Ok(())
    };
    if !is_root() {
        return not_checked("this is not root");
    }
    let deb = deb.display().to_string();
    let output = Command::new("unshare")
        .args([
            "--mount",
            "sh",
            "-c",
            INSTALL,
            "sh",
            &deb,
            package.unit,
            name,
        ])
        .output()
        .context("cannot run unshare")?;
    let errors = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(NO_OVERLAY) {
        return not_checked(errors.trim());
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<&str> = said.lines().collect();
    ensure!(
        output.status.success()
            && matches!(lines.as_slice(), [version, "enabled", "gone"] if version.starts_with("messnetz ")),
        "installing it said: {said}{errors}"
    );
    Ok(())
}

/// Whether this is root.
fn is_root() -> bool {
    said("id", &["-u"]).is_ok_and(|id| id.trim() == "0")
}

fn check(package: &Package, name: &str, deb: &Path) -> Result<()> {
    let deb = deb.display().to_string();
    ensure!(said("dpkg-deb", &["-f", &deb, "Package"])?.trim() == name);
    check_dependencies(&said("dpkg-deb", &["-f", &deb, "Depends"])?)?;
    check_contents(package, name, &said("dpkg-deb", &["-c", &deb])?)?;
    let place = unpacked(&deb)?;
    let program = place.join("usr/bin/messnetz").display().to_string();
    check_libraries(&said("readelf", &["-d", &program])?)?;
    let version = said(&program, &["--version"])?;
    ensure!(version.starts_with("messnetz "), "it says '{version}'");
    let commands = said(&program, &["--help"])?;
    ensure!(
        commands.contains("\n  collector ") == (package.variant == "collector"),
        "it holds another part of the program: {commands}"
    );
    std::fs::remove_dir_all(&place).context("removing what was unpacked")
}

fn check_dependencies(depends: &str) -> Result<()> {
    for depended in depends.split(',') {
        let name = depended.split_whitespace().next().unwrap_or_default();
        ensure!(DEPENDS.contains(&name), "it depends on '{name}'");
    }
    Ok(())
}

/// The lines of `dpkg-deb -c`: mode, owner, size, day, time, path.
fn check_contents(package: &Package, name: &str, listed: &str) -> Result<()> {
    let unit = format!("./usr/lib/systemd/system/{}", package.unit);
    let documents = format!("./usr/share/doc/{name}/");
    let (mut has_program, mut has_unit) = (false, false);
    for line in listed.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [mode, owner, .., path] = words.as_slice() else {
            bail!("dpkg-deb says '{line}'");
        };
        ensure!(
            *owner == "root/root" || *owner == "0/0",
            "{path} is of {owner}"
        );
        let expected = if mode.starts_with('d') {
            "drwxr-xr-x"
        } else if *path == "./usr/bin/messnetz" {
            has_program = true;
            "-rwxr-xr-x"
        } else if *path == unit {
            has_unit = true;
            "-rw-r--r--"
        } else if path.starts_with(&documents) {
            "-rw-r--r--"
        } else {
            bail!("{path} does not belong there");
        };
        ensure!(*mode == expected, "{path} has mode {mode}");
    }
    ensure!(has_program, "it has no program");
    ensure!(has_unit, "it has no unit {unit}");
    Ok(())
}

/// The lines of `readelf -d` that name libraries.
fn check_libraries(dynamic: &str) -> Result<()> {
    let needed = dynamic.lines().filter(|line| line.contains("(NEEDED)"));
    let mut names = needed.filter_map(|line| Some(line.split_once('[')?.1.trim_end_matches(']')));
    let foreign = names.find(|name| !LIBRARIES.iter().any(|known| name.starts_with(known)));
    match foreign {
        Some(name) => {
            bail!("the program needs {name}, which boxes of another architecture may not have")
        }
        None => Ok(()),
    }
}

/// Unpacks a package into a root of its own.
fn unpacked(deb: &str) -> Result<PathBuf> {
    let place = target_dir()?.join("packages/unpacked");
    if place.exists() {
        std::fs::remove_dir_all(&place).context("removing what was unpacked before")?;
    }
    said("dpkg-deb", &["-x", deb, &place.display().to_string()])?;
    Ok(place)
}

fn said(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("{program} {}: {}", arguments.join(" "), errors.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_and_a_library_beyond_libc_are_refused() {
        check_dependencies("libc6 (>= 2.34), libgcc-s1 (>= 4.2)").unwrap();
        let error = check_dependencies("libc6, libssl3").unwrap_err();
        assert_eq!(error.to_string(), "it depends on 'libssl3'");
        let line = |name: &str| format!(" 0x01 (NEEDED)  Shared library: [{name}]\n");
        check_libraries(&(line("libc.so.6") + &line("ld-linux-aarch64.so.1"))).unwrap();
        let error = check_libraries(&(line("libc.so.6") + &line("libsqlite3.so.0"))).unwrap_err();
        assert!(error.to_string().contains("libsqlite3.so.0"), "{error}");
    }

    #[test]
    fn nobody_and_an_address_that_leads_nowhere_are_no_maintainer() {
        check_maintainer("Town of Musterstadt", "it@musterstadt.example").unwrap();
        for (name, address) in [
            ("", "it@musterstadt.example"),
            ("Publisher", "publisher@messnetz.invalid"),
            ("Publisher", "nowhere"),
            ("A\nDepends: b", "it@musterstadt.example"),
        ] {
            assert!(check_maintainer(name, address).is_err(), "{name} {address}");
        }
    }

    #[test]
    fn a_file_that_does_not_belong_and_a_mode_that_is_too_wide_are_refused() {
        let program = "-rwxr-xr-x root/root 9 2026-01-01 00:00 ./usr/bin/messnetz\n";
        let unit = "-rw-r--r-- root/root 9 2026-01-01 00:00 ./usr/lib/systemd/system/messnetz-agent.service\n";
        let checked = |listed: String| check_contents(&PACKAGES[0], "messnetz-agent", &listed);
        checked(format!("{program}{unit}")).unwrap();
        let other = "-rw-r--r-- root/root 9 2026-01-01 00:00 ./etc/passwd\n";
        assert!(checked(format!("{program}{unit}{other}")).is_err());
        assert!(
            checked(format!(
                "{unit}{}",
                program.replace("rwxr-xr-x", "rwsr-xr-x")
            ))
            .is_err()
        );
        assert!(checked(unit.to_owned()).is_err());
        assert!(checked(program.to_owned()).is_err());
    }
}
