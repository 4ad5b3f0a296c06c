//! The moving average's ratios alone: `cargo run --release --package myaku-bench --example average`.

#[path = "../src/average.rs"]
mod average;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for ratio in average::measure()? {
        let [low, median, high] = ratio.quartiles;
        let [this, that] = ratio.medians_ms;
        println!("{:50}{median:7.2}  quartiles {low:.2} to {high:.2}  {this:.2} ms ÷ {that:.2} ms", ratio.name);
    }
    Ok(())
}
