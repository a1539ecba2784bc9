//! Settings lists as people really write them: each must say what its author meant.
use super::tests::{WORLD, said};
use super::{Item, parse};

#[test]
fn netease_on_the_old_port() {
    let text = "set from=U@163.com\nset smtp=smtp.163.com\nset smtp-auth-user=U@163.com\nset smtp-auth-password=CODE\nset smtp-auth=login\n";
    assert_eq!(
        said(text),
        "from=U@163.com\nsmtp=smtp.163.com\nsmtp-auth-user=U@163.com\nsmtp-auth-password=CODE\nsmtp-auth=login\n"
    );
}

#[test]
fn netease_over_tls_with_trailing_blanks() {
    let text = "set smtp=smtps://smtp.163.com:465  \nset ssl-verify=ignore \t\nset nss-config-dir=/etc/pki/nssdb/   \nset smtp-auth-user=U  \n";
    assert_eq!(
        said(text),
        "smtp=smtps://smtp.163.com:465\nssl-verify=ignore\nnss-config-dir=/etc/pki/nssdb/\nsmtp-auth-user=U\n"
    );
}

#[test]
fn no_mechanism_named() {
    let text = "set from=U@163.com smtp=smtp.163.com\nset smtp-auth-user=U@163.com smtp-auth-password=CODE";
    assert_eq!(
        said(text),
        "from=U@163.com\nsmtp=smtp.163.com\nsmtp-auth-user=U@163.com\nsmtp-auth-password=CODE\n"
    );
}

#[test]
fn qq_with_an_unknown_name_and_a_quoted_url() {
    let text = "set smtp=\"smtps://smtp.qq.com:465\"\nset realname=Bob\n#set smtp-use-starttls\nset smtp=smtps://smtp.exmail.qq.com:465";
    assert_eq!(
        said(text),
        "smtp=smtps://smtp.qq.com:465\nrealname=Bob\nsmtp=smtps://smtp.exmail.qq.com:465\n"
    );
}

#[test]
fn remarks_behind_values_in_every_form() {
    let text = "set smtp-auth-password=xxxxxx # 授权码\nset from=U@qq.com             # 发送的邮件地址\n\
                set smtp-user-starttls   #加密方式配置\nset smtp=smtps://smtp.163.com:465  `服务器地址`\nset from=U@x(显示名)\n\
                set smtp=smtp.qq.com //服务器\nset smtp-auth-user=U （账号）\n";
    let want = "smtp-auth-password=xxxxxx\nfrom=U@qq.com\nsmtp-user-starttls\nsmtp=smtps://smtp.163.com:465\nfrom=U@x(显示名)\n\
                smtp=smtp.qq.com\nsmtp-auth-user=U\n";
    assert_eq!(said(text), want);
    assert_eq!(parse(text.as_bytes(), "rc".as_ref(), &WORLD).warnings, []);
}

#[test]
fn blanks_around_equals() {
    let text =
        "set from = x@huawei.com\nset smtp = mail.huawei.com\nset asksub append dot save crt=20\n";
    assert_eq!(
        said(text),
        "from=x@huawei.com\nsmtp=mail.huawei.com\nasksub\nappend\ndot\nsave\ncrt=20\n"
    );
}

#[test]
fn the_stock_file_of_red_hat_with_aliyun_behind_it() {
    let text = "# stock\nset hold\nset append\nset ask\nset crt\nset dot\nset keep\nset emptybox\nset indentprefix=\"> \"\nset quote\n\
                set sendcharsets=iso-8859-1,utf-8\nset showname\nset showto\nset newmail=nopoll\nset autocollapse\n\
                ignore received in-reply-to message-id references\nignore mime-version content-transfer-encoding\n\
                fwdretain subject date from to\nset bsdcompat\nset from=U@aliyun.com\nset smtp=\"smtps://smtp.aliyun.com:465\"\n\
                set smtp-auth=login\nset ssl-verify=ignore\nset nss-config-dir=/root/.certs\n";
    let file = parse(text.as_bytes(), "rc".as_ref(), &WORLD);
    assert_eq!((&file.warnings, &file.notes), (&vec![], &vec![]));
    let want = "from=U@aliyun.com\nsmtp=smtps://smtp.aliyun.com:465\nsmtp-auth=login\nssl-verify=ignore\nnss-config-dir=/root/.certs\n";
    assert!(said(text).ends_with(want));
}

