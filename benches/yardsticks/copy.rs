//! A plain copy: `copy PORT FILE` writes the file to the port of this machine, as fast as the
//! kernel takes it, and reads until the other side closes. The file holds a whole session; nothing is
//! interpreted.
use std::fs::File;
use std::io::{self, Read};
use std::net::TcpStream;

fn main() -> io::Result<()> {
    let mut words = std::env::args().skip(1);
    let port = words.next().and_then(|word| word.parse::<u16>().ok()).ok_or(io::ErrorKind::InvalidInput)?;
    let mut file = File::open(words.next().ok_or(io::ErrorKind::InvalidInput)?)?;
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    io::copy(&mut file, &mut stream)?;
    let mut answers = [0; 4096];
    while stream.read(&mut answers)? > 0 {}
    Ok(())
}
