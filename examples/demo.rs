//! Shows smail at work without changing the machine or using the network: a mail server on a
//! loopback port with a new certificate (STARTTLS, login required), a separate home directory with
//! one settings file, and one `echo body | smail …`.
//!
//! `make demo` builds smail and runs this; by hand: `cargo build && cargo run --example demo`.
use std::path::PathBuf;
use std::process::ExitCode;

#[path = "../tests/it/support/mod.rs"]
mod support;

use support::sandbox::Sandbox;
use support::sink::Options;

const USER: &str = "you@example.com";
/// The server runs in this process and ends with it, so its password protects nothing.
const PASSWORD: &str = "correct horse battery staple";

fn main() -> ExitCode {
    let Some(smail) = built_smail() else {
        eprintln!("demo: smail is not built yet: run `cargo build` first, or `make demo`");
        return ExitCode::FAILURE;
    };
    let server = Options::new()
        .starttls()
        .login(USER, PASSWORD)
        .size(10_000_000)
        .start();
    let sandbox = Sandbox::for_binary(&smail);
    let authority = sandbox.pem("ca");
    let settings = format!(
        "from = \"{USER}\"\nsmtp = \"127.0.0.1:{}\"\ntls = \"starttls\"\ntls-ca-file = \"{}\"\nauth-user = \"{USER}\"\nauth-password = \"{PASSWORD}\"\n",
        server.port(),
        authority.display()
    );
    sandbox.write("home/.config/smail/config.toml", &settings);
    println!(
        "~/.config/smail/config.toml\n\n{}",
        indented(&settings.replace(PASSWORD, "…"))
    );
    println!("$ echo body | smail -v -s subj {USER}\n");
    let outcome = sandbox
        .smail(&["-v", "-s", "subj", USER])
        .stdin("body\n")
        .run();
    println!("{}", indented(&outcome.stderr));
    let mails = server.mails();
    let Some(mail) = mails.first() else {
        println!(
            "exit status {}; the server received nothing",
            outcome.status
        );
        return ExitCode::FAILURE;
    };
    let protection = if mail.tls { "under TLS" } else { "in clear" };
    println!(
        "The server received from {} for {}, {protection}, logged in as {}:\n",
        mail.from,
        mail.to.join(", "),
        mail.user.as_deref().unwrap_or("nobody")
    );
    println!("{}", indented(&mail.text().replace("\r\n", "\n")));
    println!("exit status {}", outcome.status);
    if outcome.status == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The smail that was built with this example: `target/PROFILE/examples/demo` belongs to
/// `target/PROFILE/smail`.
fn built_smail() -> Option<PathBuf> {
    let smail = std::env::current_exe()
        .ok()?
        .parent()?
        .parent()?
        .join("smail");
    smail.is_file().then_some(smail)
}

fn indented(text: &str) -> String {
    text.lines()
        .map(|line| {
            if line.is_empty() {
                "\n".to_owned()
            } else {
                format!("    {line}\n")
            }
        })
        .collect()
}