#[test]
fn netease_for_companies() {
    assert_eq!(
        said("set smtp=smtphm.qiye.163.com\nset ssl-verify=ignore"),
        "smtp=smtphm.qiye.163.com\nssl-verify=ignore\n"
    );
}

#[test]
fn gmail_with_a_blank_in_the_password_and_a_lost_quote() {
    let text = "set smtp-use-starttls\nset ssl-verify=ignore\nset nss-config-dir=/etc/pki/nssdb\nset smtp=smtp://smtp.gmail.com:587\n\
                set smtp-auth=login\nset smtp-auth-user=U@gmail.com\nset smtp-auth-password=\"xxxx xxxx xxxx xxxx\"\nset from=\"U@gmail.com\n";
    let want = "smtp-use-starttls\nssl-verify=ignore\nnss-config-dir=/etc/pki/nssdb\nsmtp=smtp://smtp.gmail.com:587\nsmtp-auth=login\n\
                smtp-auth-user=U@gmail.com\nsmtp-auth-password=xxxx xxxx xxxx xxxx\nfrom=U@gmail.com\n";
    assert_eq!(said(text), want);
}

#[test]
fn gmail_over_tls_with_two_servers_and_starttls_yes() {
    let text = "set smtp=smtps://smtp.gmail.com:465\nset smtp=smtp://smtp.gmail.com:587\nset smtp-use-starttls=yes\n";
    assert_eq!(
        said(text),
        "smtp=smtps://smtp.gmail.com:465\nsmtp=smtp://smtp.gmail.com:587\nsmtp-use-starttls=yes\n"
    );
}

#[test]
fn a_command_line_of_yandex_and_office_as_one_line() {
    let text = "set smtp=\"smtp.yandex.ru:587\" nss-config-dir=/etc/pki/nssdb/ smtp-use-starttls smtp-auth=login smtp-auth-user=\"U@yandex.ru\"";
    let want = "smtp=smtp.yandex.ru:587\nnss-config-dir=/etc/pki/nssdb/\nsmtp-use-starttls\nsmtp-auth=login\nsmtp-auth-user=U@yandex.ru\n";
    assert_eq!(said(text), want);
}

#[test]
fn office_365_in_the_form_of_a_url() {
    let text = "set v15-compat\nset mta=smtp://user%40hotmail.com:pw@smtp.office365.com:587 smtp-auth=login smtp-use-starttls\n\
                set from=\"Name <user@hotmail.com>\"\nset nss-config-dir=~/.certs";
    let want = "v15-compat\nmta=smtp://user%40hotmail.com:pw@smtp.office365.com:587\nsmtp-auth=login\nsmtp-use-starttls\n\
                from=Name <user@hotmail.com>\nnss-config-dir=~/.certs\n";
    assert_eq!(said(text), want);
}

#[test]
fn amazon_with_slash_and_plus_in_the_password() {
    let text = "set smtp=smtps://email-smtp.us-east-1.amazonaws.com:465\nset smtp-auth-user=AKIAX\nset smtp-auth-password=aB/c+D==";
    let want = "smtp=smtps://email-smtp.us-east-1.amazonaws.com:465\nsmtp-auth-user=AKIAX\nsmtp-auth-password=aB/c+D==\n";
    assert_eq!(said(text), want);
}

