//! smail against a real Postfix and Dovecot: what leaves here is accepted, delivered and read
//! there.
//!
//! The servers, their ports and their directory belong to this run alone; see `servers/mod.rs`.
mod servers;

use servers::harness::Story;

/// Names the stories of a file as the facts they prove.
macro_rules! stories {
    ($room:ident: $($fact:ident),+ $(,)?) => {
        &[$((concat!(stringify!($room), "::", stringify!($fact)), servers::stories::$room::$fact)),+]
    };
}

const WAYS: &[Story] = stories![ways:
    plain_mail_arrives_and_nothing_is_said,
    starttls_is_used_before_the_login,
    implicit_tls_is_used_before_the_login,
    the_old_names_mail_and_mailx_send_too,
    an_unknown_authority_ends_the_session_before_the_login,
    another_servers_certificate_ends_the_session_before_the_login,
    required_starttls_that_is_not_offered_sends_nothing,
    lmtp_answers_for_each_recipient_after_the_dot,
    lmtp_over_a_unix_socket,
    a_check_goes_every_step_and_delivers_nothing,
];
const LOGINS: &[Story] = stories![logins:
    auto_logs_in,
    scram_sha_256_logs_in,
    scram_sha_1_logs_in,
    plain_logs_in,
    login_logs_in,
    cram_md5_logs_in,
    xoauth2_logs_in,
    oauthbearer_logs_in,
    an_expired_token_is_replaced_and_logs_in,
    a_user_whose_password_is_stored_for_plain_only_logs_in,
    anonymous_logs_in_without_a_password,
    external_logs_in_by_the_client_certificate,
    a_password_beyond_ascii_logs_in,
    a_wrong_password_is_told_in_the_servers_words,
    an_expired_token_is_told_in_the_servers_words,
    the_source_documents_mail_rc_logs_in,
];
const REFUSALS: &[Story] = stories![refusals:
    one_refused_recipient_does_not_stop_the_others,
    an_unknown_recipient_has_its_own_exit_status,
    a_temporary_refusal_can_be_tried_again,
    nothing_is_sent_when_every_recipient_is_refused,
    a_mail_over_the_servers_size_is_refused_before_mail_from,
    smtputf8_that_is_not_offered_sends_nothing,
    too_many_recipients_are_split,
];
const SETUPS: &[Story] = stories![setups:
    from_nothing_to_the_first_mail_in_the_mailbox,
    a_server_that_is_named_is_set_up_too,
    a_wrong_password_comes_before_the_right_one,
    whoever_leaves_at_any_question_leaves_home_as_it_was,
    a_check_has_colours_at_a_terminal_and_nowhere_else,
    a_check_of_a_refused_recipient_says_what_to_do,
];
const CONTENT: &[Story] = stories![content:
    subject_body_and_attachment_names_beyond_ascii_arrive,
    an_address_beyond_ascii_travels_by_smtputf8,
    ten_megabytes_arrive_byte_for_byte,
    html_brings_its_text_and_its_picture,
    bare_line_ends_are_made_whole,
    dots_and_long_lines_arrive_as_written,
    two_hundred_recipients_get_one_mail_each,
    bcc_is_delivered_and_never_shown,
];
const CHUNKING: &[Story] = stories![chunking:
    a_small_mail_leaves_with_its_envelope,
    a_text_with_commands_in_it_waits_for_354,
    lmtp_takes_a_small_mail_with_its_envelope,
    refused_recipients_and_senders_are_told_and_the_others_get_it,
    a_large_mail_and_one_without_chunking_wait_for_354,
    eight_bits_and_addresses_beyond_ascii_leave_with_it_too,
];

fn main() -> std::process::ExitCode {
    servers::harness::run(&[WAYS, LOGINS, REFUSALS, SETUPS, CONTENT, CHUNKING].concat())
}
