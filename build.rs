//! Makes static tables of `src/hints.toml` and `src/providers.toml`, which the program includes.
//!
//! Promise: a row that is written wrong, or that names what does not exist, ends the build with a
//! message that names the file, the line and the row. The tables hold no addresses: every text is
//! a part of one long text, so that the dynamic linker has nothing to adjust when the program
//! starts. Reads nothing but these files and the
//! names of the mechanisms, and writes into `OUT_DIR` alone.
use std::path::Path;
use std::process::ExitCode;
use std::{env, fs, io};

use rows::Complaints;

#[path = "build/hints.rs"]
mod hints;
#[expect(
    dead_code,
    unreachable_pub,
    reason = "a file of the program: only the names are used here"
)]
#[path = "src/route/mechanism.rs"]
mod mechanism;
#[path = "build/providers.rs"]
mod providers;
#[path = "build/rows.rs"]
mod rows;

const HINTS: &str = "src/hints.toml";
const PROVIDERS: &str = "src/providers.toml";
const MECHANISMS: &str = "src/route/mechanism.rs";

fn main() -> io::Result<ExitCode> {
    for input in ["build.rs", "build", HINTS, PROVIDERS, MECHANISMS] {
        println!("cargo::rerun-if-changed={input}");
    }
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("OUT_DIR is not set"))?;
    let out = Path::new(&out);
    let mut complaints = Complaints::default();

    let text = fs::read_to_string(PROVIDERS)?;
    let providers = rows::read(PROVIDERS, &text, &mut complaints);
    providers::check(&providers, &mut complaints);
    let text = fs::read_to_string(HINTS)?;
    let hints = rows::read(HINTS, &text, &mut complaints);
    hints::check(&hints, &providers, &mut complaints);

    if !complaints.0.is_empty() {
        for complaint in complaints.0 {
            println!("cargo::error={complaint}");
        }
        return Ok(ExitCode::FAILURE);
    }
    providers::table(&providers).write(out, "providers")?;
    hints::table(&hints).write(out, "hints")?;
    Ok(ExitCode::SUCCESS)
}
