//! SCRAM (RFC 5802, RFC 7677): the client proves that it knows the password without sending it, and
//! the server proves the same of itself.
//!
//! Promise: a login is believed only once the server's signature is verified. No proof is given for
//! a nonce that is not ours, nor for so few iterations that the password could be guessed from it;
//! no time is spent on absurdly many. Where the server offers no channel binding, it is told that
//! we could have done with it, so that nobody between can hide the offer (section 6).
use std::borrow::Cow;
use std::str;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::hash::Hash;
use super::{Bytes, Channel, Credentials, Exchange, Halt, LENIENT, Response, joined, saslname};
use crate::delivery::ScramError;

/// The fewest iterations (RFC 5802 section 5.1, RFC 7677 section 4).
const FEWEST: u64 = 4096;
/// The most iterations: a few seconds of work. No server in use has a tenth of it.
const MOST: u64 = 5_000_000;
/// The random bytes of a nonce.
const RANDOM: usize = 24;

/// A nonce of printable characters without a comma.
///
/// # Errors
/// Why the system has no random numbers.
pub(super) fn nonce() -> Result<String, String> {
    let mut random = [0; RANDOM];
    getrandom::fill(&mut random).map_err(|error| error.to_string())?;
    Ok(STANDARD.encode(random))
}

/// Text as `SASLprep` (RFC 4013) has it. What that does not allow stays as it is: a server that
/// prepares nothing has stored it so.
fn prepared(text: &str) -> Zeroizing<String> {
    Zeroizing::new(stringprep::saslprep(text).map_or_else(|_| text.to_owned(), Cow::into_owned))
}

/// How the login is bound to the connection (RFC 5802 section 6).
pub(super) struct Binding {
    /// The flag before the first message.
    flag: &'static str,
    /// What the connection is known by.
    data: Vec<u8>,
}

impl Binding {
    /// The binding of a login over this connection.
    pub(super) fn of(bound: bool, channel: &Channel) -> Self {
        let (flag, data) = match &channel.end_point {
            Some(end_point) if bound => ("p=tls-server-end-point", end_point.clone()),
            Some(_) if !channel.offers_binding => ("y", Vec::new()),
            _ => ("n", Vec::new()),
        };
        Binding { flag, data }
    }
}

/// Where an exchange stands.
enum State {
    /// Our first message is all that was said; `true` when it was said twice.
    Begun(bool),
    /// Our proof was given: what verifies the server's signature.
    Proved {
        server_key: Bytes,
        auth_message: Bytes,
    },
    /// The server has proved itself.
    Verified,
    /// The server has said that it refuses.
    Refused,
}

/// A login by SCRAM.
pub(super) struct Scram<'a> {
    hash: Hash,
    user: &'a str,
    secret: &'a str,
    binding: Binding,
    nonce: String,
    state: State,
}

/// What the server says first.
struct ServerFirst<'a> {
    nonce: &'a str,
    salt: Vec<u8>,
    iterations: u32,
}

impl<'a> ServerFirst<'a> {
    /// Reads it; extensions behind the number of iterations are ignored (section 5.1).
    fn read(text: &'a str, ours: &str) -> Result<Self, ScramError> {
        if text.starts_with("m=") {
            return Err(ScramError::Extension);
        }
        let mut fields = text.split(',');
        let mut field = |name| fields.next().and_then(|field| field.strip_prefix(name));
        let (Some(nonce), Some(salt), Some(count)) = (field("r="), field("s="), field("i=")) else {
            return Err(ScramError::Message);
        };
        let added = nonce.strip_prefix(ours).unwrap_or_default();
        if added.is_empty() || !added.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ScramError::Nonce);
        }
        let salt = LENIENT.decode(salt).map_err(|_| ScramError::Message)?;
        if salt.is_empty() || count.is_empty() || !count.bytes().all(|b| b.is_ascii_digit()) {
            return Err(ScramError::Message);
        }
        let count = count.parse().unwrap_or(u64::MAX);
        match u32::try_from(count) {
            Ok(iterations) if (FEWEST..=MOST).contains(&count) => Ok(ServerFirst {
                nonce,
                salt,
                iterations,
            }),
            _ => Err(ScramError::Iterations(count)),
        }
    }
}

impl<'a> Scram<'a> {
    pub(super) fn new(
        hash: Hash,
        who: &'a Credentials<'a>,
        binding: Binding,
        nonce: String,
    ) -> Self {
        Scram {
            hash,
            user: who.user,
            secret: who.secret,
            binding,
            nonce,
            state: State::Begun(false),
        }
    }

    /// The first message without its header: `n=user,r=nonce`.
    fn bare(&self) -> Bytes {
        joined(&["n=", &saslname(&prepared(self.user)), ",r=", &self.nonce])
    }

