//! `--login` and `--token`: a person signs in to the provider of access tokens, and other programs get
//! one.
//!
//! Promise: nothing but the token is printed on standard output by `--token`; a browser is started
//! without a shell, and only where there is a screen; a sign-in ends after five minutes.
use std::io::ErrorKind;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::{author, complain, context, print};
use crate::children::{Order, Running};
use crate::cli::Args;
use crate::environment::{self, Environment};
use crate::failure::{self, Exit, Failure};
use crate::language::{Language, Sentence, sentences};
use crate::oauth::{
    self, Account, Authorization, Grant, Listener, Polled, Redirect, Response, Store, TokenError,
    TokenFailure, Url,
};
use crate::route::resolve::resolve;
use crate::route::{Credential, Route, Smtp};
use crate::secret::{Secret, Terminal};
use crate::settings::{Layers, Overrides, Settings, SettingsError};
use crate::text::word;
use crate::transport::{RunContext, tokens};

/// How long a sign-in may take.
const TIME_LIMIT: Duration = Duration::from_mins(5);
/// How often signals are looked at while nothing else is waited for.
const LOOK: Duration = Duration::from_millis(250);
const DAY: i64 = 86_400;

sentences! {
    OPEN: "Sign in with a browser at this address:", "请用浏览器打开以下地址登录：";
    WAITING: "Waiting for the browser to come back to this host …", "正在等待浏览器返回本机……";
    PASTE: "Then paste the address where the browser ended, even if it shows an error: ", "然后粘贴浏览器最后停留的地址（即使显示错误）：";
    STRAY: "That address is not of this sign-in: it has to contain the code and state of it.", "该地址不属于这次登录：其中必须包含这次的 code 和 state。";
    NOTHING_PASTED: "standard input has no address", "标准输入中没有地址";
    CANNOT: "cannot sign in: {0}", "无法登录：{0}";
    DEVICE: "Open {0} on any device and enter this code: {1}", "在任意设备上打开 {0} 并输入代码：{1}";
    DONE: "Signed in as {0}. The tokens are in {1}.", "已以 {0} 登录。令牌保存在 {1}。";
    UNATTENDED: "This account needs no sign-in; {0} gave out a token.", "此账号无需登录；{0} 已发放令牌。";
    NONE: "no account logs in with OAuth2 (auth = \"oauth2\")", "没有使用 OAuth2 的账号（auth = \"oauth2\"）";
    SIGNED_IN: "{0}: {1}, signed in on {2}", "{0}：{1}，登录于 {2}";
    NOT_SIGNED_IN: "{0}: {1}, not signed in", "{0}：{1}，未登录";
    NEEDS_NONE: "{0}: {1}, needs no sign-in", "{0}：{1}，无需登录";
    TOKEN_LEFT: "; the access token is good for {0} min", "；访问令牌还有 {0} 分钟有效";
    TOKEN_OVER: "; the access token is renewed when it is needed", "；访问令牌在需要时更新";
    NO_REFRESH: "; it cannot be renewed", "；无法更新";
    IDLE_LEFT: "; unless it is used, the sign-in ends in {0} days", "；若不使用，登录将在 {0} 天后失效";
    TESTING_LEFT: "; if the client is in testing, the sign-in ends in {0} days", "；若客户端处于测试状态，登录将在 {0} 天后失效";
    TESTING_OVER: "; if the client is in testing, the sign-in has ended", "；若客户端处于测试状态，登录已失效";
    DEFAULT: "the settings", "默认设置";
}

/// An account that logs in with tokens, and the road on which they are asked for.
struct Target {
    account: Account,
    route: Smtp,
    settings: Settings,
    language: Language,
}

impl Target {
    /// The account that the command line chooses.
    fn chosen(layers: &Layers, env: &Environment) -> Result<Self, Failure> {
        let settings = layers.resolve(&[])?;
        let language = failure::language(&settings);
        let author = author(&settings, &env.user())?;
        let route = resolve(&settings, &author)?;
        match route {
            Route::Smtp(mut route) => match route.login.take() {
                Some(login) => match login.credential {
                    Credential::Token(account) => Ok(Target {
                        account: *account,
                        route: *route,
                        settings,
                        language,
                    }),
                    Credential::Secret(_) => Err(not_oauth()),
                },
                None => Err(not_oauth()),
            },
            _ => Err(not_oauth()),
        }
    }

