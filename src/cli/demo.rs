//! `messnetz demo`: the main job on this machine, in a minute and a half.

use std::cell::Cell;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Ending, asked_to_stop, block_on, print, write_examples};
use crate::demo::network::Network;
use crate::demo::{AUTHORITY, Demo, Options, Progress};
use crate::text::Language;

/// Show the main job on this machine: an example town, real agents, real packets.
///
/// Builds a town hall with a collector and three schools with shaped lines out of network namespaces,
/// lets real agents enrol, measure and upload, and prints target against measurement. Needs no network
/// and, where the kernel allows user namespaces, no root.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  messnetz demo --once --lang en\n  messnetz demo --write-config my-town\n  messnetz demo --config my-town\n\nWritten to the results folder: coverage and throughput charts (SVG, PNG), recommendations.json,\nreport.json, dashboard.html, and under run/ what collector and agents kept."
)]
pub(super) struct Arguments {
    /// End after the results are written, instead of serving the dashboard until Ctrl-C
    #[arg(long)]
    once: bool,
    /// Results folder
    #[arg(long, value_name = "DIR", default_value = "messnetz-demo")]
    out: PathBuf,
    /// Folder with your own network.toml (lines) and authority.toml (schools)
    #[arg(long, value_name = "DIR")]
    config: Option<PathBuf>,
    /// Write the example's network.toml and authority.toml there, to be changed, and end
    #[arg(long, value_name = "DIR", conflicts_with_all = ["once", "config"])]
    write_config: Option<PathBuf>,
    /// Port of the dashboard on 127.0.0.1; 0 for any that is free
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Language of table, charts and dashboard
    #[arg(long, value_enum, default_value_t = Language::De)]
    lang: Language,
    /// Print the whole report as JSON instead of the table
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> anyhow::Result<Ending> {
    if let Some(folder) = &arguments.write_config {
        let files = [
            ("network.toml", Network::built_in_text()),
            ("authority.toml", AUTHORITY),
        ];
        write_examples(folder, &files)?;
        return Ok(Ending::Well);
    }
    let options = Options {
        results: arguments.out.clone(),
        config: arguments.config.clone(),
        port: arguments.port,
        language: arguments.lang,
    };
    let progress = Display::new();
    // Signals are caught from here on, so that an early Ctrl-C finds everything taken down too. The
    // runtime has no threads of its own: the demo has to start on the only thread there is.
    block_on(async {
        let stop = asked_to_stop();
        tokio::pin!(stop);
        // Polled once so that the handlers are in place before anything is started.
        tokio::select! {
            biased;
            () = &mut stop => return Ok(Ending::Well),
            () = std::future::ready(()) => {}
        }
        let mut demo = Demo::start(&options, &progress).await?;
        let shown = async {
            demo.wait_for_verdicts(&progress).await?;
            let table = demo.results().await?;
            progress.end();
            if arguments.json {
                print(&demo.report_json().await?)?;
            } else {
                print(&table)?;
            }
            let mut stderr = io::stderr();
            let lost = demo.frames_lost_by_the_machine();
            if lost > 0 {
                writeln!(
                    stderr,
                    "note: this machine dropped {lost} frames before the emulated lines saw them; as root, or with a larger net.core.rmem_max, it drops none"
                )?;
            }
            writeln!(
                stderr,
                "charts, recommendations and report: {}",
                options.results.display()
            )?;
            if !arguments.once {
                writeln!(
                    stderr,
                    "dashboard: {}   (Ctrl-C ends the demo)",
                    demo.dashboard()
                )?;
                std::future::pending::<()>().await;
            }
            anyhow::Ok(())
        };
        tokio::select! {
            result = shown => result?,
            () = &mut stop => progress.end(),
        }
        Ok(Ending::Well)
    })
}

/// A bar on a terminal; elsewhere a line for every stage.
struct Display {
    bar: Option<ProgressBar>,
    reported: Cell<usize>,
}

impl Display {
    fn new() -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(1);
            if let Ok(style) =
                ProgressStyle::with_template("{spinner} {msg} {wide_bar} {pos}/{len} s")
            {
                bar.set_style(style);
            }
            bar
        });
        Self {
            bar,
            reported: Cell::new(usize::MAX),
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Display {
    fn stage(&self, what: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(what.to_owned()),
            None => eprintln!("{what} …"),
        }
    }

    fn verdicts(&self, decided: usize, all: usize, elapsed: Duration, at_most: Duration) {
        match &self.bar {
            Some(bar) => {
                // Not before: a ticking bar is a thread, and the town is built while there is only one.
                bar.enable_steady_tick(Duration::from_millis(120));
                bar.set_length(at_most.as_secs());
                bar.set_position(elapsed.as_secs());
                bar.set_message(format!("measuring: {decided} of {all} verdicts"));
            }
            None if self.reported.replace(decided) != decided => {
                eprintln!(
                    "measuring: {decided} of {all} verdicts after {} s",
                    elapsed.as_secs()
                );
            }
            None => {}
        }
    }
}
