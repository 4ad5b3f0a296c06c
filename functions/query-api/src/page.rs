//! The page, as the build made it of the files in `web/`.

use crate::answer::{Answer, Problem};

/// A file of the page.
struct File {
    name: &'static str,
    content_type: &'static str,
    gzip: &'static [u8],
}

mod files {
    use super::File;
    include!(concat!(env!("OUT_DIR"), "/files.rs"));
}

const INDEX: &str = include_str!(concat!(env!("OUT_DIR"), "/index.html"));

/// `GET /`. The page loads its own files alone, and nothing may frame it. The one script in its text is the map of imports.
pub(crate) fn index() -> Answer {
    let policy = format!(
        "default-src 'none'; script-src 'self' '{}'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        files::IMPORT_MAP
    );
    Answer::of("text/html; charset=utf-8", INDEX.as_bytes())
        .with("content-security-policy", policy)
        .with("referrer-policy", "no-referrer")
        .with("x-frame-options", "DENY")
}

/// `GET /assets/{name}`.
pub(crate) fn asset(name: &str) -> Result<Answer, Problem> {
    let file = files::FILES.iter().find(|file| file.name == name);
    let file = file.ok_or_else(|| Problem::not_found("the file"))?;
    Ok(Answer::for_good(file.content_type, file.gzip))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::response;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use myaku::http::Request;
    use sha2::{Digest as _, Sha256};

    fn get(answer: Answer) -> myaku::http::Response {
        let mut request = Request::default();
        request.request_context.http.method = "GET".to_owned();
        response(&request, Ok(answer))
    }

    #[test]
    fn the_page_may_run_its_map_of_imports_and_its_own_files_alone() {
        let page = get(index());
        let map = page.body.split_once("<script type=\"importmap\">").unwrap().1.split_once("</script>").unwrap().0;
        let digest = STANDARD.encode(Sha256::digest(map.as_bytes()));
        let policy = &page.headers["content-security-policy"];
        assert!(policy.contains(&format!("script-src 'self' 'sha256-{digest}';")), "{policy}");
        assert!(policy.starts_with("default-src 'none';") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe") && !page.body.contains(" style="), "{policy}");
        assert_eq!(
            (page.headers["cache-control"].as_str(), page.headers.contains_key("etag")),
            ("private, no-cache", true)
        );
    }

    #[test]
    fn every_address_in_the_page_is_a_file_that_browsers_keep_for_good() {
        let page = get(index()).body;
        let names: Vec<&str> = page.split("assets/").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert!(names.len() > 2, "{page}");
        for name in names {
            let file = get(asset(name).unwrap());
            assert_eq!(file.headers["cache-control"], "public, max-age=31536000, immutable", "{name}");
            assert!(!file.body.is_empty() && !file.is_base64_encoded, "{name}");
        }
        assert!(asset("../index.html").is_err() && asset("main.js").is_err());
    }
}
