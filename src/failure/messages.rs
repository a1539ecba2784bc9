//! The sentences about deliveries: a row is a sentence, a column a language.
//!
//! Promise: what a server, a library or a user said is put in as it is; whoever prints a sentence
//! makes it safe. Journal and log are for programs and stay in English.
use crate::language::sentences;

#[rustfmt::skip]
sentences! {
    // What failed
    IN_DOUBT:        "the connection to {0} was lost before it confirmed the message", "与 {0} 的连接在其确认邮件之前断开";
    INTERRUPTED:     "interrupted; nothing was sent", "已中断；邮件未发出";
    UNREADABLE:      "could not read the complete message; nothing was sent", "无法读完邮件内容；邮件未发出";
    TOO_LARGE:       "the message is too large for {0}; nothing was sent", "邮件超过 {0} 的大小限制；邮件未发出";
    PROGRAM:         "{0} did not accept the message", "{0} 没有接收邮件";
    FILE:            "cannot write {0}", "无法写入 {0}";
    JOURNAL:         "cannot write the journal of the message; nothing was sent", "无法写入邮件日志；邮件未发出";
    UNSOUND:         "smail generated an invalid command; nothing was sent", "smail 生成了无效的命令；邮件未发出";
    PREPARE:         "cannot send through {0}", "无法通过 {0} 发送";
    RESOLVE:         "cannot find the server {0}", "找不到服务器 {0}";
    CONNECT:         "cannot connect to {0}", "无法连接 {0}";
    TURNED_AWAY:     "{0} does not accept connections from this host", "{0} 拒绝了本机的连接";
    NO_GREETING:     "no greeting from a mail server at {0}", "{0} 没有发送邮件服务器的欢迎信息";
    HELLO:           "{0} rejected EHLO", "{0} 不接受 EHLO";
    DISTRUST:        "the certificate of {0} is not trusted; nothing was sent", "{0} 的证书不受信任；邮件未发出";
    TLS:             "cannot start TLS with {0}", "无法与 {0} 建立 TLS";
    LOGIN:           "cannot log in to {0}", "无法登录 {0}";
    LOGIN_AS:        "cannot log in to {0} as {1}", "无法以 {1} 登录 {0}";
    SENDER:          "{0} refused the sender; nothing was sent", "{0} 拒绝了发件人；邮件未发出";
    ENVELOPE:        "{0} did not accept the sender and recipients; nothing was sent", "{0} 没有接受发件人和收件人；邮件未发出";
    MESSAGE:         "{0} refused the message", "{0} 拒绝了这封邮件";
    MESSAGE_LOST:    "{0} did not accept the message", "{0} 没有接收这封邮件";
    RECIPIENT:       "{0} refused the recipient; nothing was sent", "{0} 拒绝了收件人；邮件未发出";
    RECIPIENTS:      "{0} refused all {1} recipients; nothing was sent", "{0} 拒绝了全部 {1} 个收件人；邮件未发出";
    SENT_TO_SOME:    "sent to {0} of {1} recipients through {2}", "已通过 {2} 发给 {1} 个收件人中的 {0} 个";
    NO_STARTTLS:     "{0} does not offer TLS (STARTTLS); nothing was sent", "{0} 不提供 TLS（STARTTLS）；邮件未发出";
    NO_AUTH:         "{0} does not offer a login (AUTH); nothing was sent", "{0} 不提供登录（AUTH）；邮件未发出";
    NO_MECHANISM:    "{0} offers no usable login method; nothing was sent", "{0} 没有可用的登录方式；邮件未发出";
    NO_SMTPUTF8:     "{0} does not support non-ASCII addresses (SMTPUTF8); nothing was sent", "{0} 不支持非 ASCII 地址（SMTPUTF8）；邮件未发出";
    NO_8BITMIME:     "{0} does not support 8-bit messages (8BITMIME); nothing was sent", "{0} 不支持 8 位邮件（8BITMIME）；邮件未发出";

    // Facts
    SERVER:          "server: {0}", "服务器：{0}";
    MEANS:           "{0} means: {1}", "{0} 的含义：{1}";
    THIS_MEANS:      "this means: {0}", "含义：{0}";
    PERHAPS:         "it may have been accepted: sending it again may deliver it twice", "邮件可能已被接收：再次发送可能导致重复";
    PERHAPS_OTHERS:  "the connection was lost after the message: it may have been accepted for the others", "连接在邮件传完后断开：其余收件人可能已收到";
    MORE_RECIPIENTS: "and {0} more; use --json to list every recipient", "另有 {0} 个收件人；--json 会列出全部";
    ACCOUNT:         "account: {0}", "账号：{0}";
    SET_IN:         "{0}: set in {1}", "{0}：设置于 {1}";
    NO_HOST:         "no such host: {0}", "主机 {0} 不存在";
    NO_ANSWER:       "the name cannot be looked up now: {0}", "目前无法解析该名称：{0}";
    PROXY:           "proxy: {0}", "代理：{0}";
    SILENT:          "no complete answer within {0} s", "{0} 秒内没有完整的应答";
    LOST:            "the connection ended: {0}", "连接已断开：{0}";
    PROTOCOL:        "the server violated the protocol: {0}", "服务器违反了协议：{0}";
    NO_SIGNATURE:    "SCRAM: the server accepted the login without its signature", "SCRAM：服务器接受了登录，但没有给出签名";
    SIGNATURE:       "SCRAM: the signature of the server is wrong", "SCRAM：服务器的签名不正确";
    NONCE:           "SCRAM: the server's nonce does not extend ours", "SCRAM：服务器的 nonce 不是我方 nonce 的延续";
    ITERATIONS:      "SCRAM: the server asks for {0} iterations; expected 4096 to 5000000", "SCRAM：服务器要求迭代 {0} 次，应为 4096 至 5000000";
    EXTENSION:       "SCRAM: the server requires an unknown extension", "SCRAM：服务器要求未知的扩展";
    SCRAM_MESSAGE:   "SCRAM: the server sent an invalid message", "SCRAM：服务器发来的消息无效";
    HANDSHAKE:       "the TLS handshake failed: {0}", "TLS 握手失败：{0}";
    FINGERPRINT:     "its SHA-256 is {0}", "其 SHA-256 为 {0}";
    OFFERS_NOTHING:  "it offers no SMTP extensions", "它不提供任何 SMTP 扩展";
    OFFERS:          "it offers: {0}", "它提供：{0}";
    CLEAR_LOGIN:     "without TLS the password would be sent in clear text", "没有 TLS，密码会以明文传输";
    TOKEN:           "no access token for {0}: {1}", "没有 {0} 的访问令牌：{1}";
    TOKEN_DEFAULT:   "no access token: {0}", "没有访问令牌：{0}";
    SIZES:           "it has {0} bytes; the server accepts {1}", "邮件有 {0} 字节，服务器最多接收 {1} 字节";
    ITS_JOURNAL:     "its journal: {0}", "邮件日志：{0}";
    STATUS:          "exit status {0}", "退出状态 {0}";
    SIGNAL:          "signal {0}", "信号 {0}";

    // What the queue does about it
    QUEUED:          "queued as {0}: {1} (smail --queue-show {0})", "已入队 {0}：{1}（smail --queue-show {0}）";
    QUEUED_IN_DOUBT: "in doubt, it may have been accepted: {0}", "结果不明，邮件可能已被接收：{0}";
    QUEUED_AGAIN:    "queued as {0} and will be tried again: smail --queue-show {0}", "已入队 {0}，稍后会重试：smail --queue-show {0}";
    QUEUED_OTHERS:   "the others are queued as {0}: smail --queue-show {0}", "其余收件人已入队 {0}：smail --queue-show {0}";
    KEPT:            "it was kept: smail --queue-show {0}; smail --release {0} sends it again", "邮件已保留：smail --queue-show {0}；smail --release {0} 可再次发送";

    // What to do
    PIN:             "to trust this one certificate: tls-fingerprint = \"{0}\"", "只信任这一张证书：tls-fingerprint = \"{0}\"";
    REPORT_IT:       "this is a bug in smail; please report it with the command that caused it", "这是 smail 的缺陷；请连同引发它的命令一起报告";
    SIGN_IN:         "run smail --login{0} to sign in", "运行 smail --login{0} 登录";
    PRIVATE_CA:      "if the server uses a private CA, set tls-ca-file to it", "若服务器使用私有 CA，用 tls-ca-file 指定它";
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
