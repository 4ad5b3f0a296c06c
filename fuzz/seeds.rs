//! Writes the seeds and the dictionary of each target into a folder: `seeds <folder>`.

use std::fs;
use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let folder = PathBuf::from(std::env::args_os().nth(1).unwrap_or_else(|| "target/fuzz/seeds".into()));
    for target in myaku::fuzz::TARGETS {
        let seeds = folder.join(target.name);
        fs::create_dir_all(&seeds)?;
        for (number, seed) in (target.seeds)().into_iter().enumerate() {
            fs::write(seeds.join(number.to_string()), seed)?;
        }
        let word = |word: &&str| word.bytes().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
        let words: Vec<String> = target.words.iter().map(|it| format!("\"{}\"\n", word(it))).collect();
        fs::write(folder.join(target.name).with_extension("dict"), words.concat())?;
    }
    Ok(())
}
