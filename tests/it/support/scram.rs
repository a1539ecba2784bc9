//! The server's side of SCRAM (RFC 5802, RFC 7677), as it should be and as servers lie in it.
//!
//! Promise: computed with OpenSSL, not with what is under test.
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use openssl::hash::{MessageDigest, hash};
use openssl::pkcs5::pbkdf2_hmac;
use openssl::pkey::PKey;
use openssl::sign::Signer;

const SALT: &[u8] = b"\x01a salt of the tests";
const ADDED: &str = "%added-by-the-server";

/// What a server does instead of what it should.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Nothing: it is as it should be.
    #[default]
    None,
    /// Sends its signature with the reply that accepts the login.
    SignatureInReply,
    /// Sends a signature of something else.
    OtherSignature,
    /// Accepts the proof, and gives no signature.
    NoSignature,
    /// Accepts the first message.
    AtOnce,
    /// Sends a nonce that is not made of the client's.
    OtherNonce,
    /// Sends the client's nonce as it came.
    SameNonce,
    /// Wants so many iterations.
    Iterations(u64),
    /// Wants an extension.
    Extension,
    /// Sends words.
    Words,
    /// Has no verifier for any user.
    NoVerifier,
    /// Knows another kind of channel binding only.
    OtherBinding,
    /// Closes the connection in place of its first message.
    Close,
}

/// What the client's first message says.
pub(super) struct First {
    /// The flag of the channel binding.
    pub flag: String,
    bare: String,
    nonce: String,
}

impl First {
    /// Reads it.
    pub(super) fn read(message: &str) -> Option<Self> {
        let (flag, bare) = message.split_once(",,")?;
        let (_, nonce) = bare.split_once(",r=")?;
        Some(First {
            flag: flag.to_owned(),
            bare: bare.to_owned(),
            nonce: nonce.to_owned(),
        })
    }

    /// Returns whether it names this user.
    pub(super) fn is_of(&self, user: &str) -> bool {
        self.bare.starts_with(&format!("n={user},"))
    }

    /// The server's first message.
    pub(super) fn challenge(&self, lie: Lie) -> String {
        let salt = BASE64.encode(SALT);
        let head = match lie {
            Lie::OtherNonce => format!("r={ADDED}"),
            Lie::SameNonce => format!("r={}", self.nonce),
            Lie::Extension => format!("m=x,r={}{ADDED}", self.nonce),
            Lie::Words => "please log in".to_owned(),
            _ => format!("r={}{ADDED}", self.nonce),
        };
        let count = match lie {
            Lie::Iterations(count) => count,
            _ => 4096,
        };
        format!("{head},s={salt},i={count}")
    }

    /// The server's signature, if the client's proof is right; `binding` is what the connection is
    /// known by.
    pub(super) fn verify(
        &self,
        sha1: bool,
        password: &str,
        binding: &[u8],
        answer: &str,
    ) -> Option<Vec<u8>> {
        let digest = if sha1 {
            MessageDigest::sha1()
        } else {
            MessageDigest::sha256()
        };
        let hmac = |key: &[u8], text: &[u8]| {
            let key = PKey::hmac(key).unwrap();
            let mut signer = Signer::new(digest, &key).unwrap();
            signer.sign_oneshot_to_vec(text).unwrap()
        };
        let (without_proof, proof) = answer.rsplit_once(",p=")?;
        let header = [format!("{},,", self.flag).as_bytes(), binding].concat();
        let wanted = format!("c={},r={}{ADDED}", BASE64.encode(header), self.nonce);
        if without_proof != wanted {
            return None;
        }
        let mut salted = vec![0; digest.size()];
        pbkdf2_hmac(password.as_bytes(), SALT, 4096, digest, &mut salted).unwrap();
        let said = format!("{},{},{wanted}", self.bare, self.challenge(Lie::None));
        let client_key = hmac(&salted, b"Client Key");
        let signature = hmac(&hash(digest, &client_key).unwrap(), said.as_bytes());
        let right: Vec<u8> = client_key
            .iter()
            .zip(signature)
            .map(|(a, b)| a ^ b)
            .collect();
        let is_right = BASE64.decode(proof).ok()? == right;
        is_right.then(|| hmac(&hmac(&salted, b"Server Key"), said.as_bytes()))
    }
}