    fn say(&self, sentence: Sentence, parts: &[&str]) -> String {
        sentence.say(self.language, parts)
    }

    fn post(
        &self,
        url: &Url,
        form: &Zeroizing<String>,
        context: &RunContext,
    ) -> Result<Response, String> {
        tokens::post(&self.route, url, form, context)
    }

    /// Signs in; returns what to tell the person.
    fn sign_in(
        &self,
        args: &Args,
        env: &Environment,
        context: &RunContext,
    ) -> Result<String, TokenError> {
        match self.account.grant {
            Grant::Code => with_browser(args, self, env, context),
            Grant::Device => with_device(self, context),
            Grant::ClientCredentials | Grant::ServiceAccount => {
                token(self, context)?;
                Ok(self.say(UNATTENDED, &[&self.account.token.host]))
            }
        }
    }

    fn failed(&self, error: &TokenError) -> Failure {
        failure::without_token(error, &self.account.name, &self.settings)
    }
}

fn not_oauth() -> Failure {
    Failure::new(Exit::CONFIG, "these settings do not log in with OAuth2")
        .hint("set auth = \"oauth2\" and oauth2-client-id, or name an account that does: smail --login ACCOUNT")
}

fn now() -> i64 {
    environment::since_1970().as_secs().cast_signed()
}

/// Signs in, or tells for how long everybody is signed in.
pub(super) fn run(args: &Args, env: &Environment) -> Result<Exit, Failure> {
    let layers = Layers::load(args, env)?;
    if args.status {
        return status(args, &layers, env);
    }
    let target = Target::chosen(&layers, env)?;
    let context = context(args, &target.settings);
    let done = target.sign_in(args, env, &context);
    let text = done.map_err(|error| ended(&target, &error, &context))?;
    complain(&format!("{text}\n"));
    Ok(Exit::OK)
}

/// Signs in for an account that is not in the settings yet; returns the file of its tokens.
pub(super) fn sign_in(
    args: &Args,
    overrides: &Overrides,
    name: Option<&str>,
    env: &Environment,
    context: &RunContext,
) -> Result<String, Failure> {
    let layers = Layers::read(overrides, env)?;
    let mut target = Target::chosen(&layers, env)?;
    if let Some(name) = name {
        name.clone_into(&mut target.account.name);
        if target.settings.filled("oauth2-token-file").is_none() {
            target.account.file.set_file_name(format!("{name}.json"));
        }
    }
    let done = target.sign_in(args, env, context);
    done.map_err(|error| ended(&target, &error, context))?;
    Ok(target.account.file.display().to_string())
}

/// The failure of a sign-in; a signal is the reason for whatever came after it.
fn ended(target: &Target, error: &TokenError, context: &RunContext) -> Failure {
    let mut failure = match error.kind {
        // What to do is being done.
        TokenFailure::SignIn => Failure::new(Exit::PERMISSION, target.say(CANNOT, &[&error.why])),
        _ => target.failed(error),
    };
    by_signal(&mut failure, context);
    failure
}

fn by_signal(failure: &mut Failure, context: &RunContext) {
    if let Ok(signal @ 1..) = u8::try_from(context.interrupt.load(Ordering::Relaxed)) {
        failure.exit = Exit(128_u8.saturating_add(signal));
    }
}

/// Prints an access token.
pub(super) fn print_token(args: &Args, env: &Environment) -> Result<Exit, Failure> {
    let layers = Layers::load(args, env)?;
    let target = Target::chosen(&layers, env)?;
    let context = context(args, &target.settings);
    let secret = token(&target, &context).map_err(|error| {
        let mut failure = target.failed(&error);
        by_signal(&mut failure, &context);
        failure
    })?;
    print(&Zeroizing::new(format!("{}\n", secret.reveal())));
    Ok(Exit::OK)
}

fn token(target: &Target, context: &RunContext) -> Result<Secret, TokenError> {
    let post = |url: &Url, form: &Zeroizing<String>| target.post(url, form, context);
    oauth::access_token(&target.account, now(), None, &post)
}

