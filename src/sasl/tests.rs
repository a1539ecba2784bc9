//! The mechanisms against the examples of their papers, and SCRAM against servers that lie.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

const OPEN: Channel = Channel {
    end_point: None,
    offers_binding: false,
};

fn who<'a>(user: &'a str, secret: &'a str) -> Credentials<'a> {
    Credentials {
        user,
        secret,
        host: "server.example.com",
        port: 587,
    }
}

fn first(mechanism: Mechanism, user: &str, secret: &str) -> String {
    let who = who(user, secret);
    let exchange = start(mechanism, &who, &OPEN).unwrap();
    STANDARD.encode(exchange.initial().unwrap())
}

/// The answer as text, with `!` before one to an error.
fn told(response: Result<Response, Halt>) -> Result<String, Halt> {
    response.map(|response| match response {
        Response::Answer(answer) => String::from_utf8(answer.to_vec()).unwrap(),
        Response::AfterError(answer) => format!("!{}", String::from_utf8_lossy(&answer)),
    })
}

fn scram<'a>(hash: Hash, who: &'a Credentials<'a>, nonce: &str) -> Scram<'a> {
    Scram::new(hash, who, Binding::of(false, &OPEN), nonce.to_owned())
}

#[test]
fn a_token_stands_as_its_papers_say() {
    assert_eq!(
        first(
            Mechanism::Xoauth2,
            "someuser@example.com",
            "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"
        ),
        "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ=="
    );
    assert_eq!(
        first(
            Mechanism::Oauthbearer,
            "user@example.com",
            "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
        ),
        "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9NTg3AWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB"
    );
    assert_eq!(
        LENIENT
            .decode(first(Mechanism::Oauthbearer, "a=b,c", "t"))
            .unwrap(),
        b"n,a=a=3Db=2Cc,\x01host=server.example.com\x01port=587\x01auth=Bearer t\x01\x01"
    );
}

#[test]
fn an_error_of_a_token_is_answered_as_each_form_wants() {
    let who = who("user", "token");
    for (mechanism, wanted) in [(Mechanism::Xoauth2, "!"), (Mechanism::Oauthbearer, "!\x01")] {
        let mut exchange = start(mechanism, &who, &OPEN).unwrap();
        let initial = String::from_utf8(exchange.initial().unwrap().to_vec()).unwrap();
        // A server that has not looked at it is told once more.
        assert_eq!(told(exchange.answer(Some(b""))), Ok(initial));
        for challenge in [Some(&b"{\"status\":\"401\"}"[..]), None, Some(b"")] {
            assert_eq!(told(exchange.answer(challenge)), Ok(wanted.to_owned()));
        }
    }
}

#[test]
fn the_simple_ones_stand_as_their_papers_say() {
    // RFC 4616 section 4, RFC 4505 section 2, RFC 4422 appendix A.
    assert_eq!(
        first(Mechanism::Plain, "tim", "tanstaaftanstaaf"),
        "AHRpbQB0YW5zdGFhZnRhbnN0YWFm"
    );
    assert_eq!(first(Mechanism::Anonymous, "sirhc", ""), "c2lyaGM=");
    assert_eq!(first(Mechanism::External, "user", ""), "");
    let who = who("user", "pässword");
    let mut login = start(Mechanism::Login, &who, &OPEN).unwrap();
    assert!(login.initial().is_none() && !login.has_tried_secret());
    assert_eq!(
        told(login.answer(Some(b"Benutzer:"))),
        Ok("user".to_owned())
    );
    assert!(!login.has_tried_secret());
    assert_eq!(told(login.answer(None)), Ok("pässword".to_owned()));
    assert!(login.has_tried_secret());
    assert_eq!(told(login.answer(None)), Err(Halt::Senseless));
}

#[test]
fn cram_md5_answers_as_rfc_2195_section_2() {
    let who = who("tim", "tanstaaftanstaaf");
    let mut exchange = start(Mechanism::CramMd5, &who, &OPEN).unwrap();
    for challenge in [None, Some(&b""[..])] {
        assert_eq!(told(exchange.answer(challenge)), Err(Halt::Senseless));
    }
    assert!(!exchange.has_tried_secret());
    let challenge = b"<1896.697170952@postoffice.reston.mci.net>";
    let answer = told(exchange.answer(Some(challenge))).unwrap();
    assert_eq!(answer, "tim b913a602c7eda7a495b4e6e7334d3890");
    assert_eq!(
        exchange.proof(answer.as_bytes()),
        b"b913a602c7eda7a495b4e6e7334d3890"
    );
    assert!(exchange.has_tried_secret());
    assert_eq!(told(exchange.answer(Some(challenge))), Err(Halt::Senseless));
}

/// An example: hash, our nonce, the server's first message, our proof, the server's signature.
type Example = (Hash, &'static str, &'static str, &'static str, &'static str);

