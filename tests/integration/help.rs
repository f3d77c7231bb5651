//! The command line as its users see it.

use clap::Command;

/// Every command with the way to it.
fn commands(command: &Command, path: &str, found: &mut Vec<(String, Command)>) {
    found.push((path.to_owned(), command.clone()));
    for sub in command
        .get_subcommands()
        .filter(|sub| sub.get_name() != "help")
    {
        commands(sub, &format!("{path} {}", sub.get_name()), found);
    }
}

#[test]
fn every_help_is_as_written_down() {
    let mut found = Vec::new();
    let mut program = messnetz::cli::command();
    program.build();
    commands(&program, "messnetz", &mut found);
    for (path, command) in found {
        let help = command.term_width(100).render_long_help().to_string();
        insta::with_settings!({ description => path.clone(), omit_expression => true }, {
            insta::assert_snapshot!(path.replace(' ', "-"), help);
        });
    }
}

#[test]
fn every_command_that_prints_a_result_has_json() {
    let mut found = Vec::new();
    commands(&messnetz::cli::command(), "messnetz", &mut found);
    // These print no result: they serve until stopped, write files, or show a secret once.
    let silent = [
        "messnetz agent run",
        "messnetz agent start",
        "messnetz collector run",
        "messnetz collector init",
        "messnetz collector token",
    ];
    for (path, command) in found
        .iter()
        .filter(|(_, command)| !command.has_subcommands())
    {
        let has_json = command
            .get_arguments()
            .any(|argument| argument.get_long() == Some("json"));
        assert!(
            has_json || silent.contains(&path.as_str()),
            "{path} has no --json"
        );
    }
}
