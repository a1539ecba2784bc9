//! The cost of storing a message, compared with the bare steps of any durable write: write, fsync,
//! rename, fsync of the directory. In turns, so that both meet the same disk: `cargo bench --bench
//! enqueue [DIRECTORY]`.
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use smail::address::Address;
use smail::message::{Envelope, Message};
use smail::queue::{Head, Policy, Queue};

const ROUNDS: usize = 300;

fn bare(dir: &Path, number: usize, bytes: &[u8]) {
    let temporary = dir.join(format!("tmp.{number}"));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&temporary)
        .unwrap();
    file.write_all(bytes).unwrap();
    file.sync_all().unwrap();
    fs::rename(&temporary, dir.join(format!("{number}.msg"))).unwrap();
    File::open(dir).unwrap().sync_all().unwrap();
}

fn head() -> Head {
    Head {
        id: String::new(),
        created: 0,
        expires: 0,
        account: None,
        settings: vec!["smtp=smtp.example.org".into()],
        login: None,
        from: "a@x.example".into(),
        sender: Some("a@x.example".into()),
        to: vec!["b@x.example".into()],
        message_id: String::new(),
        subject: "s".into(),
        eight_bit: false,
        header_utf8: false,
        key: None,
        dsn: smail::message::Dsn::default(),
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn main() {
    let place = std::env::args()
        .skip(1)
        .find(|a| !a.starts_with('-'))
        .unwrap_or_else(|| "target".into());
    let place = tempfile::tempdir_in(place).unwrap();
    let queue = Queue::open(&place.path().join("queue"), Policy::default(), |_| {
        String::new()
    })
    .unwrap();
    let bare_dir = place.path().join("bare");
    fs::create_dir(&bare_dir).unwrap();
    for size in [1_000, 100_000] {
        let body = b"Subject: s\r\n\r\n"
            .iter()
            .copied()
            .chain(b"0123456789abcdef\r\n".iter().copied().cycle().take(size))
            .collect::<Vec<u8>>();
        let address = |text| Address::parse(text).unwrap();
        let envelope = Envelope {
            sender: Some(address("a@x.example")),
            recipients: vec![address("b@x.example")],
            ..Envelope::default()
        };
        let message = Message::from_wire("<1@x.example>".into(), envelope, body.clone());
        let (mut plain, mut queued) = (Vec::new(), Vec::new());
        for number in 0..ROUNDS {
            let start = Instant::now();
            bare(&bare_dir, size + number, &body);
            plain.push(start.elapsed());
            let start = Instant::now();
            drop(queue.submit(head(), &message, None).unwrap());
            queued.push(start.elapsed());
        }
        let (plain, queued) = (median(plain), median(queued));
        let ratio = queued.as_secs_f64() / plain.as_secs_f64();
        println!(
            "{size:>7} octets: bare {plain:>9.1?}, queue {queued:>9.1?}, ratio {ratio:.2} (medians of {ROUNDS}, in turns)"
        );
    }
}