const EXAMPLES: [Example; 2] = [
    (
        // RFC 5802 section 5.
        Hash::Sha1,
        "fyko+d2lbbFgONRv9qkxdawL",
        "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    ),
    (
        // RFC 7677 section 3.
        Hash::Sha256,
        "rOprNGfwEbeRWgbNEkqO",
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    ),
];

#[test]
fn scram_goes_as_in_rfc_5802_section_5_and_rfc_7677_section_3() {
    let who = who("user", "pencil");
    for (hash, nonce, server, proof, signature) in EXAMPLES {
        let mut exchange = scram(hash, &who, nonce);
        let initial = exchange.initial().unwrap();
        assert_eq!(*initial, format!("n,,n=user,r={nonce}").into_bytes());
        assert!(!exchange.has_tried_secret());
        let answer = told(exchange.answer(Some(server.as_bytes()))).unwrap();
        assert_eq!(answer, proof);
        let (_, shown) = proof.split_once("p=").unwrap();
        assert_eq!(exchange.proof(answer.as_bytes()), shown.as_bytes());
        assert!(exchange.has_tried_secret());
        assert_eq!(
            told(exchange.answer(Some(signature.as_bytes()))),
            Ok(String::new())
        );
        assert_eq!(exchange.finish(b"2.7.0 welcome"), Ok(()));
    }
}

#[test]
fn a_signature_may_come_with_the_reply_that_accepts_the_login() {
    let who = who("user", "pencil");
    for (hash, nonce, server, _, signature) in EXAMPLES {
        let mut exchange = scram(hash, &who, nonce);
        exchange.answer(Some(server.as_bytes())).ok().unwrap();
        let text = format!("2.7.0 {}", STANDARD.encode(signature));
        assert_eq!(exchange.finish(text.as_bytes()), Ok(()));
        let mut exchange = scram(hash, &who, nonce);
        exchange.answer(Some(server.as_bytes())).ok().unwrap();
        let text = STANDARD.encode("v=AAAA");
        assert_eq!(exchange.finish(text.as_bytes()), Err(ScramError::Signature));
    }
}

#[test]
fn a_login_without_a_signature_is_not_believed() {
    let who = who("user", "pencil");
    let (hash, nonce, server, _, _) = EXAMPLES[1];
    let mut exchange = scram(hash, &who, nonce);
    assert_eq!(exchange.finish(b"in"), Err(ScramError::NoSignature));
    exchange.answer(Some(server.as_bytes())).ok().unwrap();
    assert_eq!(exchange.finish(b"in"), Err(ScramError::NoSignature));
    assert_eq!(
        told(exchange.answer(Some(b"e=invalid-proof"))),
        Ok("!".to_owned())
    );
    assert_eq!(exchange.finish(b"in"), Err(ScramError::NoSignature));
    let again = told(exchange.answer(Some(server.as_bytes())));
    assert_eq!(again, Err(Halt::Scram(ScramError::Message)));
}

#[test]
fn a_wrong_server_signature_is_a_failure() {
    let who = who("user", "pencil");
    let (hash, nonce, server, _, right) = EXAMPLES[1];
    for (signature, error) in [
        (
            "v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
            ScramError::Signature,
        ),
        ("v=6rriTRBi23WpRRc1wtmMsvtHnTge", ScramError::Signature),
        ("v=", ScramError::Signature),
        ("v=!", ScramError::Message),
        ("", ScramError::Message),
        (server, ScramError::Message),
    ] {
        let mut exchange = scram(hash, &who, nonce);
        exchange.answer(Some(server.as_bytes())).ok().unwrap();
        let told = told(exchange.answer(Some(signature.as_bytes())));
        assert_eq!(told, Err(Halt::Scram(error)), "{signature}");
        assert!(exchange.finish(b"in").is_err(), "{signature}");
    }
    let mut exchange = scram(hash, &who, nonce);
    exchange.answer(Some(server.as_bytes())).ok().unwrap();
    let extended = format!("{right},x=later");
    assert_eq!(
        told(exchange.answer(Some(extended.as_bytes()))),
        Ok(String::new())
    );
}

#[test]
fn no_proof_is_given_to_a_server_that_does_not_keep_to_scram() {
    let who = who("user", "pencil");
    for (challenge, error) in [
        ("r=abc,s=QSXCR+Q6sek8bf92,i=4096", ScramError::Nonce),
        ("r=other,s=QSXCR+Q6sek8bf92,i=4096", ScramError::Nonce),
        ("r=abcd\u{7f},s=QSXCR+Q6sek8bf92,i=4096", ScramError::Nonce),
        ("r=abcd,s=QSXCR+Q6sek8bf92,i=0", ScramError::Iterations(0)),
        (
            "r=abcd,s=QSXCR+Q6sek8bf92,i=4095",
            ScramError::Iterations(4095),
        ),
        (
            "r=abcd,s=QSXCR+Q6sek8bf92,i=5000001",
            ScramError::Iterations(5_000_001),
        ),
        (
            "r=abcd,s=QSXCR+Q6sek8bf92,i=99999999999999999999999",
            ScramError::Iterations(u64::MAX),
        ),
        ("r=abcd,s=QSXCR+Q6sek8bf92,i=+4096", ScramError::Message),
        ("r=abcd,s=QSXCR+Q6sek8bf92,i=", ScramError::Message),
        ("r=abcd,s=QSXCR+Q6sek8bf92", ScramError::Message),
        ("r=abcd,s=,i=4096", ScramError::Message),
        ("r=abcd,s=*,i=4096", ScramError::Message),
        ("r=abcd,i=4096,s=QSXCR+Q6sek8bf92", ScramError::Message),
        ("s=QSXCR+Q6sek8bf92,r=abcd,i=4096", ScramError::Message),
        (
            "m=1,r=abcd,s=QSXCR+Q6sek8bf92,i=4096",
            ScramError::Extension,
        ),
        ("hello", ScramError::Message),
    ] {
        let mut exchange = scram(Hash::Sha256, &who, "abc");
        let told = told(exchange.answer(Some(challenge.as_bytes())));
        assert_eq!(told, Err(Halt::Scram(error)), "{challenge}");
        assert!(!exchange.has_tried_secret(), "{challenge}");
    }
    let mut exchange = scram(Hash::Sha256, &who, "abc");
    assert_eq!(
        told(exchange.answer(Some(b"\xff"))),
        Err(Halt::Scram(ScramError::Message))
    );
    assert_eq!(told(exchange.answer(None)), Err(Halt::Senseless));
}

#[test]
fn a_server_that_has_not_looked_is_told_the_first_message_once_more() {
    let who = who("user", "pencil");
    let mut exchange = scram(Hash::Sha1, &who, "abc");
    assert_eq!(
        told(exchange.answer(Some(b""))),
        Ok("n,,n=user,r=abc".to_owned())
    );
    assert_eq!(
        told(exchange.answer(Some(b""))),
        Err(Halt::Scram(ScramError::Message))
    );
    let mut exchange = scram(Hash::Sha1, &who, "abc");
    let error = b"e=unsupported-channel-binding-type";
    assert_eq!(told(exchange.answer(Some(error))), Ok("!".to_owned()));
    assert!(!exchange.has_tried_secret());
}

#[test]
fn the_login_is_bound_to_the_connection_or_says_why_not() {
    let end_point = Some(b"\x00\xffhash".to_vec());
    let channel = |known: bool, offers_binding| Channel {
        end_point: end_point.clone().filter(|_| known),
        offers_binding,
    };
    let who = who("user", "pencil");
    for (bound, known, offered, head, header) in [
        (
            true,
            true,
            true,
            "p=tls-server-end-point,,",
            &b"p=tls-server-end-point,,\x00\xffhash"[..],
        ),
        // The server offers a binding: it must not be told that it does not.
        (false, true, true, "n,,", b"n,,"),
        (false, true, false, "y,,", b"y,,"),
        (false, false, false, "n,,", b"n,,"),
        (false, false, true, "n,,", b"n,,"),
    ] {
        let binding = Binding::of(bound, &channel(known, offered));
        let mut exchange = Scram::new(Hash::Sha256, &who, binding, "abc".to_owned());
        let wanted = format!("{head}n=user,r=abc");
        assert_eq!(*exchange.initial().unwrap(), wanted.into_bytes());
        let challenge = b"r=abcd,s=QSXCR+Q6sek8bf92,i=4096";
        let answer = told(exchange.answer(Some(challenge))).unwrap();
        let wanted = format!("c={},r=abcd,p=", STANDARD.encode(header));
        assert!(answer.starts_with(&wanted), "{answer}");
    }
}

#[test]
fn names_and_passwords_are_prepared_where_that_is_possible() {
    // RFC 4013 section 3: a soft hyphen vanishes, a Roman numeral is taken apart.
    for (text, wanted) in [
        ("I\u{ad}X", "IX"),
        ("\u{2168}", "IX"),
        ("a=b,c", "a=3Db=2Cc"),
        ("a\u{7}b", "a\u{7}b"),
        ("\u{1f511}", "\u{1f511}"),
    ] {
        let who = who(text, "pencil");
        let initial = scram(Hash::Sha1, &who, "abc").initial().unwrap();
        assert_eq!(*initial, format!("n,,n={wanted},r=abc").into_bytes());
    }
    let proof = |secret| {
        let who = who("user", secret);
        let mut exchange = scram(Hash::Sha1, &who, "abc");
        told(exchange.answer(Some(b"r=abcd,s=QSXCR+Q6sek8bf92,i=4096")))
    };
    assert_eq!(proof("\u{2168}"), proof("IX"));
    assert_ne!(proof("\u{1f511}"), proof(""));
}

#[test]
fn every_exchange_has_a_nonce_of_its_own() {
    let nonces = [scram::nonce().unwrap(), scram::nonce().unwrap()];
    assert_ne!(nonces[0], nonces[1]);
    let is_good = |nonce: &String| nonce.len() == 32 && !nonce.contains(',');
    assert!(nonces.iter().all(is_good), "{nonces:?}");
}
