//! The peer: Debian's `victoria-metrics`, fed by its import API (JSON lines) with the same batches.
//!
//! It speaks plain HTTP, knows no sender, and writes to the disk when it likes: an answer of it is no promise.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use anyhow::Result;
use tempfile::TempDir;

use crate::conversation::{FarEnd, Request, post};
use crate::measured::Measured;
use crate::process::Server;
use crate::town::free_address;

/// The peer at work.
#[derive(Debug)]
pub(crate) struct Victoria {
    pub(crate) server: Server,
    address: SocketAddr,
    _folder: TempDir,
}

impl Victoria {
    pub(crate) fn start() -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("messnetz-peer-")
            .tempdir()?;
        let address = free_address()?;
        let mut command = Command::new("victoria-metrics");
        command
            .arg(format!("-httpListenAddr={address}"))
            .arg(format!("-storageDataPath={}", folder.path().display()))
            .args(["-retentionPeriod=1y", "-loggerLevel=ERROR"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Ok(Self {
            server: Server::start(&mut command, address)?,
            address,
            _folder: folder,
        })
    }

    pub(crate) fn far_end(&self) -> FarEnd {
        FarEnd::new(self.address, None)
    }
}

/// A batch as a request: one line a series.
pub(crate) fn request(site: &str, agent: &str, measured: &[Measured]) -> Result<Request> {
    let mut body = String::new();
    for series in measured {
        let peer = &series.peer;
        write!(
            body,
            "{{\"metric\":{{\"__name__\":\"line_rtt_us\",\"site\":\"{site}\",\"agent\":\"{agent}\",\
             \"medium\":\"unknown\",\"peer\":\"{peer}\"}},\"values\":["
        )?;
        joined(&mut body, series.samples.iter().map(|(_, micros)| micros))?;
        body.push_str("],\"timestamps\":[");
        joined(&mut body, series.samples.iter().map(|(at, _)| at))?;
        body.push_str("]}\n");
    }
    Ok(post("/api/v1/import", "", body.as_bytes()))
}

fn joined(text: &mut String, numbers: impl Iterator<Item = impl std::fmt::Display>) -> Result<()> {
    for (place, number) in numbers.enumerate() {
        let comma = if place > 0 { "," } else { "" };
        write!(text, "{comma}{number}")?;
    }
    Ok(())
}