#[test]
fn oracle_with_its_long_user() {
    let text = "set smtp-use-starttls\nset smtp-auth=plain\nset smtp=smtp.email.ap-tokyo-1.oci.oraclecloud.com:587\n\
                set smtp-auth-user=ocid1.user.oc1..aaa@ocid1.tenancy.oc1..bbb.x1.com\nset smtp-auth-password=a{B$c;D!(e)&<#f>\n";
    let want = "smtp-use-starttls\nsmtp-auth=plain\nsmtp=smtp.email.ap-tokyo-1.oci.oraclecloud.com:587\n\
                smtp-auth-user=ocid1.user.oc1..aaa@ocid1.tenancy.oc1..bbb.x1.com\nsmtp-auth-password=a{B$c;D!(e)&<#f>\n";
    assert_eq!(said(text), want);
}

#[test]
fn a_relay_without_login() {
    let text = "set smtp=smtp://mailinternal.d from=\"Postgres Backup <svc@d>\"\nset v15-compat smtp-auth=none mta=smtp://127.0.0.1:25";
    let want = "smtp=smtp://mailinternal.d\nfrom=Postgres Backup <svc@d>\nv15-compat\nsmtp-auth=none\nmta=smtp://127.0.0.1:25\n";
    assert_eq!(said(text), want);
}

#[test]
fn a_url_with_the_switch_behind_it() {
    let text = "set v15-compat\nset mta=smtp://N%40qq.com:CODE@smtp.qq.com smtp-use-starttls\nset smtp-auth=login\nset from=N@qq.com\n\
                set mta=smtps://N:CODE@smtp.qq.com:465\nset mta=smtp://U%40domain:CODE@smtp.163.com\n";
    let want = "v15-compat\nmta=smtp://N%40qq.com:CODE@smtp.qq.com\nsmtp-use-starttls\nsmtp-auth=login\nfrom=N@qq.com\n\
                mta=smtps://N:CODE@smtp.qq.com:465\nmta=smtp://U%40domain:CODE@smtp.163.com\n";
    assert_eq!(said(text), want);
}

#[test]
fn new_transport_with_old_credentials() {
    let text = "set mta=smtp://smtp.gmail.com:587\nset smtp-use-starttls smtp-auth=login\nset smtp-auth-user=\"U\" smtp-auth-password=\"P\"";
    let want = "mta=smtp://smtp.gmail.com:587\nsmtp-use-starttls\nsmtp-auth=login\nsmtp-auth-user=U\nsmtp-auth-password=P\n";
    assert_eq!(said(text), want);
}

#[test]
fn everything_on_one_line() {
    let text = "set v15-compat sendwait tls-verify=strict mta=smtps://resend@smtp.resend.com:465 smtp-auth=login smtp-auth-password=re_x";
    let want = "v15-compat\nsendwait\ntls-verify=strict\nmta=smtps://resend@smtp.resend.com:465\nsmtp-auth=login\nsmtp-auth-password=re_x\n";
    assert_eq!(said(text), want);
}

#[test]
fn an_account_that_is_used_at_the_end() {
    let text = "account mailbox {\n    set mta=smtps://smtp.mailbox.org:465\n    set user=\"U\"\n    set from=\"U@mailbox.org\"\n    \
                set password=\"P\"\n}\naccount mailbox\n";
    let want = "account mailbox:\n  mta=smtps://smtp.mailbox.org:465\n  user=U\n  from=U@mailbox.org\n  password=P\nuse mailbox\n";
    assert_eq!(said(text), want);
}

#[test]
fn an_account_with_the_name_in_a_comment() {
    let text = "account main {\nset v15-compat\nset from=\"jim@gmail.com(Jim Hall)\"\nset smtp-use-starttls\nset smtp-auth=login\n\
                set mta=smtps://jim:app@smtp.gmail.com:465\n}\n";
    let want = "account main:\n  v15-compat\n  from=jim@gmail.com(Jim Hall)\n  smtp-use-starttls\n  smtp-auth=login\n  \
                mta=smtps://jim:app@smtp.gmail.com:465\n";
    assert_eq!(said(text), want);
}

