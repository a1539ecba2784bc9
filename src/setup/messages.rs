//! What the dialogue says: one row a text, one column a language.
//!
//! Promise: no text elsewhere in the room; facts (addresses, servers, paths, what a provider calls
//! its passwords) are put in the places `{0}`, `{1}` … and nothing that stands in them is read
//! again.
use crate::language::{Language, Sentence, sentences};
use crate::text::word;

/// What the dialogue says in a language.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Messages(pub(crate) Language);

impl Messages {
    /// A text with its facts, which are made safe to print.
    pub(crate) fn of(self, text: Sentence, facts: &[&str]) -> String {
        let safe: Vec<_> = facts.iter().map(|fact| word(fact)).collect();
        let parts: Vec<&str> = safe.iter().map(AsRef::as_ref).collect();
        text.say(self.0, &parts)
    }
}

sentences! {
    INTRO: "Nothing is written until you have answered the last question; press Ctrl-C to leave everything unchanged.",
        "回答完最后一个问题之前不会写入任何东西；按 Ctrl-C 则一切保持原样。";
    ADDRESS: "Your email address", "您的邮箱地址";
    NO_ADDRESS: "That is not a full address: {0}.", "这不是完整的邮箱地址：{0}。";
    KNOWN: "{0}: mail is sent through {1}.", "{0}：邮件经 {1} 发送。";
    SEARCHING: "Looking up the mail servers of {0} …", "正在通过 DNS 查询 {0} 的邮件服务器……";
    BY_MX: "The mail of {0} is hosted by {1}.", "{0} 的邮件由 {1} 托管。";
    USE_PROVIDER: "Send through its server {0}? (y/n)", "使用它的服务器 {0} 发送吗？（y/n）";
    BY_SRV: "The DNS of {0} lists {1} for sending.", "{0} 的 DNS 指定由 {1} 发送邮件。";
    OUTSIDE: "That server is not in the domain {0}. DNS answers can be forged: use it only if you recognize the name.",
        "该服务器不在域 {0} 之内。DNS 的回答可能被伪造：只有认识这个名字时才使用它。";
    ASK_WEB: "Ask https://autoconfig.{0} and https://{0}, or where they redirect to, for settings? The first will see {1}. (y/n)",
        "向 https://autoconfig.{0} 和 https://{0}（或它们指向的地方）查询设置吗？前者会得知 {1}。（y/n）";
    BY_WEB: "{0} lists {1} for sending.", "{0} 指定由 {1} 发送邮件。";
    OUTSIDE_WEB: "That server is not in the domain {0}: use it only if you recognize the name.",
        "该服务器不在域 {0} 之内：只有认识这个名字时才使用它。";
    WEB_NOTHING: "No settings found: {0}.", "没有查到设置：{0}。";
    WEB_STATUS: "the response is {0}", "应答为 {0}";
    WEB_ELSEWHERE: "it redirects to a place that is not queried", "它指向不会查询的地方";
    WEB_UNREADABLE: "cannot read the page", "页面无法读取";
    WEB_NO_SERVER: "it lists no server with TLS and a login method that smail supports", "其中没有可用的服务器（须有 TLS 和 smail 支持的登录方式）";
    USE_SERVER: "Send through {0}? (y/n)", "使用 {0} 发送吗？（y/n）";
    UNKNOWN: "The server of {0} is not known; see the help pages of its provider (\"SMTP\", \"outgoing mail\").",
        "不知道 {0} 的发送服务器；请查看邮件服务商帮助页面中的“SMTP”或“发件服务器”。";
    SERVER: "Server, as host or host:port", "服务器（主机名或 主机名:端口）";
    NO_SERVER: "That is not a server: {0}.", "这不是服务器：{0}。";
    USER: "User name", "用户名";
    USER_TEXT: "User name to use: {0}.", "应使用的用户名：{0}。";
    SECRET_KIND: "It requires: {0}.", "它需要：{0}。";
    SECRET_WHERE: "Where to get it: {0}", "获取方式：{0}";
    SECRET: "Password (not shown)", "密码（不显示）";
    NO_SECRET: "Nothing was entered.", "没有输入任何内容。";
    SECRET_BLANKS: "The spaces that it is displayed with were removed.", "已去掉显示时的空格。";
    SUSPICIOUS: "Please check: {0}", "请再检查一下：{0}";
    SECRET_AGAIN: "Use it anyway? (y/n)", "仍然使用它吗？（y/n）";
    SECRET_GIVEN: "Using the password that was provided.", "使用已提供的密码。";
    TOKEN: "This provider does not accept passwords, only access tokens (OAuth2). You need a program that prints one.",
        "该服务商不接受密码，只接受访问令牌（OAuth2）。您需要一个能输出令牌的程序。";
    OR_SIGN_IN: "Leave the password empty to sign in with OAuth2 instead.", "若要改用 OAuth2 登录，请将密码留空。";
    SIGN_IN: "This provider issues access tokens (OAuth2) to a client that you register there; docs/oauth2.md has the steps.",
        "该服务商向您在其处注册的客户端发放访问令牌（OAuth2）；步骤见 docs/oauth2.md。";
    CLIENT_ID: "Client id (empty: another way)", "客户端 ID（留空则用其他方式）";
    CLIENT_SECRET: "Client secret, if it has one: ", "客户端密钥（如有）：";
    TOKEN_COMMAND: "Program, with its arguments", "程序及其参数";
    NO_COMMAND: "That is not a command: {0}.", "这不是命令：{0}。";
    KEEP: "Where should the password be stored?", "密码保存在哪里？";
    KEEP_FILE: "a private file, {0}", "私有文件 {0}";
    KEEP_SECRET_TOOL: "the desktop keyring (secret-tool)", "桌面密钥环（secret-tool）";
    KEEP_KEYCHAIN: "the macOS keychain (security)", "macOS 钥匙串（security）";
    KEEP_PASS: "the password store (pass), as {0}", "密码库（pass），条目 {0}";
    KEEP_CONFIG: "in {0} itself, which is private too", "直接写在 {0} 中（同样是私有文件）";
    KEEP_ENVIRONMENT: "nowhere: you set SMAIL_AUTH_PASSWORD wherever smail runs", "不保存：运行 smail 时设置 SMAIL_AUTH_PASSWORD";
    NUMBER: "Number", "编号";
    NO_NUMBER: "Please enter a number from 1 to {0}.", "请输入 1 到 {0} 的数字。";
    YES_OR_NO: "Please enter y or n.", "请输入 y 或 n。";
    EXISTS: "{0} exists and stays unchanged; an account is added to it, selected by -A or by its address.",
        "{0} 已存在，内容保持不变；新设置将作为其中一个账户，可用 -A 或其地址选择。";
    ACCOUNT: "Account name", "账户名称";
    NO_ACCOUNT: "`{0}` is not valid: use letters, digits, - and _.", "“{0}”不能用：名称只能包含字母、数字、- 和 _。";
    ACCOUNT_TAKEN: "The account `{0}` already exists.", "账户“{0}”已经存在。";
    TRYING: "Testing: {0} …", "正在测试：{0} ……";
    WORKS: "It works: the server accepted the login and the sender.", "测试成功：服务器接受了登录和发件人。";
    FAILED: "That did not work.", "测试失败。";
    NEXT: "What now?", "接下来怎么办？";
    NEXT_SECRET: "try again with another password", "换一个密码再试";
    NEXT_SERVER: "change the server or user name", "更改服务器或用户名";
    NEXT_KEEP: "keep it as it is", "保留现有设置";
    NEXT_LEAVE: "cancel; nothing is written", "放弃，不写入任何东西";
    FIRST_MAIL: "Send a test message to {0} afterwards? (y/n)", "写入后给 {0} 发送一封测试邮件吗？（y/n）";
    WRITTEN: "Written to {0}:", "已写入 {0}：";
    STORED: "The password is in {0}.", "密码已保存在{0}。";
    NOT_STORED: "Could not store it: {0}. Nothing has been written yet.", "无法保存：{0}。尚未写入任何东西。";
    ENVIRONMENT: "Set SMAIL_AUTH_PASSWORD wherever smail runs.", "请在运行 smail 的环境中设置 SMAIL_AUTH_PASSWORD。";
    OUTRANKED: "{0}: set in this environment and overrides what was written; unset it, or mail will be sent differently.",
        "{0}：在当前环境中已设置，优先于写入的设置；请取消，否则邮件不会按这些设置发送。";
    SENT: "A message to {0} was accepted; it should arrive soon.", "发往 {0} 的邮件已被服务器接受，应该马上就到。";
    DONE: "From now on: echo text | smail -s subject somebody@example.org", "以后就可以：echo 正文 | smail -s 主题 somebody@example.org";
    DONE_ACCOUNT: "From now on: echo text | smail -A {0} -s subject somebody@example.org",
        "以后就可以：echo 正文 | smail -A {0} -s 主题 somebody@example.org";
    MAIL_SUBJECT: "smail on {0} is ready", "{0} 上的 smail 已可使用";
    MAIL_BODY: "Hello,\n\nsmail on {0} sends mail as {1} from now on. This is the first message, and it has arrived.\n\nThe settings are in {2}; see `man smail` for more.\n",
        "您好：\n\n{0} 上的 smail 今后以 {1} 的名义发送邮件。这是第一封，您已收到。\n\n设置保存在 {2}；更多用法请看 man smail。\n";
    COMMENT_MADE: "Made by `smail --setup`. `smail --show-settings` shows the settings in effect; smail-config(5) explains every setting.",
        "由 smail --setup 生成。smail --show-settings 显示生效的设置；smail-config(5) 解释每一项设置。";
    COMMENT_ENVIRONMENT: "The password: SMAIL_AUTH_PASSWORD in the environment.", "密码：环境变量 SMAIL_AUTH_PASSWORD。";
    RC_READ: "Converting {0} to TOML:", "正在把 {0} 转换为 TOML：";
    RC_EMPTY: "{0} contains no settings for sending mail.", "{0} 中没有与发送邮件有关的设置。";
    RC_SAME: "unchanged", "不变";
    RC_RENAMED: "is now called {0}", "现在名为 {0}";
    RC_SUFFIX: "applies to {0} only, as before", "与以前一样，只对 {0} 有效";
    RC_SECRET: "is a password and is stored where you choose", "是密码，将保存到您选择的地方";
    RC_URL: "contained a password, which is stored where you choose", "其中的密码将保存到您选择的地方";
    RC_AGAIN: "dropped: set again later", "已去掉：后面又设置了一次";
    RC_OFF: "unsets what was set before", "取消前面的设置";
    RC_READING: "dropped: has no effect on sending", "已去掉：对发送没有影响";
    RC_UNKNOWN: "dropped: unknown setting", "已去掉：未知设置";
    RC_UNKNOWN_NEAR: "dropped: unknown setting; did you mean {0}?", "已去掉：未知设置；是否想写 {0}？";
    RC_WRONG: "dropped: {0}", "已去掉：{0}";
    RC_ALIAS: "is moved to [aliases]", "移入 [aliases]";
    RC_GONE: "is removed from [aliases]", "从 [aliases] 中去掉";
    RC_ACCOUNT: "becomes [accounts.{0}]", "成为 [accounts.{0}]";
    RC_CHOICE: "becomes account = \"{0}\"", "改为 account = \"{0}\"";
    RC_ROUTE: "Mail is sent through {0}, as before.", "邮件仍经 {0} 发送。";
    RC_ROUTE_CHANGED: "Mail was sent through {0}; now it would be sent through \
        {1}.", "邮件原来经 {0} 发送，现在将经 {1} 发送。";
    RC_LEFT: "{0} is left unchanged; from now on {1} takes precedence over it.", "{0} 保持不变；今后以 {1} 为准。";
    RC_WRITE: "Write {0}? (y/n)", "写入 {0} 吗？（y/n）";
    RC_MADE: "Made by `smail --setup --from-mailrc` from {0}.", "由 smail --setup --from-mailrc 从 {0} 生成。";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_never_read_as_a_place() {
        assert_eq!(
            Messages(Language::English).of(KNOWN, &["{1}", "h\u{1b}"]),
            "{1}: mail is sent through h\\u{1b}."
        );
    }

    #[test]
    fn both_languages_name_the_same_facts() {
        for text in ALL {
            text.check();
        }
    }
}
