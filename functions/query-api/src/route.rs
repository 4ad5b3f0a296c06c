//! The routes of the API.

use percent_encoding::percent_decode_str;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// The page.
    Page,
    /// A file of the page, by its name.
    Asset(String),
    /// The description of the API.
    Document,
    /// Who asks.
    Me,
    /// The reader's facilities.
    Facilities,
    /// Devices.
    Devices,
    /// A device, by its id.
    Device(String),
    /// The history of a device.
    History(String),
    /// Alerts.
    Alerts,
    /// That someone has taken notice of an alert, by its id.
    Acknowledge(String),
    /// What a profile makes of a payload.
    Try,
}

impl Route {
    /// The route of a method and a path, which comes after the stage; `None` if there is none.
    pub fn of(method: &str, path: &str) -> Option<Self> {
        let decode = |segment: &&str| Some(percent_decode_str(segment).decode_utf8().ok()?.into_owned());
        let segments: Vec<String> =
            path.strip_prefix('/')?.split('/').collect::<Vec<_>>().iter().map(decode).collect::<Option<_>>()?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        Some(match (method, segments.as_slice()) {
            ("GET", [""]) => Self::Page,
            ("GET", ["assets", name]) => Self::Asset((*name).to_owned()),
            ("GET", ["v1", "openapi.json"]) => Self::Document,
            ("GET", ["v1", "me"]) => Self::Me,
            ("GET", ["v1", "facilities"]) => Self::Facilities,
            ("GET", ["v1", "devices"]) => Self::Devices,
            ("GET", ["v1", "devices", id]) => Self::Device((*id).to_owned()),
            ("GET", ["v1", "devices", id, "history"]) => Self::History((*id).to_owned()),
            ("GET", ["v1", "alerts"]) => Self::Alerts,
            ("POST", ["v1", "alerts", id, "acknowledge"]) => Self::Acknowledge((*id).to_owned()),
            ("POST", ["v1", "profiles", "try"]) => Self::Try,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_in_paths_are_decoded_and_other_paths_have_no_route() {
        assert_eq!(Route::of("GET", "/v1/devices/bed%20%C3%BC"), Some(Route::Device("bed ü".to_owned())));
        assert_eq!(Route::of("GET", "/"), Some(Route::Page));
        for (method, path) in [
            ("POST", "/v1/devices"),
            ("GET", "/v1/devices/bed-1/"),
            ("GET", "/v1/devices/%ff"),
            ("GET", "v1/me"),
            ("GET", "/v1/alerts/x/acknowledge"),
            ("GET", "/assets"),
        ] {
            assert_eq!(Route::of(method, path), None, "{method} {path}");
        }
    }
}