fn with_browser(
    args: &Args,
    target: &Target,
    env: &Environment,
    context: &RunContext,
) -> Result<String, TokenError> {
    let account = &target.account;
    let listener = Listener::open().map_err(|error| {
        let why = format!("cannot listen on this host: {error}");
        failed(TokenFailure::Temporary, why)
    })?;
    let authorization = Authorization::begin(account, listener.port)?;
    complain(&format!(
        "{}\n{}\n",
        target.say(OPEN, &[]),
        authorization.url
    ));
    let shown = !args.no_browser && has_screen(env) && open_browser(&authorization.url, context);
    let code = if shown || !(args.no_browser || environment::stdin_is_terminal()) {
        complain(&format!("{}\n", target.say(WAITING, &[])));
        from_browser(&listener, &authorization, target, context)?
    } else {
        pasted(&authorization, target, context)?
    };
    let post = |url: &Url, form: &Zeroizing<String>| target.post(url, form, context);
    oauth::sign_in_with_code(account, &authorization, &code, now(), &post)?;
    Ok(done(target))
}

fn done(target: &Target) -> String {
    let account = &target.account;
    target.say(
        DONE,
        &[
            &word(&account.user),
            &word(&account.file.display().to_string()),
        ],
    )
}

fn failed(kind: TokenFailure, why: impl Into<String>) -> TokenError {
    TokenError {
        kind,
        why: why.into(),
    }
}

/// Waits until the browser comes back with a code.
fn from_browser(
    listener: &Listener,
    authorization: &Authorization,
    target: &Target,
    context: &RunContext,
) -> Result<Secret, TokenError> {
    let mut found = Err(failed(
        TokenFailure::SignIn,
        "nobody signed in within five minutes",
    ));
    let waited = listener.wait(
        TIME_LIMIT,
        &context.interrupt,
        |address| match authorization.read(address, &target.account.token.host) {
            Ok(Redirect::Stray) => false,
            Ok(Redirect::Code(code)) => {
                found = Ok(code);
                true
            }
            Err(error) => {
                found = Err(error);
                true
            }
        },
    );
    match waited {
        Err(error) if error.kind() != ErrorKind::TimedOut => {
            Err(failed(TokenFailure::SignIn, "the sign-in was interrupted"))
        }
        _ => found,
    }
}

/// Takes the address that the browser ended at: from the terminal, or from standard input.
fn pasted(
    authorization: &Authorization,
    target: &Target,
    context: &RunContext,
) -> Result<Secret, TokenError> {
    let host = &target.account.token.host;
    if !environment::stdin_is_terminal() {
        let address = crate::secret::from_stdin()
            .map_err(|_| failed(TokenFailure::SignIn, target.say(NOTHING_PASTED, &[])))?;
        return match authorization.read(address.reveal().trim(), host)? {
            Redirect::Code(code) => Ok(code),
            Redirect::Stray => Err(failed(TokenFailure::SignIn, target.say(STRAY, &[]))),
        };
    }
    let terminal = Terminal::open(context.interrupt.clone())
        .map_err(|why| failed(TokenFailure::SignIn, why))?;
    loop {
        let address = terminal.ask(&target.say(PASTE, &[])).map_err(|_| {
            terminal.say("\n");
            failed(TokenFailure::SignIn, "the sign-in was interrupted")
        })?;
        match authorization.read(&Zeroizing::new(address), host)? {
            Redirect::Code(code) => return Ok(code),
            Redirect::Stray => terminal.say(&format!("{}\n", target.say(STRAY, &[]))),
        }
    }
}

/// Returns whether a browser that is started here would be seen by whoever asked for it.
fn has_screen(env: &Environment) -> bool {
    let set = |name: &str| env.variable(name).is_some_and(|value| !value.is_empty());
    if set("SSH_CONNECTION") {
        return false;
    }
    cfg!(target_vendor = "apple") || set("WAYLAND_DISPLAY") || set("DISPLAY")
}

/// Starts a browser, which is not waited for; returns whether one could be started.
fn open_browser(url: &str, context: &RunContext) -> bool {
    let program = if cfg!(target_vendor = "apple") {
        "open"
    } else {
        "xdg-open"
    };
    let order = Order::new(program).args(&[url.to_owned()]);
    let started = order.start(&context.interrupt);
    started.map(Running::leave).is_ok()
}

