//! Cold starts: `cargo run --release --package myaku-bench --example cold_start -- ROUNDS NAME=COMMAND…`. The first program
//! is the one that the others are beside.

#[path = "../src/cold_start.rs"]
mod cold_start;

use cold_start::{Program, measure};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let rounds: usize = arguments.next().ok_or("how many rounds?")?.parse()?;
    let programs: Vec<Program> = arguments
        .map(|argument| {
            let (name, command) = argument.split_once('=').ok_or("NAME=COMMAND")?;
            Ok(Program { name: name.to_owned(), command: command.split(' ').map(str::to_owned).collect() })
        })
        .collect::<Result<_, &str>>()?;
    let times = measure(&programs, rounds)?;
    let quartile =
        |name: &str, part: usize| times.get(name).map_or(f64::NAN, |times| times[(times.len() - 1) * part / 4]);
    let beside = programs.first().map_or(f64::NAN, |program| quartile(&program.name, 2));
    for Program { name, .. } in &programs {
        let [low, median, high] = [1, 2, 3].map(|part| quartile(name, part));
        println!("{name:20}{median:8.2} ms  quartiles {low:.2} to {high:.2}  ratio {:.2}", median / beside);
    }
    Ok(())
}