    fn first(&self) -> Bytes {
        let mut message = joined(&[self.binding.flag, ",,"]);
        message.extend_from_slice(&self.bare());
        message
    }

    /// The final message, with the proof (section 3).
    fn proof_for(&mut self, challenge: &[u8]) -> Result<Bytes, ScramError> {
        let text = str::from_utf8(challenge).map_err(|_| ScramError::Message)?;
        let server = ServerFirst::read(text, &self.nonce)?;
        let header = [self.binding.flag.as_bytes(), b",,", &self.binding.data].concat();
        let without_proof = joined(&["c=", &STANDARD.encode(header), ",r=", server.nonce]);
        let auth_message: Bytes =
            Zeroizing::new([&self.bare(), challenge, &without_proof[..]].join(&b","[..]));
        let password = prepared(self.secret);
        let (hash, iterations) = (self.hash, server.iterations);
        let salted = hash.salted(password.as_bytes(), &server.salt, iterations);
        let keys = || {
            let client_key = hash.hmac(&salted, b"Client Key")?;
            let signature = hash.hmac(&hash.digest(&client_key), &auth_message)?;
            Some((client_key, signature, hash.hmac(&salted, b"Server Key")?))
        };
        let (mut proof, signature, server_key) = keys().ok_or(ScramError::Message)?;
        for (byte, other) in proof.iter_mut().zip(signature.iter()) {
            *byte ^= other;
        }
        let mut message = without_proof;
        let proof = Zeroizing::new(STANDARD.encode(&*proof));
        message.extend_from_slice(&joined(&[",p=", &proof]));
        self.state = State::Proved {
            server_key,
            auth_message,
        };
        Ok(message)
    }

    /// Verifies the server's signature: `v=` and its base64, perhaps with extensions behind it.
    fn verify(&mut self, text: &[u8]) -> Result<(), ScramError> {
        let State::Proved {
            server_key,
            auth_message,
        } = &self.state
        else {
            return Err(ScramError::Message);
        };
        let value = text.strip_prefix(b"v=").ok_or(ScramError::Message)?;
        let value = value.split(|byte| *byte == b',').next().unwrap_or(value);
        let signature = LENIENT.decode(value).map_err(|_| ScramError::Message)?;
        if !self.hash.verifies(server_key, auth_message, &signature) {
            return Err(ScramError::Signature);
        }
        self.state = State::Verified;
        Ok(())
    }
}

impl Exchange for Scram<'_> {
    fn initial(&self) -> Option<Bytes> {
        Some(self.first())
    }

    fn answer(&mut self, challenge: Option<&[u8]>) -> Result<Response, Halt> {
        let begun = matches!(self.state, State::Begun(_));
        let unreadable = if begun {
            Halt::Senseless
        } else {
            Halt::Scram(ScramError::Message)
        };
        let challenge = challenge.ok_or(unreadable)?;
        match &mut self.state {
            // A server that has not looked at what came with the command asks once more.
            State::Begun(repeated) if challenge.is_empty() && !*repeated => {
                *repeated = true;
                return Ok(Response::Answer(self.first()));
            }
            State::Begun(_) | State::Proved { .. } if challenge.starts_with(b"e=") => {
                if !begun {
                    self.state = State::Refused;
                }
                return Ok(Response::AfterError(Bytes::default()));
            }
            State::Begun(_) => self.proof_for(challenge).map(Response::Answer),
            State::Proved { .. } => self
                .verify(challenge)
                .map(|()| Response::Answer(Bytes::default())),
            State::Verified | State::Refused => Err(ScramError::Message),
        }
        .map_err(Halt::Scram)
    }

    /// The signature may also come in base64 with the reply itself.
    fn finish(&mut self, text: &[u8]) -> Result<(), ScramError> {
        if matches!(self.state, State::Proved { .. }) {
            let words = text.split(u8::is_ascii_whitespace);
            let signature = words
                .filter_map(|word| LENIENT.decode(word).ok())
                .find(|word| word.starts_with(b"v="));
            if let Some(signature) = signature {
                return self.verify(&signature);
            }
        }
        match self.state {
            State::Verified => Ok(()),
            _ => Err(ScramError::NoSignature),
        }
    }

    fn has_tried_secret(&self) -> bool {
        !matches!(self.state, State::Begun(_))
    }

    fn proof<'a>(&self, answer: &'a [u8]) -> &'a [u8] {
        const MARK: &[u8] = b",p=";
        let at = memchr::memmem::rfind(answer, MARK).map(|at| at + MARK.len());
        at.and_then(|at| answer.get(at..)).unwrap_or_default()
    }
}
