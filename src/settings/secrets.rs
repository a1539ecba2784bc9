//! The secrets that the settings hold themselves.
//!
//! Promise: nothing is fetched. What a file, a program or the terminal has is asked for at the
//! login, and by nobody else.
use super::Settings;
use super::value::Value;
use crate::route::url;
use crate::secret::Secret;

/// The secrets that the settings hold themselves, of any server: nothing is fetched.
pub fn secrets_at_hand(settings: &Settings) -> Vec<Secret> {
    let mut found = Vec::new();
    for said in &settings.trail {
        match (&said.value, said.key.name) {
            (Some(Value::Secret(secret)), _) => found.push(secret.clone()),
            (Some(Value::Text(url)), "smtp" | "mta" | "proxy") if url::has_password(url) => {
                if let Ok(url::Target::Server(url::Server {
                    password: Some(password),
                    ..
                })) = url::parse(url)
                {
                    found.push(Secret::new(password));
                }
                let login = url.rsplit_once('@').map_or("", |(login, _)| login);
                found.extend(
                    login
                        .rsplit_once(':')
                        .map(|(_, password)| Secret::new(password)),
                );
            }
            _ => {}
        }
    }
    found
}
