//! Finds the settings files, checks who may change them, and hands on what they say.
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::keys::{self, Kind};
use super::layers::Layers;
use super::overrides::SettingsFiles;
use super::value::{Raw, expand_home};
use super::{Assignment, Layer, Origin, SettingsError, Source, text_of, toml};
use crate::environment::Environment;
use crate::files::{self, Access};
use crate::mailrc;
use crate::route::url;

/// The system's mail.rc under the names distributions give it; the first one there is counts.
const SYSTEM_RC: &[&str] = &[
    "/etc/smail.rc",
    "/etc/mail.rc",
    "/etc/s-nail.rc",
    "/etc/nail.rc",
];

impl Layers {
    pub(super) fn rc_files(
        &mut self,
        files: &SettingsFiles,
        env: &Environment,
    ) -> Result<(), SettingsError> {
        let spec = files.resource_files.as_deref().unwrap_or("su");
        let system = !files.no_system_rc
            && env.variable("MAILX_NO_SYSTEM_RC").is_none()
            && !spec.contains('/')
            && spec.contains('s');
        let user = !spec.contains('/') && spec.contains('u');
        if let Some(bad) = spec.chars().find(|c| !"su/".contains(*c)) {
            let why = format!(
                "unknown file `{}`; expected `s`, `u` or `/`",
                crate::text::word(&bad.to_string())
            );
            return Err(SettingsError::Value {
                name: "-:".into(),
                origin: Some(Origin::Flag("-:".into())),
                why,
            });
        }
        if system && let Some(path) = SYSTEM_RC.iter().map(Path::new).find(|p| p.exists()) {
            self.notes.push(format!(
                "reading the system's settings from {}",
                path.display()
            ));
            self.rc_file(path, Layer::SystemRc, env)?;
        }
        if user && let Some(path) = user_rc(env) {
            self.rc_file(&path, Layer::UserRc, env)?;
        }
        self.notes.extend(env.notes.iter().cloned());
        let extra = self
            .assignments
            .iter()
            .rev()
            .find(|a| a.key.name == "extra-rc");
        let extra = extra.and_then(|a| Some((a.value.as_ref().map(text_of)?, Source::of(a.layer))));
        if let Some((extra, source)) = extra.filter(|(extra, _)| !extra.is_empty()) {
            let path = expand_home(&extra, self.home.as_deref());
            // One that `-X` names speaks for the command line: the secrets of the user's own file
            // do not follow it.
            let layer = if source == Source::Files {
                Layer::UserRc
            } else {
                Layer::Startup
            };
            self.rc_file(&path, layer, env)?;
        }
        Ok(())
    }

    fn rc_file(
        &mut self,
        path: &Path,
        layer: Layer,
        env: &Environment,
    ) -> Result<(), SettingsError> {
        let read = mailrc::read(
            path,
            &self.grammar(env, &|name| env.variables.get(name).cloned()),
        );
        let read = match read {
            Ok(read) => read,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(_) if self.passes_over(path) => return Ok(()),
            Err(e) if layer == Layer::SystemRc => {
                self.notes.push(format!("{}: {e}", path.display()));
                return Ok(());
            }
            Err(e) => {
                return Err(SettingsError::File {
                    path: path.to_owned(),
                    why: e.to_string(),
                    cure: None,
                });
            }
        };
        let mut secrets = HashSet::new();
        read.items
            .iter()
            .for_each(|item| secret_places(item, &mut secrets));
        for file in &read.files {
            if file.access.is_some_and(Access::is_unsafe) {
                let path = file.path.to_path_buf();
                let cure = Some(format!("chmod go-w {}", path.display()));
                let why = "others can write to it and could send mail in your name".to_owned();
                return Err(SettingsError::File { path, why, cure });
            }
            if file.access.is_some_and(|access| access.mode & 0o044 != 0)
                && secrets.contains(&file.path)
            {
                let path = file.path.display();
                self.notes.push(format!(
                    "{path} contains a password and others can read it: run chmod 600 {path}, or use auth-password-file"
                ));
            }
        }
        self.take(read, layer)
    }

    pub(super) fn toml_files(
        &mut self,
        files: &SettingsFiles,
        env: &Environment,
    ) -> Result<(), SettingsError> {
        if let Some(path) = &files.config {
            let found = self.toml_file(path, Layer::UserToml)?;
            return if found {
                Ok(())
            } else {
                Err(SettingsError::File {
                    path: path.clone(),
                    why: "no such file".into(),
                    cure: None,
                })
            };
        }
        if let Some(path) = &env.host.config {
            self.toml_file(path, Layer::SystemToml)?;
        }
        if let Some(dir) = &env.config {
            let path = dir.join("config.toml");
            if !self.passes_over(&path) {
                self.toml_file(&path, Layer::UserToml)?;
            }
        }
        Ok(())
    }

