//! Both ends of an iperf3 test as processes of their own, for `cargo xtask bench measuring`.
//!
//! `iperf3 serve ADDRESS [copying]` prints its address, serves one test, and prints its report.
//! `iperf3 run ADDRESS SECONDS CONGESTION [copying]` prints its report.
//! With `copying`, what arrives is copied out of the kernel, as an application would have it.
//! Both write JSON, and the CPU time of the process in it.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use messnetz_metric::{Failure, FailureReason};
use messnetz_probes::iperf3::{Config, Flow, Parameters, ReceivePath, Report, Server, Test};
use nix::sys::resource::{UsageWho, getrusage};

const USAGE: &str =
    "usage: iperf3 serve ADDRESS [copying] | iperf3 run ADDRESS SECONDS CONGESTION [copying]";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let report = match words.as_slice() {
        ["serve", address, rest @ ..] => serve(address, rest).await,
        ["run", address, seconds, congestion, rest @ ..] => {
            run(address, seconds, congestion, rest).await
        }
        _ => Err(unusable(USAGE)),
    };
    match report {
        Ok(report) => {
            println!("{}", written(&report));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("iperf3: {failure}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(address: &str, words: &[&str]) -> Result<Report, Failure> {
    let mut config = Config::new(address.parse().map_err(|_| unusable("no address"))?);
    config.receive = receive(words)?;
    let server = Server::bind(config)?;
    let address = server.address().map_err(|error| unusable(&error))?;
    println!("{address}");
    let (sender, mut outcomes) = tokio::sync::mpsc::unbounded_channel();
    let serving = server.run(move |served| {
        let _ = sender.send(served.outcome);
    });
    tokio::select! {
        () = serving => Err(unusable("the server ended")),
        Some(outcome) = outcomes.recv() => outcome,
    }
}

async fn run(
    address: &str,
    seconds: &str,
    congestion: &str,
    words: &[&str],
) -> Result<Report, Failure> {
    let address: SocketAddr = address.parse().map_err(|_| unusable("no address"))?;
    let seconds = seconds.parse().map_err(|_| unusable("no number"))?;
    let parameters = Parameters {
        congestion: Some(congestion.to_owned()),
        ..Parameters::tcp(Flow::Up, Duration::from_secs(seconds))
    };
    let mut test = Test::new(address, parameters);
    test.receive = receive(words)?;
    test.run(|_| {}).await
}

fn receive(words: &[&str]) -> Result<ReceivePath, Failure> {
    match words {
        [] => Ok(ReceivePath::Discard),
        ["copying"] => Ok(ReceivePath::Copy),
        _ => Err(unusable(USAGE)),
    }
}

fn written(report: &Report) -> serde_json::Value {
    let cpu = getrusage(UsageWho::RUSAGE_SELF).map_or(0.0, |usage| {
        let seconds =
            |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
        seconds(usage.user_time()) + seconds(usage.system_time())
    });
    serde_json::json!({ "report": report, "cpu_seconds": cpu })
}

fn unusable(what: &(impl std::fmt::Display + ?Sized)) -> Failure {
    Failure::new(FailureReason::Protocol, what)
}
