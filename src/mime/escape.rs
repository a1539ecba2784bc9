//! Bytes as a mark and two hexadecimal digits, as several encodings write them.

/// Writes a byte as a mark and two upper-case hexadecimal digits: `=3D`, `%3D`.
pub(crate) fn push_hex(mark: u8, byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.extend_from_slice(&[
        mark,
        DIGITS[usize::from(byte >> 4)],
        DIGITS[usize::from(byte & 15)],
    ]);
}

/// Writes every byte that is not plain as [`push_hex`] does. Plain bytes are ASCII.
pub(crate) fn escaped(text: &str, mark: u8, is_plain: impl Fn(u8) -> bool) -> String {
    let mut out = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte) {
            out.push(byte);
        } else {
            push_hex(mark, byte, &mut out);
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Percent-encodes all but letters, digits and what is to be kept (RFC 3986 section 2.1).
pub(crate) fn percent(text: &str, keep: &[u8]) -> String {
    escaped(text, b'%', |byte| {
        byte.is_ascii_alphanumeric() || keep.contains(&byte)
    })
}