    /// Returns whether a user's file cannot be reached, as in a home that a service may not enter:
    /// then it is as if it were not there.
    fn passes_over(&mut self, path: &Path) -> bool {
        let Some(error) = files::unreachable(path) else {
            return false;
        };
        self.notes.push(format!(
            "{} cannot be reached and is ignored: {}",
            path.display(),
            files::words(&error)
        ));
        true
    }

    /// Reads one file; returns whether there was one.
    fn toml_file(&mut self, path: &Path, layer: Layer) -> Result<bool, SettingsError> {
        let unusable = |why: String, cure: Option<String>| SettingsError::File {
            path: path.to_owned(),
            why,
            cure,
        };
        let of_host = layer == Layer::SystemToml;
        let (text, privacy) = match toml::read_private(path, of_host) {
            Ok(Some(read)) => read,
            Ok(None) => return Ok(false),
            // A daemon's user may not be allowed to see the password in it. Whether that matters
            // shows when a way is looked for.
            Err(error) if of_host && error.kind() == std::io::ErrorKind::PermissionDenied => {
                self.notes.push(format!(
                    "{} cannot be read by this user and is ignored",
                    path.display()
                ));
                self.unreadable = Some(path.to_owned());
                return Ok(true);
            }
            Err(error) => return Err(unusable(error.to_string(), None)),
        };
        if privacy.unsafe_to_obey {
            let why = "others can write to it and could send mail in your name".to_owned();
            return Err(unusable(
                why,
                Some(format!("chmod go-w {}", path.display())),
            ));
        }
        let file = toml::parse(&text).map_err(|m| SettingsError::Syntax {
            path: path.to_owned(),
            line: m.line,
            why: m.why,
        })?;
        let start = self.assignments.len();
        let at = |line| Origin::File(path.to_owned(), line);
        for entry in file.entries {
            self.assign(&entry.name, entry.raw, layer, &at(entry.line))?;
        }
        for alias in file.aliases {
            let members = match alias.raw {
                Raw::List(list) => list,
                Raw::Text(text) => vec![text],
                Raw::Flag(_) | Raw::Secret(_) => Vec::new(),
            };
            self.aliases
                .add(&alias.name, members, &at(alias.line).to_string());
        }
        let mut secret = self.assignments[start..].iter().any(is_secret);
        for (name, _, entries) in file.accounts {
            let start = self.assignments.len();
            for entry in entries {
                self.assign(&entry.name, entry.raw, Layer::Account, &at(entry.line))?;
            }
            let said = self.assignments.split_off(start);
            secret |= said.iter().any(is_secret);
            self.accounts.entry(name).or_default().extend(said);
        }
        if secret && privacy.readable {
            let why = format!(
                "it contains a password, and others can read it (mode {:04o})",
                privacy.mode
            );
            return Err(unusable(why, Some(format!("chmod 600 {}", path.display()))));
        }
        Ok(true)
    }
}

/// The user's mail.rc: `$MAILRC`, else the first of `~/.smailrc` and `~/.mailrc` that exists.
pub(crate) fn user_rc(env: &Environment) -> Option<PathBuf> {
    if let Some(path) = env.variable("MAILRC").filter(|p| !p.is_empty()) {
        return Some(expand_home(path, env.home.as_deref()));
    }
    let home = env.home.as_ref()?;
    [".smailrc", ".mailrc"]
        .iter()
        .map(|name| home.join(name))
        .find(|path| path.exists())
}

fn is_secret(assignment: &Assignment) -> bool {
    assignment.key.kind == Kind::Secret || super::layers::has_url_password(assignment)
}

/// Adds the files in which an item says a secret.
fn secret_places(item: &mailrc::Item, places: &mut HashSet<Arc<Path>>) {
    match item {
        mailrc::Item::Set {
            name,
            value: Some(value),
            place,
            ..
        } => {
            let secret = keys::find(name).is_some_and(|(key, _)| key.kind == Kind::Secret);
            if secret || url::has_password(value) {
                places.insert(Arc::clone(&place.path));
            }
        }
        mailrc::Item::Account { items, .. } => {
            for item in items {
                secret_places(item, places);
            }
        }
        _ => {}
    }
}
