//! Compresses the files of the page in `web/`, and names each after its content, so that browsers can keep them for good.
//!
//! `web/index.html` has four comments, in whose places the build writes:
//!
//! - `<!-- styles -->`: the style sheets, those of `web/vendor` before those of `web/styles`, each by name
//! - `<!-- importmap -->`: the map from `myaku/<name>` and `vendor/<name>`, by which modules import each other, to the files
//! - `<!-- modules -->`: hints to load all modules at once
//! - `<!-- start -->`: the module `web/src/main.js`, which starts the page

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The folders, and how modules name what is in them.
const FOLDERS: [(&str, &str); 3] = [("vendor", "vendor"), ("styles", "styles"), ("src", "myaku")];
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
/// How many digits of a file's hash are in its name.
const HASH_DIGITS: usize = 16;

/// A file of the page.
struct Asset {
    /// How modules name it: `myaku/device.js`.
    import: String,
    /// The name under `assets/`: `device.0123456789abcdef.js`.
    name: String,
    content_type: &'static str,
    bytes: Vec<u8>,
}

fn main() -> io::Result<()> {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web");
    println!("cargo::rerun-if-changed={}", web.display());
    let out = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?);
    let mut assets = Vec::new();
    for (folder, import) in FOLDERS {
        assets.extend(read(&web.join(folder), import)?);
    }
    let modules: Vec<&Asset> = assets.iter().filter(|asset| asset.content_type == JAVASCRIPT).collect();
    let imports: serde_json::Map<_, _> =
        modules.iter().map(|asset| (asset.import.clone(), format!("./assets/{}", asset.name).into())).collect();
    let map = serde_json::json!({ "imports": imports }).to_string();
    let html = index(&fs::read_to_string(web.join("index.html"))?, &assets, &modules, &map)?;

    let digest = STANDARD.encode(Sha256::digest(map.as_bytes()));
    let mut code =
        format!("pub(super) const IMPORT_MAP: &str = \"sha256-{digest}\";\npub(super) const FILES: &[File] = &[\n");
    for asset in &assets {
        let Asset { name, content_type, bytes, .. } = asset;
        fs::write(out.join(name), gzip(bytes)?)?;
        writeln!(
            code,
            "    File {{ name: {name:?}, content_type: {content_type:?}, gzip: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}\")) }},"
        )
        .map_err(io::Error::other)?;
    }
    code.push_str("];\n");
    fs::write(out.join("index.html"), html)?;
    fs::write(out.join("files.rs"), code)
}

/// The files of a folder, by name.
fn read(folder: &Path, import: &str) -> io::Result<Vec<Asset>> {
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    let mut assets = Vec::new();
    for path in paths {
        let text = |part: Option<&std::ffi::OsStr>| part.and_then(|part| part.to_str()).unwrap_or_default().to_owned();
        let (stem, extension) = (text(path.file_stem()), text(path.extension()));
        let content_type = match extension.as_str() {
            "js" => JAVASCRIPT,
            "css" => CSS,
            // Licences, and what the tests of the page need.
            _ => continue,
        };
        let bytes = fs::read(&path)?;
        let mut hash = String::new();
        for byte in Sha256::digest(&bytes) {
            write!(hash, "{byte:02x}").map_err(io::Error::other)?;
        }
        let name = format!("{stem}.{}.{extension}", &hash[..HASH_DIGITS]);
        assets.push(Asset { import: format!("{import}/{stem}.{extension}"), name, content_type, bytes });
    }
    Ok(assets)
}

fn index(template: &str, assets: &[Asset], modules: &[&Asset], map: &str) -> io::Result<String> {
    let start = modules.iter().find(|asset| asset.import == "myaku/main.js");
    let start = start.ok_or_else(|| io::Error::other("web/src/main.js is missing: it starts the page"))?;
    let links = |attributes: &str, assets: &mut dyn Iterator<Item = &Asset>| {
        assets.map(|asset| format!("<link {attributes} href=\"assets/{}\">", asset.name)).collect::<Vec<_>>().join("\n")
    };
    let styles = links("rel=\"stylesheet\"", &mut assets.iter().filter(|asset| asset.content_type == CSS));
    let preload = links("rel=\"modulepreload\"", &mut modules.iter().copied());
    let mut html = template.to_owned();
    for (place, text) in [
        ("styles", styles),
        ("importmap", format!("<script type=\"importmap\">{map}</script>")),
        ("modules", preload),
        ("start", format!("<script type=\"module\" src=\"assets/{}\"></script>", start.name)),
    ] {
        let comment = format!("<!-- {place} -->");
        if html.matches(&comment).count() != 1 {
            return Err(io::Error::other(format!("web/index.html must have the comment {comment} once")));
        }
        html = html.replace(&comment, &text);
    }
    Ok(html)
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}
