//! `--show-settings`: what is set, by whom, and where mail would go.
use super::{author, print, remarks};
use crate::cli::Args;
use crate::environment::Environment;
use crate::failure::Exit;
use crate::route::resolve::resolve;
use crate::settings::{self, Settings};
use crate::text::word;
use crate::transport;

pub(super) fn run(args: &Args, settings: &Settings, env: &Environment) -> Exit {
    let mut text = settings::show(settings, args.verbose > 0);
    let route = author(settings, &env.user()).and_then(|author| Ok(resolve(settings, &author)?));
    let route = route.map_or_else(|failure| failure.what, |route| transport::describe(&route));
    text.push_str("\n# mail is sent via ");
    text.push_str(&word(&route));
    text.push('\n');
    print(&text);
    remarks(args, settings, &settings.warnings);
    Exit::OK
}
