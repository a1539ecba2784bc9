//! What the server's hello says in clear: version and cipher.
//!
//! Reads at most what it is given and takes nothing for granted; what cannot be read is empty.

/// Ciphers by number (IANA), under OpenSSL's names; those that servers of mail choose.
#[rustfmt::skip]
const CIPHERS: &[(u16, &str)] = &[
    (0x1301, "TLS_AES_128_GCM_SHA256"), (0x1302, "TLS_AES_256_GCM_SHA384"), (0x1303, "TLS_CHACHA20_POLY1305_SHA256"),
    (0x1304, "TLS_AES_128_CCM_SHA256"),
    (0xC02B, "ECDHE-ECDSA-AES128-GCM-SHA256"), (0xC02C, "ECDHE-ECDSA-AES256-GCM-SHA384"),
    (0xC02F, "ECDHE-RSA-AES128-GCM-SHA256"), (0xC030, "ECDHE-RSA-AES256-GCM-SHA384"),
    (0xCCA8, "ECDHE-RSA-CHACHA20-POLY1305"), (0xCCA9, "ECDHE-ECDSA-CHACHA20-POLY1305"),
    (0x009E, "DHE-RSA-AES128-GCM-SHA256"), (0x009F, "DHE-RSA-AES256-GCM-SHA384"),
    (0xC023, "ECDHE-ECDSA-AES128-SHA256"), (0xC024, "ECDHE-ECDSA-AES256-SHA384"),
    (0xC027, "ECDHE-RSA-AES128-SHA256"), (0xC028, "ECDHE-RSA-AES256-SHA384"),
    (0xC009, "ECDHE-ECDSA-AES128-SHA"), (0xC00A, "ECDHE-ECDSA-AES256-SHA"),
    (0xC013, "ECDHE-RSA-AES128-SHA"), (0xC014, "ECDHE-RSA-AES256-SHA"),
    (0x009C, "AES128-GCM-SHA256"), (0x009D, "AES256-GCM-SHA384"), (0x002F, "AES128-SHA"), (0x0035, "AES256-SHA"),
];

/// Version and cipher by the first bytes that the server sent (RFC 8446 section 4.1.3); a request
/// for another hello names the same.
pub(super) fn read(head: &[u8]) -> (&'static str, &'static str) {
    parse(head).unwrap_or(("TLS", ""))
}

fn parse(head: &[u8]) -> Option<(&'static str, &'static str)> {
    // A record (5) of handshake (4) with version (2), random (32) and session.
    let (22, 2) = (*head.first()?, *head.get(5)?) else {
        return None;
    };
    let mut version = number(head, 9)?;
    let at = 44 + usize::from(*head.get(43)?);
    let cipher = number(head, at)?;
    let mut next = at + 5;
    while let (Some(kind), Some(length)) = (number(head, next), number(head, next + 2)) {
        if kind == 43 {
            version = number(head, next + 4)?;
        }
        next += 4 + usize::from(length);
    }
    let version = match version {
        0x0303 => "TLSv1.2",
        0x0304 => "TLSv1.3",
        _ => "TLS",
    };
    Some((
        version,
        CIPHERS
            .iter()
            .find(|(id, _)| *id == cipher)
            .map_or("", |(_, name)| name),
    ))
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A hello of this version and cipher with extensions.
    fn hello(cipher: u16, extensions: &[u8]) -> Vec<u8> {
        let mut head = vec![22, 3, 3, 0, 90, 2, 0, 0, 86, 3, 3];
        head.extend([7; 32]);
        head.push(2);
        head.extend([9, 9]);
        head.extend(cipher.to_be_bytes());
        head.extend([0, 0, u8::try_from(extensions.len()).unwrap()]);
        head.extend(extensions);
        head
    }

    #[test]
    fn version_and_cipher_are_those_of_the_hello() {
        let newer = [0, 51, 0, 2, 1, 1, 0, 43, 0, 2, 3, 4];
        assert_eq!(
            read(&hello(0x1302, &newer)),
            ("TLSv1.3", "TLS_AES_256_GCM_SHA384")
        );
        assert_eq!(
            read(&hello(0xC02F, &[0, 23, 0, 0])),
            ("TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256")
        );
        assert_eq!(read(&hello(0x0001, &[])), ("TLSv1.2", ""));
    }

    #[test]
    fn what_is_no_hello_or_is_cut_names_nothing_and_ends_nothing() {
        let whole = hello(0x1301, &[0, 43, 0, 2, 3, 4]);
        for end in 0..whole.len() {
            let (version, cipher) = read(&whole[..end]);
            assert!(
                ["TLS", "TLSv1.2", "TLSv1.3"].contains(&version),
                "{version} {cipher}"
            );
        }
        assert_eq!(read(b"220 mx.test ESMTP"), ("TLS", ""));
        assert_eq!(read(&[22; 256]), ("TLS", ""));
    }
}
