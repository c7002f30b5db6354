//! A job that does what its arguments say, one after the other: `say` prints the run to stdout,
//! `note` appends a line about it to `/notes/runs` (a granted folder), `wait MS` waits, `spin`
//! computes for ever, `trap` traps, `exit CODE` exits, and `until N` exits with 7 in each attempt
//! before the Nth; `trip` exits with 3 the first time, which it remembers by a file in `/notes`; `dial`
//! connects to an address that nobody grants it.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::TcpStream;
use std::process::exit;
use std::thread::sleep;
use std::time::Duration;

fn main() {
    let mut words = env::args().skip(1);
    while let Some(order) = words.next() {
        match &*order {
            "say" => println!("{}", run()),
            "note" => note(),
            "wait" => sleep(Duration::from_millis(number(words.next()))),
            "spin" => loop {
                std::hint::black_box(0);
            },
            "dial" => drop(TcpStream::connect("192.0.2.1:9")),
            "trap" => panic!("as it was told"),
            "trip" => {
                if OpenOptions::new().create_new(true).write(true).open("/notes/tripped").is_ok() {
                    exit(3);
                }
            }
            "exit" => exit(number(words.next()) as i32),
            "until" => {
                if told("SOLOIST_ATTEMPT").parse::<u64>().expect("a number") < number(words.next())
                {
                    eprintln!("not yet");
                    exit(7);
                }
            }
            order => panic!("what is {order}?"),
        }
    }
}

fn run() -> String {
    let names = ["SOLOIST_RUN_ID", "SOLOIST_SCHEDULED", "SOLOIST_ATTEMPT", "SOLOIST_FENCING_TOKEN"];
    names.map(told).join(" ")
}

fn note() {
    let file = OpenOptions::new().create(true).append(true).open("/notes/runs");
    let line = format!("{}\n", run());
    file.expect("a folder").write_all(line.as_bytes()).expect("a line");
}

fn told(name: &str) -> String {
    env::var(name).expect("every run is told")
}

fn number(word: Option<String>) -> u64 {
    word.expect("a number follows").parse().expect("a number")
}