/// Shows a code and asks until it has been entered.
fn with_device(target: &Target, context: &RunContext) -> Result<String, TokenError> {
    let account = &target.account;
    let post = |url: &Url, form: &Zeroizing<String>| target.post(url, form, context);
    let device = oauth::begin_device(account, &post)?;
    complain(&format!(
        "{}\n",
        target.say(DEVICE, &[&device.address, &device.user_code])
    ));
    let end = Instant::now() + Duration::from_secs(device.lives);
    let mut interval = device.interval;
    while Instant::now() < end {
        pause(Duration::from_secs(interval), context)?;
        match oauth::poll(account, &device, interval, &post)? {
            Polled::Wait(next) => interval = next,
            Polled::Done(granted) => {
                oauth::sign_in_with_device(account, &granted, now())?;
                return Ok(done(target));
            }
        }
    }
    Err(failed(TokenFailure::SignIn, "the code has expired"))
}

fn pause(time: Duration, context: &RunContext) -> Result<(), TokenError> {
    let end = Instant::now() + time;
    while Instant::now() < end {
        if context.interrupt.load(Ordering::Relaxed) != 0 {
            return Err(failed(TokenFailure::SignIn, "the sign-in was interrupted"));
        }
        thread::sleep(LOOK.min(end.saturating_duration_since(Instant::now())));
    }
    Ok(())
}

/// Tells for how long each account is signed in.
fn status(args: &Args, layers: &Layers, env: &Environment) -> Result<Exit, Failure> {
    let mut names: Vec<Option<&str>> = layers.accounts().map(Some).collect();
    if args.account.is_some() {
        names.retain(|name| name.map(Into::into) == args.account);
    } else {
        names.insert(0, None);
    }
    let language = failure::language(&layers.resolve(&[])?);
    let mut lines = Vec::new();
    for name in names {
        let overrides = Overrides {
            account: name.map(Into::into),
            ..Overrides::of(args)
        };
        let layers = Layers::read(&overrides, env);
        // An account of another kind is none of this list, and one that is wrong is told elsewhere.
        let target = layers
            .map_err(|error: SettingsError| Failure::from(error))
            .and_then(|layers| Target::chosen(&layers, env));
        let Ok(target) = target else { continue };
        let of_default = name.is_none() && !target.account.name.is_empty();
        if !of_default {
            lines.push(line(&target, now()).map_err(|error| target.failed(&error))?);
        }
    }
    if lines.is_empty() {
        return Err(Failure::new(Exit::CONFIG, NONE.say(language, &[])));
    }
    print(&(lines.join("\n") + "\n"));
    Ok(Exit::OK)
}

/// The line of an account.
fn line(target: &Target, now: i64) -> Result<String, TokenError> {
    let account = &target.account;
    let name = match account.name.as_str() {
        "" => target.say(DEFAULT, &[]),
        name => word(name).into_owned(),
    };
    let user = word(&account.user);
    let kept = Store::new(account).load()?;
    let by_itself = !account.grant.needs_person();
    let Some(kept) = kept.filter(|_| !by_itself) else {
        let head = if by_itself { NEEDS_NONE } else { NOT_SIGNED_IN };
        return Ok(target.say(head, &[&name, &user]));
    };
    let date = environment::date(kept.signed_in);
    let mut line = target.say(SIGNED_IN, &[&name, &user, &date]);
    let minutes = kept.expires.saturating_sub(now) / 60;
    line.push_str(&match minutes {
        1.. => target.say(TOKEN_LEFT, &[&minutes.to_string()]),
        _ if kept.refresh().is_none() => target.say(NO_REFRESH, &[]),
        _ => target.say(TOKEN_OVER, &[]),
    });
    if let Some(rule) = account.rule {
        let days = kept.ends(rule).saturating_sub(now).div_euclid(DAY);
        let shown = days.max(0).to_string();
        line.push_str(&match rule {
            oauth::Rule::Idle(_) => target.say(IDLE_LEFT, &[&shown]),
            oauth::Rule::AfterSignIn(_) if days < 0 => target.say(TESTING_OVER, &[]),
            oauth::Rule::AfterSignIn(_) => target.say(TESTING_LEFT, &[&shown]),
        });
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_name_the_same_parts() {
        for sentence in ALL {
            sentence.check();
        }
    }
}