#[test]
fn arch_style() {
    let text = "set v15-compat tls-verify=strict tls-ca-file=/etc/ssl/certs/ca-certificates.crt tls-ca-no-defaults smtp-use-starttls \\\n  \
                smtp-auth=login\nset mta=smtps://u:p@h record=+sent.mbox MBOX=+mbox.mbox\nshortcut a b\n";
    let want = "v15-compat\ntls-verify=strict\ntls-ca-file=/etc/ssl/certs/ca-certificates.crt\ntls-ca-no-defaults\nsmtp-use-starttls\n\
                smtp-auth=login\nmta=smtps://u:p@h\nrecord=+sent.mbox\nMBOX=+mbox.mbox\n";
    assert_eq!(said(text), want);
}

#[test]
fn the_new_dialect_with_a_url() {
    let text = "set v15-compat=yes\nset mta=smtps://A%40163.com:PW@smtp.163.com:465\nset from=A@163.com\nset ssl-verify=ignore\n";
    let want = "v15-compat=yes\nmta=smtps://A%40163.com:PW@smtp.163.com:465\nfrom=A@163.com\nssl-verify=ignore\n";
    assert_eq!(said(text), want);
}

#[test]
fn names_that_do_not_exist_are_handed_on() {
    let text = "set mta-auth=login\nset smtp=smtp://smtp.elasticemail.com:2525 smtp-auth=plain\nset mailx-extra-rc=/etc/mail.rc\n\
                set hostname=yandex.com smtp-hostname=\nset smtp_use_starttls smtp_auth_user=U\n";
    let want = "mta-auth=login\nsmtp=smtp://smtp.elasticemail.com:2525\nsmtp-auth=plain\nmailx-extra-rc=/etc/mail.rc\n\
                hostname=yandex.com\nsmtp-hostname=\nsmtp_use_starttls\nsmtp_auth_user=U\n";
    assert_eq!(said(text), want);
}

#[test]
fn a_debian_file_for_another_mail() {
    assert_eq!(
        said("set ask askcc append dot save crt\nset smtp=smtp.office365.com"),
        "ask\naskcc\nappend\ndot\nsave\ncrt\nsmtp=smtp.office365.com\n"
    );
}

#[test]
fn chains_for_one_user_at_one_server() {
    let text = "set v15-compat mta=smtp://127.0.0.1:2525 smtp-auth=login user=u password-u@127.0.0.1:2525=chain password=p from=a@a.example";
    let file = parse(text.as_bytes(), "rc".as_ref(), &WORLD);
    assert!(
        matches!(&file.items[4], Item::Set { name, value: Some(value), .. } if name == "password-u@127.0.0.1:2525" && value == "chain")
    );
}

#[test]
fn a_whole_tutorial_works_without_a_word() {
    let text = "# mail config\nset nss-config-dir=/etc/pki/nssdb/          #cert dir\nset smtp-user-starttls                      #typo in the wild\n\
                set ssl-verify=ignore                       #no check\nset from=alice@a.example                # sender\n\
                set smtp=127.0.0.1:2525  \nset smtp-auth-user=alice@a.example      #user\nset smtp-auth-password=xxxxxx # code\nset smtp-auth=login \n";
    let want = "nss-config-dir=/etc/pki/nssdb/\nsmtp-user-starttls\nssl-verify=ignore\nfrom=alice@a.example\nsmtp=127.0.0.1:2525\n\
                smtp-auth-user=alice@a.example\nsmtp-auth-password=xxxxxx\nsmtp-auth=login\n";
    let file = parse(text.as_bytes(), "rc".as_ref(), &WORLD);
    assert_eq!((&file.warnings, &file.notes), (&vec![], &vec![]));
    assert_eq!(said(text), want);
}
