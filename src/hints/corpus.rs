//! Words of servers that are not in the table, from many kinds of servers: each must get the right
//! class and a hint that helps, for nineteen of twenty at least.
use super::*;
use Class::{Permanent as Never, Temporary as Later};

/// What a server says, what becomes of the mail, and the rows that help.
#[rustfmt::skip]
const CORPUS: &[(&str, Class, &[&str])] = &[
    // Postfix
    ("550 5.1.1 <kim@example.org>: Recipient address rejected: User unknown in local recipient table", Never, &["no-such-user"]),
    ("450 4.1.1 <kim@example.org>: Recipient address rejected: unverified address: connect to mx.example.org[192.0.2.7]:25: Connection timed out", Later, &["recipient-refused", "enhanced-1.1", "server-waited"]),
    ("554 5.7.1 <host.example.net[192.0.2.1]>: Client host rejected: Access denied", Never, &["client-refused", "enhanced-7.1"]),
    ("450 4.3.2 Service currently unavailable", Later, &["enhanced-3.2", "server-busy"]),
    ("452 4.3.1 Insufficient system storage", Later, &["server-full"]),
    ("421 4.3.0 mx.example.org Service unavailable, too busy", Later, &["server-busy", "reply-421", "enhanced-3.0"]),
    ("554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using b.barracudacentral.org; http://www.barracudanetworks.com/reputation/?pr=1", Never, &["blocklist"]),
    ("504 5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname", Never, &["not-qualified"]),
    ("550 5.7.23 <me@example.org>: Recipient address rejected: Message rejected due to: SPF fail - not authorized", Never, &["enhanced-7.23", "sender-domain-policy"]),
    ("554 5.4.6 Error: too many hops", Never, &["mail-loop"]),
    ("451 4.3.5 Server configuration error", Later, &["enhanced-3.5", "server-busy"]),
    ("552 5.2.2 <kim@example.org>: user is over quota", Never, &["mailbox-full"]),
    ("550 5.7.1 Error: content rejected", Never, &["spam"]),
    ("503 5.5.1 Error: nested MAIL command", Never, &["command-unknown"]),
    ("535 5.7.8 Error: authentication failed: (reason unavailable)", Never, &["password-refused"]),
    ("450 4.7.1 <kim@example.org>: Recipient address rejected: Policy restrictions; try later", Later, &["recipient-refused", "enhanced-7.1", "policy", "server-busy"]),
    // Exim
    ("550 Unrouteable address", Never, &["no-such-user"]),
    ("550-Verification failed for <root@localhost.localdomain> 550 Sender verify failed", Never, &["sender-unverified"]),
    ("451 Temporary local problem - please try later", Later, &["server-busy"]),
    ("550 Administrative prohibition", Never, &["policy"]),
    ("550 Rejected: 192.0.2.1 is listed at zen.spamhaus.org", Never, &["blocklist"]),
    ("421 Unexpected failure, please try later", Later, &["reply-421", "server-busy"]),
    ("451 Could not complete sender verify callout", Later, &["sender-unverified"]),
    ("552 Mailbox is full / Blocks limit exceeded / Inode limit exceeded", Never, &["mailbox-full"]),
    ("550 This message was classified as SPAM and may not be delivered", Never, &["spam"]),
    ("500 unrecognized command", Never, &["command-unknown"]),
    ("550 authentication required", Never, &["login-first"]),
    // cPanel
    ("550 Domain example.org has exceeded the max defers and failures per hour (5/5 (100%)) allowed. Message discarded.", Never, &["sending-limit"]),
    ("550-The mail server could not deliver mail to kim@example.org. The account or domain may not exist, they may be blacklisted, or missing the proper dns entries.", Never, &["no-such-user", "blocklist"]),
    // Sendmail
    ("550 5.1.1 <kim@example.org>... User unknown", Never, &["no-such-user"]),
    ("553 5.1.8 <root@box>... Domain of sender address root@box does not exist", Never, &["sender-domain"]),
    ("550 5.7.1 <kim@example.com>... Relaying denied. Proper authentication required.", Never, &["relay-denied", "login-first"]),
    ("553 5.5.4 <root>... Domain name required for sender address root", Never, &["address-incomplete"]),
    ("501 5.1.3 Bad host name in address", Never, &["enhanced-1.3", "address-syntax"]),
    ("452 4.4.5 Insufficient disk space; try again later", Later, &["server-full"]),
    ("421 4.7.0 mx.example.org Too many connections from your host", Later, &["too-many-connections"]),
    ("552 5.2.3 Message size exceeds maximum value", Never, &["too-large"]),
    // qmail and netqmail
    ("553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", Never, &["relay-denied"]),
    ("550 sorry, no mailbox here by that name. (#5.1.1)", Never, &["no-such-user"]),
    ("451 See http://pobox.com/~djb/docs/smtplf.html.", Later, &["bare-newline"]),
    ("552 sorry, that message size exceeds my databytes limit (#5.3.4)", Never, &["too-large"]),
    ("451 qq temporary problem (#4.3.0)", Later, &["enhanced-3.0", "server-busy"]),
    // Exchange and Microsoft
    ("550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", Never, &["no-such-user"]),
    ("550 5.7.1 Message rejected as spam by Content Filtering.", Never, &["spam"]),
    ("452 4.3.1 Insufficient system resources", Later, &["server-full"]),
    ("554 5.6.0 Corrupt message content", Never, &["enhanced-6.0"]),
    ("451 4.7.0 Temporary server error. Please try again later. PRX2", Later, &["server-busy"]),
    ("550 5.7.1 TRANSPORT.RULES.RejectMessage; the message was rejected by organization policy", Never, &["policy", "enhanced-7.1"]),
    ("501 5.5.4 Invalid domain name", Never, &["enhanced-5.4"]),
    // Gmail
    ("550-5.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages from being delivered.", Never, &["enhanced-2.1"]),
    ("550-5.7.1 Gmail has detected that this message is likely unsolicited mail.", Never, &["spam", "gmail-spam"]),
    ("421-4.7.0 This message is suspicious due to the very low reputation of the sending IP address.", Later, &["blocklist", "spam"]),
    // Haraka, OpenSMTPD
    ("550 I cannot deliver mail for {kim@example.org}", Never, &["recipient-refused"]),
    ("550 Invalid recipient: <kim@example.org>", Never, &["no-such-user"]),
    ("421 4.3.0 Temporary Error", Later, &["reply-421", "server-busy"]),
    ("530 5.5.1 Invalid command: Must issue an AUTH command first", Never, &["login-first", "reply-530"]),
    ("524 5.2.4 Mailing list expansion problem", Never, &["enhanced-2.4"]),
    // MDaemon, hMailServer, Zimbra, Courier, Kerio
    ("550 <kim@example.org>, Recipient unknown", Never, &["no-such-user"]),
    ("550 Unknown user", Never, &["no-such-user"]),
    ("530 SMTP authentication is required.", Never, &["login-first"]),
    ("535 Authentication failed. Restarting authentication process.", Never, &["password-refused"]),
    ("550 Delivery is not allowed to this address.", Never, &["policy", "recipient-refused", "recipient-private"]),
    ("513 Relaying denied.", Never, &["relay-denied"]),
    ("517 Syntax error - invalid sender address", Never, &["address-syntax"]),
    ("432 4.7.12 A password transition is needed", Later, &["enhanced-7.12", "reply-432"]),
    ("554 5.7.1 Message contains a virus: Win.Test.EICAR_HDB-1", Never, &["virus"]),
    ("450 4.2.1 <kim@example.org>: mailbox temporarily locked, try again", Later, &["enhanced-2.1", "server-busy", "mailbox-disabled"]),
    // Barracuda, Mimecast, Proofpoint, and other filters
    ("550 permanent failure for one or more recipients (kim@example.org:blocked)", Never, &["policy"]),
    ("554 Email rejected due to security policies - https://community.mimecast.com/docs/DOC-1369#554", Never, &["policy"]),
    ("451 Internal resources are temporarily unavailable - https://community.mimecast.com/docs/DOC-1369#451", Later, &["server-busy"]),
    ("550 Invalid Recipient - https://community.mimecast.com/docs/DOC-1369#550", Never, &["no-such-user"]),
    ("554 5.7.1 Your IP has been blocked. See https://ipcheck.proofpoint.com/?ip=192.0.2.1", Never, &["blocklist"]),
    ("451 4.7.1 Greylisting in action, please come back in 00:05:00", Later, &["greylisted"]),
    ("550 #5.1.0 Address rejected.", Never, &["enhanced-1.0", "no-such-user", "policy"]),
    ("554-mx.example.org 554 Your access to this mail system has been rejected due to the sending MTA's poor reputation.", Never, &["blocklist"]),
    ("552 Attachment blocked: file extension .exe is prohibited", Never, &["attachment-refused"]),
    ("550 5.7.1 Rejected by DKIM policy: signature missing", Never, &["sender-domain-policy"]),
    ("421 4.7.1 Connection rate limit exceeded.", Later, &["too-many-connections"]),
    ("450 4.7.1 Rate limit: too many messages from you, slow down", Later, &["too-fast"]),
    ("550 Maximum line length exceeded (see RFC 5321 4.5.3.1.6); line too long", Never, &["line-too-long"]),
    ("550 no reverse DNS for 192.0.2.1", Never, &["reverse-dns"]),
    ("530 5.7.0 TLS is required for sending", Never, &["starttls-first"]),
    ("525 5.7.13 Account disabled", Never, &["account-disabled"]),
    // Large providers and further filters
    ("550 5.4.1 All recipient addresses rejected : Access denied", Never, &["recipient-refused", "client-refused", "enhanced-4.1"]),
    ("554 delivery error: dd This user doesn't have a yahoo.example account (kim@yahoo.example) [0]", Never, &["no-such-user"]),
    ("553 5.3.0 flpd577 DNSBL:RBL 521< 192.0.2.1 >_is_blocked. For assistance forward this error", Never, &["blocklist"]),
    ("550 5.7.1 Service unavailable; client [192.0.2.1] blocked using Spamhaus", Never, &["blocklist"]),
    ("421 4.7.1 [TSS04] Messages from 192.0.2.1 temporarily deferred due to user complaints", Later, &["yahoo-volume"]),
    ("550 SC-001 (BAY004-MC1F40) Unfortunately, messages from 192.0.2.1 weren't sent. Please contact your Internet service provider since part of their network is on our block list.", Never, &["blocklist"]),
    ("554 IMTA01 ESMTP server not available", Never, &["server-busy", "reply-554", "client-refused"]),
    ("550 5.2.1 <kim@comcast.example>: Account not available", Never, &["enhanced-2.1"]),
    ("421 Too many concurrent SMTP connections from this IP address; please try again later.", Later, &["too-many-connections"]),
    ("554 rejected due to spam URL in content", Never, &["spam"]),
    ("550 Requested action not taken: mailbox unavailable For explanation visit http://postmaster.gmx.example/en/error-messages", Never, &["recipient-refused"]),
    ("571 kim@example.org prohibited. We do not relay", Never, &["relay-denied"]),
    ("550 No such user here", Never, &["no-such-user"]),
    ("550 kim@example.org User unknown in virtual alias table", Never, &["no-such-user"]),
    ("452 4.5.3 too many recipients here", Later, &["too-many-recipients"]),
    ("501 Syntactically invalid HELO argument(s)", Never, &["hello-refused"]),
    ("535 5.7.0 authentication rejected", Never, &["password-refused"]),
    ("538 Encryption required for requested authentication mechanism", Never, &["login-needs-tls"]),
    ("502 5.5.1 STARTTLS not supported", Never, &["starttls-missing", "reply-502", "command-unknown", "enhanced-5.1"]),
    ("550 Message headers fail syntax check", Never, &["headers-malformed", "reply-550"]),
    ("550 5.7.515 Access denied, sending domain example.org doesn't meet the required authentication level.", Never, &["microsoft-dmarc", "client-refused", "enhanced-7.0", "sender-domain-policy"]),
    ("451 4.7.500 Server busy. Please try again later from [192.0.2.1]. (S77719)", Later, &["server-busy", "enhanced-7.0"]),
    ("550 5.0.350 Remote server returned an error -> 550 Blocked by policy", Never, &["policy"]),
    ("550 5.4.316 Message expired, connection refused(Socket error code 10061)", Never, &["expired"]),
    ("442 The connection was dropped during the transmission", Later, &["reply-4xx", "server-busy"]),
    ("454 4.7.0 TLS temporarily unavailable", Later, &["tls-broken"]),
];

/// What the servers say.
pub(super) fn texts() -> impl Iterator<Item = &'static str> {
    CORPUS.iter().map(|(text, _, _)| *text)
}

#[test]
fn words_of_servers_that_are_not_in_the_table_get_the_right_class_and_a_hint_that_helps() {
    let mut wrong = Vec::new();
    for (text, class, useful) in CORPUS {
        assert!(!table::FILE.contains(text), "in the table: {text}");
        let explanation = explain(text, &|_| None).remove(0);
        let id = explanation.hint.map_or("nothing", |hint| hint.id);
        if explanation.class != Some(*class) || !useful.contains(&id) {
            wrong.push(format!("{text}: {id}, {:?}", explanation.class));
        }
    }
    let all = CORPUS.len();
    assert!(
        all >= 60 && wrong.len() * 20 <= all,
        "{} of {all}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    println!("{} of {all} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
