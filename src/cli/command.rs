//! The verb of a command line.
//!
//! Promise: a command line has one verb. Where flags of several stand side by side, the first in
//! the order of [`Command`] counts.
use std::ffi::OsStr;

use super::sendmail::Request;
use super::{Args, Artifact};

/// What a run is to do.
#[derive(Clone, Copy)]
pub enum Command<'a> {
    /// Prints what is made from the program's tables.
    Generate(Artifact),
    /// What a caller of sendmail asks for.
    Sendmail(&'a Request),
    /// Makes the settings.
    Setup,
    /// Signs in to the provider of access tokens.
    Login,
    /// Prints an access token.
    Token,
    /// Explains the error in a text; `-` is standard input.
    Explain(&'a OsStr),
    /// Tries the settings without a mail.
    Check,
    /// Shows the settings.
    ShowSettings,
    /// Looks at the queue, or works on it.
    Queue,
    /// Sends a mail.
    Send,
}

impl<'a> Command<'a> {
    /// The verb of a command line.
    pub fn of(args: &'a Args) -> Self {
        if let Some(artifact) = args.generate {
            return Command::Generate(artifact);
        }
        if let Some(request) = &args.sendmail {
            return Command::Sendmail(request);
        }
        if let Some(text) = &args.explain
            && args.setup.is_none()
        {
            return Command::Explain(text);
        }
        match args {
            Args { setup: Some(_), .. } => Command::Setup,
            Args { login: Some(_), .. } => Command::Login,
            Args { token: Some(_), .. } => Command::Token,
            Args { check: true, .. } => Command::Check,
            Args {
                show_settings: true,
                ..
            } => Command::ShowSettings,
            args if args.is_about_queue() => Command::Queue,
            _ => Command::Send,
        }
    }
}
